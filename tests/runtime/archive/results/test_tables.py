"""Tables: what pyarrow and csv read back is what the rows say."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from brainseg_runtime.archive.results.tables import COLUMNS, CSV, PARQUET, QUARANTINE, write_tables
from brainseg_runtime.archive.working.rows import Row
from brainseg_runtime.errors import FileWriteError
from brainseg_runtime.studies.written.record import Output

DONE = Row(
    id="a" * 64,
    status="done",
    source='p, "1"',
    name="Müller\n",
    areas=(0, 3),
    volume_px=3,
    volume_ml=0.25,
    n_slices=2,
    warnings=("one", "two; three"),
    objects=(Output(kind="seg", file="objects/x/seg.dcm", sha256="b" * 64),),
)
FAILED = Row(
    id="c" * 64,
    status="failed",
    source="q",
    name="q",
    attempts=3,
    error={"kind": "StudyError", "what": "it is damaged", "expected": "a file", "got": None, "remedy": "fetch it"},
)


def test_parquet_holds_every_row_and_column(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    many = [replace(DONE, id=f"{n:064x}") for n in range(4500)]  # more than two batches
    path = write_tables(tmp_path, iter([*many, FAILED]))
    assert path == tmp_path / PARQUET
    table = pq.read_table(path)
    assert tuple(table.column_names) == COLUMNS
    rows = table.to_pylist()
    assert [row["id"] for row in rows] == [*(row.id for row in many), FAILED.id]
    assert (rows[0]["areas"], rows[0]["warnings"], rows[0]["volume_ml"]) == ([0, 3], ["one", "two; three"], 0.25)
    assert rows[-1]["error"] == "it is damaged; expected a file; remedy: fetch it"
    assert (rows[-1]["areas"], rows[-1]["error_kind"], rows[-1]["attempts"]) == (None, "StudyError", 3)


def test_without_pyarrow_there_is_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / PARQUET).write_bytes(b"of an earlier run")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert write_tables(tmp_path, iter([DONE, FAILED])) == tmp_path / CSV
    assert not (tmp_path / PARQUET).exists()
    with (tmp_path / CSV).open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert (first["source"], first["name"]) == (DONE.source, DONE.name)
    assert (json.loads(first["areas"]), json.loads(first["warnings"])) == ([0, 3], ["one", "two; three"])
    assert second["volume_px"] == ""


def test_quarantine_lists_what_failed_and_why(tmp_path: Path) -> None:
    write_tables(tmp_path, iter([DONE, FAILED]))
    with (tmp_path / QUARANTINE).open(newline="", encoding="utf-8") as file:
        (line,) = csv.DictReader(file)
    assert (line["source"], line["error_kind"], line["attempts"]) == ("q", "StudyError", "3")
    assert all(word in line["error"] for word in ("it is damaged", "a file", "fetch it"))


def test_a_table_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tables(tmp_path, iter([DONE]))
    before = path.read_bytes()

    def refused(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("brainseg_runtime.archive.results.tables.sync_folder", lambda _: None)
    monkeypatch.setattr("brainseg_runtime.archive.results.tables._write_parquet", refused)
    monkeypatch.setattr("brainseg_runtime.archive.results.tables._write_csv", refused)
    with pytest.raises(FileWriteError):
        write_tables(tmp_path, iter([FAILED]))
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\t=1"])
def test_a_spreadsheet_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    rows = [replace(DONE, source=name, volume_ml=-1.0), replace(FAILED, source=name, name=name)]
    write_tables(tmp_path, iter(rows))
    for file in (CSV, QUARANTINE):
        with (tmp_path / file).open(newline="", encoding="utf-8") as opened:
            found = list(csv.DictReader(opened))
        assert {line["source"] for line in found} == {f"'{name}"}
        assert found[-1]["name"] == f"'{name}"
