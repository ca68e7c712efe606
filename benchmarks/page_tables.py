"""Tables of figures in `docs/web.md`, each between two comments of its name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown.

    >>> print(table(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)


def put_table(page: Path, name: str, made: str) -> None:
    """Put a table, and what belongs with it, between a page's comments `<!-- NAME:begin -->` and `<!-- NAME:end -->`.

    Raises:
        ValueError: The page has no such comments.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page.name}: expected {begin} and {end}, got none; add them where the table belongs")
    page.write_text(f"{before}{begin}\n{made}\n{end}{after}", encoding="utf-8")
