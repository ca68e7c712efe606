"""How a command behaves on a terminal: streams, progress, interrupts, exit codes."""
