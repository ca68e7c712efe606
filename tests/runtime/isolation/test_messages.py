"""Messages to and from the isolated process: lengths are capped, and no broken message passes."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.errors import WorkerError
from brainseg_runtime.isolation.messages import MAX_BLOB, MAX_HEAD, receive, send
from brainseg_runtime.safe_io.strict_json import Json


def written(head: Mapping[str, Json], *blobs: bytes) -> bytes:
    """A message's bytes."""
    stream = io.BytesIO()
    send(stream, head, blobs)
    return stream.getvalue()


@given(st.dictionaries(st.text("abc", max_size=5), st.integers(-9, 9)), st.lists(st.binary(max_size=50), max_size=2))
def test_a_message_comes_back_as_it_was(head: dict[str, Json], blobs: list[bytes]) -> None:
    head.pop("blobs", None)
    message = receive(io.BytesIO(written(head, *blobs)))
    assert message is not None
    assert (dict(message.head), list(message.blobs)) == (head, blobs)


def test_messages_follow_each_other() -> None:
    stream = io.BytesIO(written({"n": 1}, b"x") + written({"n": 2}))
    found = [receive(stream), receive(stream)]
    assert [m.head for m in found if m is not None] == [{"n": 1}, {"n": 2}]
    assert receive(stream) is None


@given(st.integers(1, 60))
def test_a_message_that_breaks_off_is_an_error(cut: int) -> None:
    whole = written({"a": "text"}, b"0123456789", b"x" * 30)
    with pytest.raises(WorkerError):
        receive(io.BytesIO(whole[:-cut]))


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n",
        struct.pack("<4sI", b"BSW1", MAX_HEAD + 1),
        struct.pack("<4sI", b"BSW1", 2) + b"[]",
        struct.pack("<4sI", b"BSW1", 2) + b"{}",
        struct.pack("<4sI", b"BSW1", 13) + b'{"blobs":"x"}',
        written({}).replace(b"[]", b"-1"),
        struct.pack("<4sI", b"BSW1", 13) + b'{"blobs":[-1]'[:13],
        struct.pack("<4sI", b"BSW1", 15) + b'{"blobs":[9,9,9',
        struct.pack("<4sI", b"BSW1", 17) + b'{"blobs":[9,9,9]}',
        struct.pack("<4sI", b"BSW1", 11 + len(str(MAX_BLOB + 1))) + f'{{"blobs":[{MAX_BLOB + 1}]}}'.encode(),
    ],
)
def test_what_is_no_message_is_an_error_and_is_not_waited_for(data: bytes) -> None:
    with pytest.raises(WorkerError):
        receive(io.BytesIO(data + bytes(100)))


@given(st.binary(min_size=1, max_size=80))
def test_any_bytes_are_an_error(data: bytes) -> None:
    with pytest.raises(WorkerError):
        receive(io.BytesIO(data))
