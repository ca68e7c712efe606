"""The log holds what its tables name, and no text from outside."""

from __future__ import annotations

import errno
import io
import json
import sys
import threading
from datetime import datetime
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.errors import ArgumentError, WorkerError
from brainseg_runtime.node.watching.log import ERRORS, WARNINGS, WITHHELD, Label, Log, kind_of, level_of

KEY = "0123456789abcdef"


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_level_event_and_fields() -> None:
    stream = io.StringIO()
    Log(stream, clock=lambda: 1_700_000_000.25).event("study_done", study=KEY, volume_ml=1.5, in_doubt=False, images=3)
    (line,) = lines(stream)
    assert datetime.fromisoformat(line.pop("time")).timestamp() == 1_700_000_000.25
    assert line == {
        "level": "info", "event": "study_done", "study": KEY, "volume_ml": 1.5, "in_doubt": False, "images": 3
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "DOE^JOHN", "Doe, John", "1.2.840.113619.2.1", "1.2", "19700101", "1970-01-01", "12345678", "MRN 12", "Müller",
        "10.0.0.1", "::1", "MODALITY1 ", "a\nb", "", "x" * 49, "/dicom-web/studies", "{", "P1234567",
        "0123456789ABCDEF0",
    ],
)  # fmt: skip
def test_a_text_that_is_no_label_is_withheld(text: str) -> None:
    stream = io.StringIO()
    Log(stream).event("image_refused", study=text, reason=Label(text))
    (line,) = lines(stream)
    assert (line["study"], line["reason"]) == (WITHHELD, WITHHELD)


@pytest.mark.parametrize("text", [KEY, "a" * 64, "WorkerError", "disk_full", "pacs-2", "2nd-pacs", "dimse"])
def test_a_label_is_written(text: str) -> None:
    stream = io.StringIO()
    Log(stream).event("image_refused", reason=Label(text))
    assert lines(stream)[0]["reason"] == text


@given(st.one_of(st.text(), st.floats(), st.integers(), st.booleans()))
def test_any_value_gives_one_line_of_strict_json(value: float | str) -> None:
    stream = io.StringIO()
    Log(stream).event("stopped", seconds=cast("float", value))
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().isascii()

    def refuse(name: str) -> None:
        raise AssertionError(name)

    json.loads(stream.getvalue(), parse_constant=refuse)


@pytest.mark.parametrize("fields", [{"patient": 1}, {"text": "x"}])
def test_a_field_outside_the_table_is_refused(fields: dict[str, Any]) -> None:
    stream = io.StringIO()
    with pytest.raises(ArgumentError, match="no such event or field"):
        Log(stream).event("stopped", **fields)
    assert not stream.getvalue()


def test_an_event_outside_the_table_is_refused() -> None:
    name: Any = "patient_seen"
    with pytest.raises(ArgumentError, match="patient_seen"):
        Log(io.StringIO()).event(name)


def test_an_error_is_logged_by_its_kind_alone() -> None:
    assert kind_of(WorkerError("DOE^JOHN crashed it")) == "WorkerError"


def test_levels_tell_what_needs_somebody() -> None:
    assert not WARNINGS & ERRORS
    assert [level_of(name) for name in ("study_done", "worker_crashed", "study_quarantined")] == [
        "info", "warning", "error"
    ]  # fmt: skip


def test_events_are_counted() -> None:
    log = Log(io.StringIO())
    for _ in range(3):
        log.event("echo")
    assert log.counts() == {"echo": 3}


def test_lines_of_many_threads_stay_whole() -> None:
    stream = io.StringIO()
    log = Log(stream)

    def write() -> None:
        for number in range(200):
            log.event("echo", images=number)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(line["images"] for line in lines(stream)) == sorted(list(range(200)) * 8)


def test_a_log_that_cannot_be_written_stops_nothing_and_is_counted() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, text)

    log = Log(Full())
    log.event("echo")
    closed = io.StringIO()
    closed.close()
    shut = Log(closed)
    shut.event("echo")
    assert (log.lost, shut.lost) == (1, 1)


def test_lines_go_to_stderr_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert Log().stream is sys.stderr
    Log().event("echo")
    assert json.loads(capsys.readouterr().err)["event"] == "echo"
