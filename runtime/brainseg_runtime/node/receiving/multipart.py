"""`multipart/related` bodies taken apart as they arrive: strictly, in little memory, each part passed on as it comes.

Source: RFC 2046, 5.1.1 (boundaries) and RFC 2387 (related); DICOM PS3.18, 8.7.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, Literal, Protocol

_MOST_HEAD: Final = 1 << 13
"""Longest header of a part: a type, a length, a location."""

_MOST_PREAMBLE: Final = 1 << 13
"""Longest text before the first part, which nobody reads."""

_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_PARAMETER: Final = re.compile(r';\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))\s*')


class MultipartError(ValueError):
    """A body is not what its type says. Never leaves this folder."""


class Part(Protocol):
    """Takes one part of a body."""

    def write(self, data: bytes) -> None:
        """More of it."""
        ...

    def end(self) -> None:
        """That was all of it."""
        ...


def media_type(text: str) -> tuple[str, dict[str, str]]:
    """A media type and its parameters, names in lower case.

    Raises:
        MultipartError: It cannot be read.

    Examples:
        >>> media_type('multipart/related; type="application/dicom"; boundary=x')
        ('multipart/related', {'type': 'application/dicom', 'boundary': 'x'})
    """
    name, semicolon, rest = text.partition(";")
    rest = (semicolon + rest).strip()
    parameters: dict[str, str] = {}
    at = 0
    while at < len(rest):
        found = _PARAMETER.match(rest, at)
        if found is None:
            raise MultipartError("a media type cannot be read")
        quoted, plain = found[2], found[3]
        parameters.setdefault(found[1].lower(), re.sub(r"\\(.)", r"\1", quoted) if plain is None else plain)
        at = found.end()
    return name.strip().lower(), parameters


class MultipartReader:
    """Takes a body apart.

    Args:
        boundary: What separates the parts.
        begin: Called with each part's header fields, names in lower case; returns who takes the part.

    Raises:
        MultipartError: The boundary is none.
    """

    def __init__(self, boundary: str, begin: Callable[[Mapping[str, str]], Part]) -> None:
        if _BOUNDARY.fullmatch(boundary) is None:
            raise MultipartError("the boundary cannot be used")
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._begin = begin
        self._buffer = bytearray(b"\r\n")  # the first boundary may be the first line
        self._state: Literal["preamble", "boundary", "head", "body", "epilogue"] = "preamble"
        self._part: Part | None = None
        self._skipped = 0

    def feed(self, data: bytes) -> None:
        """Take more of the body.

        Raises:
            MultipartError: It is malformed.
        """
        if self._state == "epilogue":
            return
        self._buffer += data
        while self._step():
            pass

    def end(self) -> None:
        """The body ends here.

        Raises:
            MultipartError: Its last boundary has not come.
        """
        if self._state != "epilogue":
            raise MultipartError("the body is cut off")

    def _step(self) -> bool:
        """Take what can be taken; whether that may be more."""
        if self._state in {"preamble", "body"}:
            return self._content()
        if self._state == "boundary":
            return self._after_boundary()
        if self._state == "head":
            return self._head()
        self._buffer.clear()
        return False

    def _content(self) -> bool:
        """Pass on what is surely before the next boundary."""
        at = self._buffer.find(self._delimiter)
        until = at if at >= 0 else max(0, len(self._buffer) - len(self._delimiter) + 1)
        content = bytes(self._buffer[:until])
        if self._part is not None:
            if content:
                self._part.write(content)
        else:
            self._skipped += until
            if self._skipped > _MOST_PREAMBLE:
                raise MultipartError("no part begins")
        if at < 0:
            del self._buffer[:until]
            return False
        del self._buffer[: at + len(self._delimiter)]
        if self._part is not None:
            part, self._part = self._part, None
            part.end()
        self._state = "boundary"
        return True

    def _after_boundary(self) -> bool:
        """Whether a part follows, or the end."""
        if len(self._buffer) < 2:
            return False
        if self._buffer[:2] == b"--":
            self._state = "epilogue"
            return True
        end = self._buffer.find(b"\r\n")
        if end < 0 and len(self._buffer) < 256:
            return False
        if end < 0 or self._buffer[:end].strip(b" \t"):
            raise MultipartError("a boundary is followed by text")
        del self._buffer[:end]  # the line's end stays, for a part whose header is empty
        self._state = "head"
        return True

    def _head(self) -> bool:
        """Read a part's header fields."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or end > _MOST_HEAD:
            if len(self._buffer) > _MOST_HEAD:
                raise MultipartError("a part's header is too long")
            return False
        fields = _fields(bytes(self._buffer[2:end]))
        del self._buffer[: end + 4]
        self._part = self._begin(fields)
        self._state = "body"
        return True


def _fields(text: bytes) -> dict[str, str]:
    """Header fields by name."""
    fields: dict[str, str] = {}
    for line in filter(None, text.split(b"\r\n")):
        name, colon, value = line.partition(b":")
        if not colon or name != name.strip() or not name:
            raise MultipartError("a part's header cannot be read")
        fields.setdefault(name.decode("latin-1").lower(), value.strip().decode("latin-1"))
    return fields
