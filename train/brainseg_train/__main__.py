"""`python -m brainseg_train`, and where the script `brainseg-train` begins."""

from __future__ import annotations

from brainseg_runtime.terminal.early import take_interrupts


def main() -> None:
    """Runs the `brainseg-train` command; interrupts count from here on, while everything else is imported too."""
    take_interrupts()
    from brainseg_train import cli

    cli.main()


if __name__ == "__main__":
    main()
