"""Columns of a CSV file that a user gives, as spreadsheets write it: comma or semicolon, with or without a BOM."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.safe_io.files import read_capped

_LIMIT: Final = 16 * 1024 * 1024
"""Bytes; 100,000 patients take 5 MiB."""


def read_columns(path: Path, columns: Sequence[str], *, error: type[BrainsegError]) -> tuple[tuple[str, ...], ...]:
    """The named columns of every row that is not empty, with spaces around values removed.

    Args:
        path: The file; its first line names the columns, in any case and order. Other columns are ignored.
        columns: Names in lower case.
        error: The class of error to raise.

    Raises:
        BrainsegError: Of the given class: the file is missing, too large or not text, lacks a column, or has a row with
            an empty value.
    """
    try:
        text = read_capped(path, _LIMIT, error=error).decode("utf-8-sig")
        head = text.partition("\n")[0]
        delimiter = ";" if ";" in head and "," not in head else ","
        rows = list(csv.reader(text.splitlines(), delimiter=delimiter, strict=True))
    except (UnicodeDecodeError, csv.Error) as cause:
        raise error(f"{path} is not a CSV file in UTF-8", expected=_wanted(columns), got=cause) from cause
    names = [name.strip().casefold() for name in rows[0]] if rows else []
    if any(names.count(column) != 1 for column in columns):
        raise error(f"{path} lacks columns", expected=_wanted(columns), got=", ".join(names)[:200] or "an empty file")
    places = [names.index(column) for column in columns]
    found = []
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        values = tuple(row[place].strip() if place < len(row) else "" for place in places)
        if not all(values):
            raise error(
                f"{path} lacks a value in line {number}", expected=_wanted(columns), got=delimiter.join(row)[:200]
            )
        found.append(values)
    return tuple(found)


def _wanted(columns: Sequence[str]) -> str:
    return f"a first line with the columns {', '.join(columns)}, and a value of each in every line after it"
