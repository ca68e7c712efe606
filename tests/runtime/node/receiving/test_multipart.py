"""Bodies taken apart: the same however they are cut into pieces, and malformed ones refused."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.node.receiving.multipart import MultipartError, MultipartReader, media_type


class Parts:
    """Collects parts."""

    def __init__(self) -> None:
        self.heads: list[Mapping[str, str]] = []
        self.bodies: list[bytes] = []
        self.ended = 0

    def begin(self, fields: Mapping[str, str]) -> Parts:
        self.heads.append(fields)
        self.bodies.append(b"")
        return self

    def write(self, data: bytes) -> None:
        self.bodies[-1] += data

    def end(self) -> None:
        self.ended += 1


def body_of(*parts: bytes, boundary: str = "b0und") -> bytes:
    mark = boundary.encode()
    head = b"Content-Type: application/dicom\r\n\r\n"
    return b"".join(b"--" + mark + b"\r\n" + head + each + b"\r\n" for each in parts) + b"--" + mark + b"--\r\n"


def taken_apart(body: bytes, *, pieces: int = 1 << 20, boundary: str = "b0und") -> Parts:
    parts = Parts()
    reader = MultipartReader(boundary, parts.begin)
    for start in range(0, len(body), pieces):
        reader.feed(body[start : start + pieces])
    reader.end()
    return parts


@given(
    st.lists(
        st.binary(max_size=80) | st.sampled_from([b"\r\n--b0un", b"\r\n", b"--b0und", b"\r\n--", b""]), min_size=1
    ),
    st.integers(1, 40),
)
def test_parts_come_back_however_the_body_is_cut(parts: list[bytes], pieces: int) -> None:
    parts = [each for each in parts if b"\r\n--b0und" not in b"\r\n" + each]
    found = taken_apart(body_of(*parts), pieces=pieces) if parts else Parts()

    assert found.bodies == parts
    assert found.ended == len(parts)


def test_the_standard_library_finds_the_same_parts() -> None:
    body = b"preamble\r\n" + body_of(b"one\r\n\r\ntwo", b"\0\1") + b"epilogue"
    head = b'Content-Type: multipart/related; boundary="b0und"\r\n\r\n'
    message: Message = BytesParser(policy=HTTP).parsebytes(head + body)

    expected = [part.get_payload(decode=True) for part in message.get_payload()]  # type: ignore[union-attr]

    assert taken_apart(body).bodies == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b0und\r\n",
        body_of(b"x")[:-4],
        b"--b0und!\r\n\r\nx\r\n--b0und--",
        b"--b0und\r\nno colon\r\n\r\nx\r\n--b0und--",
        b"--b0und\r\nA: " + b"x" * 10_000,
        b"x" * 20_000,
    ],
    ids=["empty", "only a boundary", "cut off", "text after a boundary", "no field", "a long header", "no boundary"],
)
def test_a_malformed_body_is_refused(body: bytes) -> None:
    with pytest.raises(MultipartError):
        taken_apart(body, pieces=1000)


@pytest.mark.parametrize("boundary", ["", "x" * 71, "a\r\nb", "ä", "ends "])
def test_a_boundary_that_cannot_be_is_refused(boundary: str) -> None:
    with pytest.raises(MultipartError):
        MultipartReader(boundary, Parts().begin)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("application/dicom", ("application/dicom", {})),
        ("Multipart/Related;boundary=a-b", ("multipart/related", {"boundary": "a-b"})),
        ('x/y; a="1;2" ; B="q\\"q"', ("x/y", {"a": "1;2", "b": 'q"q'})),
        ("", ("", {})),
    ],
)
def test_media_types_are_read(text: str, expected: tuple[str, dict[str, str]]) -> None:
    assert media_type(text) == expected


@pytest.mark.parametrize("text", ["x/y; boundary", "x/y; =1", 'x/y; a="1', "x/y; a=1 b"])
def test_a_malformed_media_type_is_refused(text: str) -> None:
    with pytest.raises(MultipartError):
        media_type(text)
