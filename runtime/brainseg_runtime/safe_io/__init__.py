"""Files written whole, paths that may be written to, strict and typed JSON, and checked arguments."""
