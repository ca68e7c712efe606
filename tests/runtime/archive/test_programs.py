"""The archive's programs of measurement run, and find a difference where there is one.

`archive_faults` is tested by `test_ray_engine`, as it kills whatever actors the machine has.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import archive_bits, archive_memory, archive_speed
from brainseg_runtime.archive.working.rows import Row
from tests.runtime.archive.made_archive import made_source
from tests.runtime.command_line import BUNDLE


def program(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])


def test_speed_tells_every_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, record = made_source(tmp_path / "data", patients=2), tmp_path / "speed.json"
    given = ["--source", source, "--bundle", BUNDLE, "--turns", 2, "--json", record]
    program(monkeypatch, "archive_speed", *given)
    assert archive_speed.main() == 0
    ways = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert ways == ["way", "bare loop", "local, 1", "local, 2"]
    turns = json.loads(record.read_text(encoding="utf-8"))["turns"]
    assert [turn["slices"] for turn in turns] == [6] * 6


def test_bits_tell_equal_digests_and_one_that_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = made_source(tmp_path / "data", patients=2)
    given = ["--source", source, "--bundle", BUNDLE, "--providers", "cpu", "--variant", "fp32"]
    program(monkeypatch, "archive_bits", *given)
    assert archive_bits.main() == 0
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 2
    assert all("6 slices of 2 patients" in line for line in told)
    assert len({line.rpartition(" ")[2] for line in told}) == 1

    plain = archive_bits._digest
    calls: list[int] = []

    def changed(rows: list[Row]) -> str:
        """One pixel more in a row of the second way."""
        calls.append(1)
        return plain([replace(row, volume_px=(row.volume_px or 0) + (len(calls) == 2)) for row in rows])

    monkeypatch.setattr(archive_bits, "_digest", changed)
    assert archive_bits.main() == 1


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_tells_its_slopes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over so few slices a slope says nothing, so either exit code is right."""
    record = tmp_path / "memory.json"
    program(monkeypatch, "archive_memory", "--slices", 288, "--workers", 1, "--json", record)
    code = archive_memory.main()
    told = json.loads(record.read_text(encoding="utf-8"))
    assert [sample[0] for sample in told["samples"]] == [36 * number for number in range(1, 9)]
    assert code == (max(told["slopes_mib"]) >= 1)
