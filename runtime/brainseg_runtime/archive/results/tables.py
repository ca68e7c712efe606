"""The table for readers: `studies.parquet`, or `studies.csv` without pyarrow, and `quarantine.csv`; made at the end.

Both are made from the ledger, a batch of rows at a time, and are written whole or not at all.
"""

from __future__ import annotations

import csv
import io
import json
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from brainseg_runtime.archive.working.rows import Row
from brainseg_runtime.errors import FileWriteError
from brainseg_runtime.safe_io.files import sync_folder, write_text
from brainseg_runtime.safe_io.typed_json import to_json

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET: Final = "studies.parquet"
CSV: Final = "studies.csv"
QUARANTINE: Final = "quarantine.csv"
_BATCH: Final = 2000

_TEXTS: Final = (
    "id", "status", "source", "name", "kind", "study_uid", "site", "scanner", "pixels_sha256", "mask_sha256",
    "provider", "variant", "bundle", "error_kind", "error", "objects",
)  # fmt: skip
_WHOLE: Final = ("n_slices", "volume_px", "runs", "edge_px", "attempts")
_NUMBERS: Final = ("volume_ml", "confidence", "max_probability", "seconds")
COLUMNS: Final = (
    "id", "status", "source", "name", "kind", "study_uid", "site", "scanner", "n_slices", "volume_px", "volume_ml",
    "areas", "confidence", "max_probability", "runs", "edge_px", "warnings", "seconds", "provider", "variant", "bundle",
    "attempts", "error_kind", "error", "objects", "pixels_sha256", "mask_sha256",
)  # fmt: skip
"""Columns of the table, in order."""


def columns(row: Row) -> dict[str, Any]:
    """A row as the table has it: the error in words and by kind, objects as JSON.

    Args:
        row: The row.
    """
    value = to_json(row)
    error = row.error or {}
    parts = (f"{word}{error[key]}" for key, word in _WORDS.items() if error.get(key))
    value["error_kind"] = error.get("kind")
    value["error"] = "; ".join(parts) or None
    value["objects"] = json.dumps(value["objects"]) if row.objects else None
    return {name: value[name] for name in COLUMNS}


_FORMULA: Final = ("=", "+", "-", "@", "\t")
"""What spreadsheets take for the beginning of a formula."""


def _cells(values: Iterable[object]) -> list[object]:
    """Values of a line of CSV; before text that a spreadsheet would run, such as a name, goes an apostrophe."""
    return [f"'{each}" if isinstance(each, str) and each.startswith(_FORMULA) else each for each in values]


_WORDS: Final = {"what": "", "expected": "expected ", "got": "got ", "remedy": "remedy: "}


def write_tables(out: Path, rows: Iterable[Row]) -> Path:
    """Write the table, and the list of what failed and why.

    Args:
        out: The folder.
        rows: Every row, once.

    Returns:
        The table's file.

    Raises:
        FileWriteError: The system refused; files of an earlier run are untouched.
    """
    failed = io.StringIO(newline="")
    quarantine = csv.writer(failed, lineterminator="\n")
    quarantine.writerow(["source", "name", "error_kind", "error", "attempts", "id"])

    def watched() -> Iterator[Row]:
        for row in rows:
            if row.status == "failed":
                shown = columns(row)
                cells = [row.source, row.name, shown["error_kind"], shown["error"], row.attempts, row.id]
                quarantine.writerow(_cells(cells))
            yield row

    target = out / (CSV if _pyarrow() is None else PARQUET)
    _whole(target, lambda path: (_write_csv if target.name == CSV else _write_parquet)(path, watched()))
    with suppress(OSError):  # one of the two alone, so that nobody reads an old one
        (out / (PARQUET if target.name == CSV else CSV)).unlink(missing_ok=True)
    write_text(out / QUARANTINE, failed.getvalue())
    return target


def _pyarrow() -> Any:  # noqa: ANN401 - the module, or None
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return None
    return pyarrow


def _whole(target: Path, write: Any) -> None:  # noqa: ANN401 - takes a path
    """Have a file written beside its place, and give it its name once it is whole."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        write(temporary)
        temporary.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise FileWriteError(
            f"{target} cannot be written", expected="a writable folder with space", got=error.strerror or error
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write_parquet(path: Path, rows: Iterator[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema()
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while batch := list(islice(rows, _BATCH)):
            made = [columns(row) for row in batch]
            writer.write_table(pa.Table.from_pylist(made, schema=schema))


def _schema() -> pa.Schema:
    """The columns' types."""
    import pyarrow as pa

    types = (
        dict.fromkeys(_TEXTS, pa.string()) | dict.fromkeys(_WHOLE, pa.int64()) | dict.fromkeys(_NUMBERS, pa.float64())
    )
    types |= {"areas": pa.list_(pa.int64()), "warnings": pa.list_(pa.string())}
    return pa.schema([(name, types[name]) for name in COLUMNS])


def _write_csv(path: Path, rows: Iterator[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(COLUMNS)
        for row in rows:
            shown = columns(row)
            lists = {name: json.dumps(shown[name]) for name in ("areas", "warnings") if shown[name] is not None}
            lines.writerow(_cells((shown | lists)[name] for name in COLUMNS))
