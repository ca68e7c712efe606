"""Counts in words: "1 patient", "2 patients"."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun.

    Args:
        number: How many.
        noun: What one of them is called.
        plural: What several are called; None adds an s.

    Examples:
        >>> counted(1, "patient"), counted(2000, "patient"), counted(2, "entry", "entries")
        ('1 patient', '2,000 patients', '2 entries')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
