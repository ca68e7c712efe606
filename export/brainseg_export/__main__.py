"""`python -m brainseg_export`, and where the script `brainseg-export` begins."""

from __future__ import annotations

from brainseg_runtime.terminal.early import take_interrupts


def main() -> None:
    """Runs the `brainseg-export` command; interrupts count from here on, while everything else is imported too."""
    take_interrupts()
    from brainseg_export import cli

    cli.main()


if __name__ == "__main__":
    main()
