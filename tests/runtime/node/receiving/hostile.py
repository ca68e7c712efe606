"""A peer that speaks the DICOM upper layer byte by byte, and so can say what no library would.

Source: DICOM PS3.8, 9.3 (PDUs) and E.2 (message control header); PS3.7, 6.3 (commands).
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Sequence

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
VERIFICATION = "1.2.840.10008.1.1"
_APPLICATION = "1.2.840.10008.3.1.1.1"


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BBI", kind, 0, len(body) if length is None else length) + body


def item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def associate(
    contexts: Sequence[tuple[int, str, str]], *, called: str = "BRAINSEG", calling: str = "STORESCU"
) -> bytes:
    """A-ASSOCIATE-RQ for contexts of identifier, abstract syntax and transfer syntax."""
    items = item(0x10, _APPLICATION.encode())
    for number, abstract, transfer in contexts:
        body = bytes([number, 0, 0, 0]) + item(0x30, abstract.encode()) + item(0x40, transfer.encode())
        items += item(0x20, body)
    items += item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3"))
    titles = called.encode().ljust(16) + calling.encode().ljust(16)
    return pdu(1, struct.pack(">HH", 1, 0) + titles + bytes(32) + items)


def command(elements: Sequence[tuple[int, bytes]]) -> bytes:
    """A command set; elements are their number within group 0 and their value."""
    body = b"".join(struct.pack("<HHI", 0, number, len(value)) + value for number, value in elements)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def uid(text: str) -> bytes:
    return text.encode() + b"\0" * (len(text) % 2)


def store_command(sop_class: str, sop_uid: str, *, message: int = 1) -> bytes:
    return command(
        [
            (0x0002, uid(sop_class)),
            (0x0100, struct.pack("<H", 0x0001)),
            (0x0110, struct.pack("<H", message)),
            (0x0700, struct.pack("<H", 0)),
            (0x0800, struct.pack("<H", 0x0001)),
            (0x1000, uid(sop_uid)),
        ]
    )


def echo_command() -> bytes:
    return command(
        [
            (0x0002, uid(VERIFICATION)),
            (0x0100, struct.pack("<H", 0x0030)),
            (0x0110, struct.pack("<H", 1)),
            (0x0800, struct.pack("<H", 0x0101)),
        ]
    )


def data(context: int, control: int, fragment: bytes) -> bytes:
    """P-DATA-TF with one fragment; control 3 is a whole command, 0 a part of a data set, 2 its end."""
    return pdu(4, struct.pack(">IBB", len(fragment) + 2, context, control) + fragment)


RELEASE = pdu(5, bytes(4))


class Peer:
    """A connection."""

    def __init__(self, port: int, *, seconds: float = 5.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def say(self, content: bytes) -> None:
        self._socket.sendall(content)

    def say_what_is_heard(self, content: bytes) -> None:
        """The same, to a side that may have hung up."""
        with contextlib.suppress(OSError):
            self._socket.sendall(content)

    def hear(self) -> tuple[int, bytes]:
        """The next PDU; kind 0 if the other side hangs up."""
        head = self._exactly(6)
        if len(head) < 6:
            return 0, b""
        kind, _, length = struct.unpack(">BBI", head)
        return kind, self._exactly(length)

    def status(self) -> int:
        """The status in the next response."""
        kind, body = self.hear()
        if kind != 4:
            raise ConnectionError(f"PDU {kind}")
        at = body.index(struct.pack("<HHI", 0, 0x0900, 2))
        return int.from_bytes(body[at + 8 : at + 10], "little")

    def hangs_up(self) -> bool:
        """Whether the other side ends the connection, with an abort or without."""
        try:
            while True:
                kind, _ = self.hear()
                if kind in {0, 7}:
                    return True
        except TimeoutError:
            return False
        except OSError:
            return True

    def close_sending(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def _exactly(self, count: int) -> bytes:
        got = b""
        while len(got) < count and (more := self._socket.recv(count - len(got))):
            got += more
        return got
