"""Hostile and broken peers: none stops the listener, holds a place for long, or leaves anything behind."""

from __future__ import annotations

import random
import resource
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.node.receiving.hostile import (
    EXPLICIT,
    IMPLICIT,
    RELEASE,
    VERIFICATION,
    Peer,
    associate,
    command,
    data,
    echo_command,
    pdu,
    store_command,
    uid,
)
from tests.runtime.node.receiving.listening import (
    MR,
    Listening,
    content_of,
    file_of,
    listening,
    made_image,
    until,
    with_dicom,
)

COMMITMENT = "1.2.840.10008.1.20.1"
CONTEXTS = [(1, MR, EXPLICIT), (3, VERIFICATION, IMPLICIT), (5, COMMITMENT, IMPLICIT)]
REQUEST = associate(CONTEXTS)
MUTANTS = 200


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Listening]:
    with listening(tmp_path, with_dicom(association_seconds=1.0)) as listener:
        yield listener


def answers(node: Listening) -> bool:
    """Whether a sound peer is served."""
    with Peer(node.port) as peer:
        peer.say(REQUEST)
        if peer.hear()[0] != 2:
            return False
        peer.say(data(3, 3, echo_command()))
        return peer.status() == 0


def is_quiet(node: Listening) -> bool:
    """Whether every connection, its threads and its files are gone."""

    def quiet() -> bool:
        threads = [each for each in threading.enumerate() if "DUL" in type(each).__name__ or "Acceptor" in each.name]
        return node.receiver.connections == 0 and not threads and not node.incoming()

    return until(quiet)


def dialogue() -> bytes:
    """A whole, sound association: a C-ECHO, an image, an answer to storage commitment, and the release."""
    image = made_image(rows=8, sop="1.2.3.4.5.6")
    content = content_of(file_of(image))
    report = command(
        [
            (0x0002, uid(COMMITMENT)),
            (0x0100, struct.pack("<H", 0x0100)),
            (0x0110, struct.pack("<H", 3)),
            (0x0800, struct.pack("<H", 0x0001)),
            (0x1000, uid("1.2.840.10008.1.20.1.1")),
            (0x1002, struct.pack("<H", 1)),
        ]
    )
    transaction = struct.pack("<HHI", 0x0008, 0x1195, 6) + b"1.2.9\0"
    return b"".join(
        [
            REQUEST,
            data(3, 3, echo_command()),
            data(1, 3, store_command(MR, "1.2.3.4.5.6", message=2)),
            data(1, 0, content[:100]),
            data(1, 2, content[100:]),
            data(5, 3, report),
            data(5, 2, transaction),
            RELEASE,
        ]
    )


def mutated(content: bytes, source: random.Random) -> bytes:
    """Some bytes changed, cut, doubled, or made to lie about lengths."""
    mutant = bytearray(content)
    for _ in range(source.choice((1, 1, 2, 5, 20))):
        at = source.randrange(len(mutant))
        kind = source.randrange(6)
        if kind <= 1:
            mutant[at] = source.randrange(256)
        elif kind == 2:
            mutant[at] ^= 1 << source.randrange(8)
        elif kind == 3:
            mutant[at : at + 4] = source.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"))
        elif kind == 4:
            del mutant[at : at + source.randrange(1, 64)]
        else:
            mutant[at:at] = mutant[at : at + source.randrange(1, 64)]
    return bytes(mutant) or b"\0"


@pytest.mark.parametrize("count", [MUTANTS, pytest.param(1000, marks=pytest.mark.slow)])
def test_mutants_over_the_wire_never_stop_the_listener(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], count: int
) -> None:
    source = random.Random(count)  # noqa: S311 - mutants that come again
    sound = dialogue()
    with listening(tmp_path, with_dicom(association_seconds=1.0)) as node:
        for _ in range(count):
            with Peer(node.port) as peer:
                peer.say_what_is_heard(mutated(sound, source))
                peer.close_sending()
                if source.random() < 0.2:
                    peer.hangs_up()
                assert until(lambda: node.receiver.connections < 5)  # else a mutant is turned away for its number

        assert is_quiet(node)
        assert answers(node)
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("count", [MUTANTS, pytest.param(1000, marks=pytest.mark.slow)])
def test_data_sets_that_were_damaged_never_stop_the_listener(tmp_path: Path, count: int) -> None:
    source = random.Random(count)  # noqa: S311 - mutants that come again
    content = content_of(file_of(made_image(rows=8, sop="1.2.3.4.5.6")))
    statuses = []
    with listening(tmp_path) as node, Peer(node.port) as peer:
        peer.say(REQUEST)
        peer.hear()
        for _ in range(count):
            peer.say(data(1, 3, store_command(MR, "1.2.3.4.5.6")))
            peer.say(data(1, 2, mutated(content, source)))
            statuses.append(peer.status())

        assert answers(node)
        assert set(statuses) <= {0, 0xA900, 0xC000}
        assert {0, 0xC000} <= set(statuses)
        assert not node.incoming()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x01",
        REQUEST[:40],
        b"GET / HTTP/1.1\r\n\r\n",
        pdu(1, b"", length=0xFFFFFFFF),
        pdu(4, b"\0" * 100, length=0x7FFFFFFF),
    ],
    ids=["nothing", "a byte", "half a request", "HTTP", "4 GiB announced", "2 GiB announced"],
)
def test_who_never_becomes_an_association_is_cut_off(node: Listening, said: bytes) -> None:
    with Peer(node.port) as peer:
        peer.say(said)
        assert peer.hangs_up()
    assert is_quiet(node)


