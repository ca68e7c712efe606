"""What the isolated process answers, asked within this process: results, warnings, and errors that name no patient."""

from __future__ import annotations

import io
import json
import os
import queue
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pydicom
import pytest

from brainseg_runtime import Segmenter
from brainseg_runtime.contract import DEFAULT_LIMITS
from brainseg_runtime.errors import BrainsegError, FileWriteError, OutOfMemoryError, RolesError, StudyError, WorkerError
from brainseg_runtime.isolation import server as isolation_server
from brainseg_runtime.isolation.messages import LoadRequest, Message, receive
from brainseg_runtime.node.working import server
from brainseg_runtime.node.working.advice import BY_HEADERS
from brainseg_runtime.node.working.requests import StudyRequest
from brainseg_runtime.node.working.server import segment, serve
from brainseg_runtime.safe_io.typed_json import to_json
from tests.runtime.node.queued_studies import write_made
from tests.runtime.tiny import TINY


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter.load(TINY, provider="cpu", variant="fp32", threads=1)


def request(inputs: Path, out: Path, **changed: Any) -> StudyRequest:  # noqa: ANN401 - the request's own
    made = StudyRequest(
        inputs=inputs, out=out, kinds=("seg", "sr"), register=False, threshold=None, partial="warn", earlier=None
    )
    return replace(made, **changed)


def half(folder: Path, *, upper: bool) -> Path:
    """The upper or lower half of each series of a made study."""
    for path in sorted(write_made(folder).rglob("*.dcm")):
        if (float(pydicom.dcmread(path).ImagePositionPatient[2]) > 0) != upper:
            path.unlink()
    return folder


def test_a_study_gives_its_objects_with_identifiers_that_its_images_decide(
    segmenter: Segmenter, tmp_path: Path
) -> None:
    first, second = (
        segment(segmenter, request(write_made(tmp_path / name), tmp_path / f"{name}-out")) for name in "ab"
    )
    assert [each.kind for each in first.objects] == ["seg", "sr"]
    assert [(each.sop_uid, each.sha256) for each in first.objects] == [
        (each.sop_uid, each.sha256) for each in second.objects
    ]
    for each in first.objects:
        header = pydicom.dcmread(first.folder / each.path)
        assert (header.SOPInstanceUID, header.SeriesInstanceUID) == (each.sop_uid, each.series_uid)
    assert {"read", "write", "network"} <= first.seconds.keys()
    assert not [each for each in first.warnings if "part of a head" in each]


@pytest.mark.parametrize("upper", [True, False])
def test_half_of_a_head_is_withheld_where_that_is_asked_for_and_the_rest_of_it_wanted(
    segmenter: Segmenter, tmp_path: Path, upper: bool
) -> None:
    asked = request(half(tmp_path / "half", upper=upper), tmp_path / "out", partial="withhold")
    with pytest.raises(StudyError, match="FLAIR shows a part of a head, and its result is withheld") as caught:
        segment(segmenter, asked)
    assert "send the rest of the series" in str(caught.value.remedy)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("upper", [True, False])
def test_results_of_half_a_head_say_that_they_are(segmenter: Segmenter, tmp_path: Path, upper: bool) -> None:
    asked = request(half(tmp_path / "half", upper=upper), tmp_path / "out")
    made = segment(segmenter, asked)
    (warning,) = [each for each in made.warnings if each.startswith("part of a head")]
    (report,) = [each for each in made.objects if each.kind == "sr"]
    said = [each.value for each in pydicom.dcmread(made.folder / report.path).iterall() if each.keyword == "TextValue"]
    assert [each for each in said if warning in each]


