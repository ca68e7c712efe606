"""What libraries say stays in: their loggers, Python's warnings, and exceptions that nobody caught."""

from __future__ import annotations

import io
import json
import logging
import threading
import warnings
from typing import Any

import pytest

from brainseg_runtime.node.watching.libraries import quieted
from brainseg_runtime.node.watching.log import Log

PATIENT = "DOE^JOHN 1.2.840.99 19700101"


def raised() -> None:
    raise RuntimeError(PATIENT)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("name", ["pynetdicom.association", "uvicorn.error", "a.library.of.tomorrow"])
def test_a_library_is_named_and_not_quoted(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    logger = logging.getLogger(name)
    own = logging.StreamHandler()
    logger.addHandler(own)
    try:
        with quieted(Log(stream)):
            logger.warning("peer %s", PATIENT)
            logger.info("peer %s", PATIENT)
            try:
                raised()
            except RuntimeError:
                logger.exception("fault %s", PATIENT)
        assert own in logger.handlers
    finally:
        logger.removeHandler(own)
    first, second = lines(stream)
    assert (first["event"], first["library"], first["severity"]) == ("library", name.partition(".")[0], "warning")
    assert (second["error"], second["severity"]) == ("RuntimeError", "error")
    assert "DOE" not in stream.getvalue()
    assert capfd.readouterr().err == ""


def test_a_record_that_cannot_be_formatted_disturbs_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with quieted(Log(io.StringIO())):
        logging.getLogger("pynetdicom").error("%d %s", PATIENT)  # noqa: PLE1206 - the point
    assert capfd.readouterr().err == ""


def test_pythons_warnings_are_told_by_category() -> None:
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with quieted(Log(stream)):
            warnings.warn(f"Invalid value for VR UI: {PATIENT}", UserWarning, stacklevel=1)
    (line,) = lines(stream)
    assert (line["library"], line["error"], line["module"]) == ("warnings", "UserWarning", "test_libraries")
    assert "DOE" not in stream.getvalue()


def test_an_exception_that_ends_a_thread_is_told_by_kind_and_place(capfd: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    with quieted(Log(stream)):
        thread = threading.Thread(target=raised, name=PATIENT)
        thread.start()
        thread.join()
    (line,) = lines(stream)
    assert (line["event"], line["error"], line["module"]) == ("thread_failed", "RuntimeError", "test_libraries")
    assert line["line"] == raised.__code__.co_firstlineno + 1
    assert "DOE" not in stream.getvalue() + capfd.readouterr().err


def test_an_exception_that_nobody_can_catch_is_told_by_kind(capfd: pytest.CaptureFixture[str]) -> None:
    class Last:
        def __del__(self) -> None:
            raised()

    stream = io.StringIO()
    with quieted(Log(stream)):
        last: Last | None = Last()
        del last
    told = [line for line in lines(stream) if line.get("library") != "warnings"]  # others' litter may warn meanwhile
    assert [line["error"] for line in told] == ["RuntimeError"]
    assert "DOE" not in stream.getvalue() + capfd.readouterr().err


def test_afterwards_everything_is_as_before() -> None:
    before = (
        logging.root.handlers[:], warnings.showwarning, threading.excepthook, logging.getLogger("uvicorn").propagate
    )  # fmt: skip
    with quieted(Log(io.StringIO())):
        assert threading.excepthook is not before[2]
    after = (
        logging.root.handlers[:], warnings.showwarning, threading.excepthook, logging.getLogger("uvicorn").propagate
    )  # fmt: skip
    assert after == before