def test_a_place_is_given_back_at_once_when_who_called_hangs_up(tmp_path: Path) -> None:
    with listening(tmp_path, with_dicom(association_seconds=60.0)) as node:
        for _ in range(60):  # more than there are places
            Peer(node.port).__exit__()
        assert is_quiet(node)
        assert answers(node)


def test_a_pdu_that_drips_is_cut_off(node: Listening) -> None:
    with Peer(node.port) as peer:
        peer.say(REQUEST)
        peer.hear()
        begun = time.monotonic()
        said = pdu(4, b"\0" * 1000)
        while time.monotonic() - begun < 30 and not _hung_up(peer):
            peer.say_what_is_heard(said[:1])
            said = said[1:]
            time.sleep(0.05)

        assert time.monotonic() - begun < 20  # the whole of it would take 50 s
    assert is_quiet(node)


def test_an_association_that_falls_silent_is_aborted(node: Listening) -> None:
    with Peer(node.port) as peer:
        peer.say(REQUEST)
        assert peer.hear()[0] == 2
        assert peer.hangs_up()
    assert is_quiet(node)
    assert node.named("association_aborted")


def test_who_never_reads_the_answers_is_cut_off(node: Listening) -> None:
    with Peer(node.port) as peer:
        peer.say(REQUEST)
        for _ in range(20_000):
            peer.say_what_is_heard(data(3, 3, echo_command()))
    assert is_quiet(node)
    assert answers(node)


def test_requests_that_pile_up_end_the_association(node: Listening) -> None:
    content = content_of(file_of(made_image(rows=200, sop="1.2.3")))
    with Peer(node.port) as peer:
        peer.say(REQUEST)
        for _ in range(200):
            peer.say_what_is_heard(data(1, 3, store_command(MR, "1.2.3")) + data(1, 2, content))
        assert peer.hangs_up()
    assert is_quiet(node)


def test_an_image_without_end_is_cut_off(node: Listening) -> None:
    fragment = data(1, 0, b"\0" * 100_000)
    with Peer(node.port, seconds=30) as peer:
        peer.say(REQUEST)
        peer.hear()
        peer.say(data(1, 3, store_command(MR, "1.2.3")))
        for _ in range(3000):  # 300 MB, of which 2 MiB may reach the disk
            peer.say_what_is_heard(fragment)
        assert peer.hangs_up()
    assert is_quiet(node)


def test_a_command_without_end_is_cut_off(node: Listening) -> None:
    with Peer(node.port) as peer:
        peer.say(REQUEST)
        peer.hear()
        for _ in range(20):
            peer.say_what_is_heard(data(1, 1, b"\0" * 10_000))
        assert peer.hangs_up()
    assert is_quiet(node)


def test_large_images_do_not_fill_the_memory(tmp_path: Path) -> None:
    from tests.runtime.node.receiving.listening import with_intake

    config = with_intake(with_dicom(association_seconds=20.0), max_instance_mib=512)
    fragment = data(1, 0, b"\0" * 100_000)
    with listening(tmp_path, config) as node, Peer(node.port, seconds=60) as peer:
        peer.say(REQUEST)
        peer.hear()
        before = _peak_mib()
        peer.say(data(1, 3, store_command(MR, "1.2.3")))
        for _ in range(2000):  # 200 MB
            peer.say(fragment)
        peer.say(data(1, 2, b"\0\0"))

        assert peer.status() == 0xC000
        assert _peak_mib() - before < 60


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of file sizes is Linux's")
def test_a_disk_that_takes_no_more_refuses_and_recovers(tmp_path: Path) -> None:
    content = content_of(file_of(made_image(rows=300, sop="1.2.3")))
    with listening(tmp_path) as node, Peer(node.port) as peer:
        peer.say(REQUEST)
        peer.hear()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            peer.say(data(1, 3, store_command(MR, "1.2.3")) + data(1, 0, content[:120_000]))
            peer.say(data(1, 2, content[120_000:]))
            assert peer.status() == 0xA700
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert not node.incoming()

        peer.say(data(1, 3, store_command(MR, "1.2.3")) + data(1, 0, content[:120_000]))
        peer.say(data(1, 2, content[120_000:]))
        assert peer.status() == 0


def _hung_up(peer: Peer) -> bool:
    """Whether the other side has closed, without waiting."""
    connection = peer._socket
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) in {b"", b"\x07"}
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(5.0)


def _peak_mib() -> float:
    """Most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