def test_what_helps_with_unclear_series_is_what_a_node_can_do(segmenter: Segmenter, tmp_path: Path) -> None:
    inputs = write_made(tmp_path / "study", roles=("pre", "post"), tags={"SeriesDescription": "T1 ZYXWV"})
    with pytest.raises(RolesError) as caught:
        server._answer(segmenter, request(inputs, tmp_path / "out"))
    assert caught.value.remedy == BY_HEADERS
    assert "--flair" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (MemoryError(), OutOfMemoryError, "ran out of memory"),
        (OSError(28, "No space left on device", "/secret/Doe^Jane"), FileWriteError, "refused a file"),
        (ValueError("Doe^Jane"), WorkerError, "unexpected fault"),
    ],
)
def test_a_fault_is_told_without_what_it_quotes(error: Exception, kind: type[BrainsegError], said: str) -> None:
    found = server._fault(error)
    assert isinstance(found, kind)
    assert said in str(found)
    assert "Doe" not in str(found)


def test_a_fault_of_the_code_is_told_by_its_place() -> None:
    with pytest.raises(ValueError, match="Expecting") as caught:
        json.loads("{")
    assert "JSONDecodeError at decoder.py:" in str(server._fault(caught.value))


def test_the_process_answers_each_message_and_outlives_a_bad_study(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    load = LoadRequest(
        path=TINY, digest=None, provider="cpu", variant="fp32", threads=1, limits=DEFAULT_LIMITS, sealed=True,
        memory_mib=None,
    )  # fmt: skip
    heads = [
        to_json(load),
        {"no": "study"},
        request(tmp_path / "none", tmp_path / "out").message(),
        request(write_made(tmp_path / "study"), tmp_path / "out").message(),
    ]
    first, no_study, missing, made = _served(monkeypatch, heads)
    assert first.head["info"]
    assert "study" in str(no_study.head["error"])
    assert "cannot be read" in str(missing.head["error"])
    assert made.head["made"]
    assert (tmp_path / "out" / "result" / "seg.dcm").stat().st_mode & 0o077 == 0


def test_a_fault_of_the_code_is_answered_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> None:
        raise ZeroDivisionError("Doe^Jane")

    loader: Any = SimpleNamespace(load=load)
    load_request = LoadRequest(
        path=TINY, digest=None, provider="cpu", variant="fp32", threads=1, limits=DEFAULT_LIMITS, sealed=True,
        memory_mib=None,
    )  # fmt: skip
    (answer,) = _served(monkeypatch, [to_json(load_request)], loader=loader)
    assert "ZeroDivisionError at test_server.py" in str(answer.head["error"])
    assert "Doe" not in str(answer.head)


class _NoMoreError(Exception):
    """Ends `serve`, which ends with its process otherwise."""


def _served(monkeypatch: pytest.MonkeyPatch, heads: list[Any], loader: Any = Segmenter) -> list[Message]:  # noqa: ANN401
    """What `serve` answers to messages, in this process."""
    waiting: queue.SimpleQueue[Message] = queue.SimpleQueue()
    for head in heads:
        waiting.put(Message(head=head))

    def following() -> Any:  # noqa: ANN401 - of the queue's kind
        def get() -> Message:
            if waiting.empty():
                raise _NoMoreError
            return waiting.get()

        return SimpleNamespace(get=get)

    replies = io.BytesIO()
    mask = os.umask(0o022)
    monkeypatch.setattr(isolation_server, "arriving", following)
    monkeypatch.setattr(isolation_server, "take_stdout", lambda: replies)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    try:
        with pytest.raises(_NoMoreError):
            serve(loader)
    finally:
        os.umask(mask)
    replies.seek(0)
    answers = []
    while (message := receive(replies)) is not None:
        answers.append(message)
    return answers


def test_the_process_ends_when_its_input_does(tmp_path: Path) -> None:
    program = "from brainseg_runtime.node.working.server import serve; serve(None)"
    path = os.pathsep.join(sys.path)
    for sent in (b"", b"\0\0"):
        run = subprocess.run(
            [sys.executable, "-c", program], input=sent, env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path,
            capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert run.returncode == 0
        assert run.stdout == b""
