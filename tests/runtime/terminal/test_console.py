"""What commands print: whole names, nothing but JSON where JSON was asked for, no control codes from file names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from brainseg_runtime.errors import DatasetError, FileWriteError, InputError
from brainseg_runtime.problems import Problem
from brainseg_runtime.terminal.console import Console, plain_table

LONG = "TCGA_" + "x" * 300


def test_a_long_name_stays_whole_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Console().table(["patient", "n"], [[LONG, "1"], ["short", "20"]])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["patient", "n"], [LONG, "1"], ["short", "20"]]


def test_columns_are_aligned() -> None:
    assert plain_table(["a", "bb"], [["1", "2"], ["333", "4"]]) == "a    bb\n1    2\n333  4\n"


def test_with_json_on_stdout_nothing_else_goes_there(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console("-")
    console.say("words")
    console.table(["a"], [["b"]])
    console.note("about the run")
    with console.progress("slices", 2) as advance:
        advance(2)
    console.emit({"key": [1, None]})
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"key": [1, None]}
    assert "about the run" in captured.err
    assert "slices: 2 of 2" in captured.err


def test_json_goes_to_a_file_in_a_new_folder(tmp_path: Path) -> None:
    Console(str(tmp_path / "a" / "b.json")).emit({"key": 1})
    assert json.loads((tmp_path / "a" / "b.json").read_text(encoding="utf-8")) == {"key": 1}


def test_a_path_that_is_no_utf8_comes_through_json_unchanged(tmp_path: Path) -> None:
    Console(str(tmp_path / "a.json")).emit({"path": "x\udcff.tif"})
    assert json.loads((tmp_path / "a.json").read_bytes()) == {"path": "x\udcff.tif"}


def test_json_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileWriteError, match="file"):
        Console(str(tmp_path / "file" / "b.json")).emit({})


def test_no_json_is_written_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    Console().emit({"key": 1})
    assert capsys.readouterr().out == ""


def test_control_characters_of_a_name_are_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    Console().say("a\x1b[2J\rb\x9b")
    assert capsys.readouterr().out == "a\\x1b[2J\\x0db\\x9b\n"


def test_a_fault_tells_what_expected_got_and_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    Console().fault(InputError("it broke", expected="whole", got="halves", remedy="glue"))
    assert capsys.readouterr().err == "error: it broke\n  expected: whole\n  got: halves\n  remedy: glue\n"


def test_a_fault_of_a_data_set_tells_every_problem(capsys: pytest.CaptureFixture[str]) -> None:
    Console().fault(DatasetError("the set is faulty", problems=["a is missing", "b is cut"]))
    assert capsys.readouterr().err == "error: the set is faulty\n  - a is missing\n  - b is cut\n"


def test_what_a_fault_does_not_show_goes_into_the_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problems = [Problem(f"a_{n}.tif", "has no mask") for n in range(503)]
    error = DatasetError("the set is faulty", problems=problems)
    Console().fault(error)
    Console().record_problems(error)
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 3
    assert "503 × has no mask: a_0.tif, a_1.tif, a_2.tif and 500 more" in told
    assert told.endswith("all 503 by name: --json FILE\n")
    path = tmp_path / "fault.json"
    Console(str(path)).record_problems(error, {"data": "set"})
    written = json.loads(path.read_bytes())
    assert list(written) == ["data", "fault"]
    assert written["fault"]["problems"] == [str(problem) for problem in problems]
    assert capsys.readouterr().err == ""


def test_other_faults_leave_no_json(tmp_path: Path) -> None:
    Console(str(tmp_path / "fault.json")).record_problems(InputError("it broke"))
    assert not (tmp_path / "fault.json").exists()
