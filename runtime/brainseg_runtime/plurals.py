"""Numbers of things in words: "1 patient", "2 patients"."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun.

    Args:
        number: How many.
        noun: What one of them is called.
        plural: What several are called; None adds an s.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
