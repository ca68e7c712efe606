"""Sending by DIMSE: archives hold the very bytes that were made, whatever they offer."""

from __future__ import annotations

import io
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ImplicitVRLittleEndian

from brainseg_runtime.errors import DestinationError, UsageError
from brainseg_runtime.node.config import Destination, TlsSettings
from brainseg_runtime.node.records import Delivery
from brainseg_runtime.node.sending import dimse
from brainseg_runtime.node.sending.dimse import DimseChannel
from brainseg_runtime.node.store.store import Store
from tests.runtime.node.certificates import certificates
from tests.runtime.node.queued_studies import finish
from tests.runtime.node.sending.peers import HOST, archive, breaking_line, free_port, orthanc, storescp

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""pynetdicom leaves the sockets of connections that ended otherwise than in order to Python."""


@pytest.fixture
def due(tmp_path: Path) -> Iterator[list[Delivery]]:
    """A result's objects, on their way to an archive."""
    store = Store.open(tmp_path / "state")
    destination = Destination(name="archive", aet="ARCHIVE", host=HOST)
    finish(store, tmp_path / "study", [destination])
    found: list[Delivery] = []
    while (each := store.due("archive")) is not None:
        found.append(each)
    assert {each.object.kind for each in found} == {"seg", "sr", "sc", "rtstruct"}
    yield found
    store.close()


def opened(destination: Destination) -> DimseChannel:
    return DimseChannel(destination, "BRAINSEG", on_outcome=lambda _: None)


def data_set(path: Path) -> bytes:
    """A file's bytes after its meta information, whose length the file states."""
    data = path.read_bytes()
    return data[144 + int.from_bytes(data[140:144], "little") :]


def test_storescp_writes_the_same_data_sets(due: list[Delivery], tmp_path: Path) -> None:
    with storescp(tmp_path / "got") as destination:
        channel = opened(destination)
        assert {channel.send(each).verdict for each in due} == {"accepted"}
        channel.close()
        arrived = {pydicom.dcmread(path).SOPInstanceUID: path for path in (tmp_path / "got").iterdir()}
        for each in due:
            assert data_set(arrived[each.object.sop_uid]) == data_set(each.path)


def test_orthanc_stores_them_once_and_finds_them(due: list[Delivery], tmp_path: Path) -> None:
    with orthanc(tmp_path / "orthanc") as pacs:
        channel = opened(pacs.dimse)
        assert channel.holds(due[0]) is False
        assert {channel.send(each).verdict for each in (*due, due[0])} == {"accepted"}
        assert {channel.holds(each) for each in due} == {True}
        channel.close()
        for each in due:
            file = tmp_path / "file"
            file.write_bytes(pacs.file(each.object.sop_uid))
            assert data_set(file) == data_set(each.path)
        assert pacs.get("/statistics")["CountInstances"] == len(due)


def test_an_archive_that_takes_implicit_vr_alone_gets_the_same_data_set(due: list[Delivery]) -> None:
    with archive(syntaxes=[ImplicitVRLittleEndian]) as peer:
        channel = opened(peer.destination)
        assert {channel.send(each).verdict for each in (*due, *due)} == {"accepted"}
        channel.close()
    for each in due:
        first, second = peer.stored[each.object.sop_uid]
        assert first == second
        read = pydicom.filereader.read_dataset(io.BytesIO(first), is_implicit_VR=True, is_little_endian=True)
        made = pydicom.dcmread(each.path)
        assert [(item.tag, item.value) for item in read] == [(item.tag, item.value) for item in made]


def test_a_class_that_is_not_taken_is_refused_for_good_and_the_others_go(due: list[Delivery]) -> None:
    from pynetdicom.sop_class import SecondaryCaptureImageStorage  # type: ignore[attr-defined]

    with archive(classes=[SecondaryCaptureImageStorage]) as peer:
        channel = opened(peer.destination)
        verdicts = {each.object.kind: channel.send(each).verdict for each in due}
        channel.close()
    assert verdicts == {"seg": "final", "sr": "final", "sc": "accepted", "rtstruct": "final"}


def test_an_archive_without_queries_cannot_be_asked(due: list[Delivery]) -> None:
    with archive(finds=False) as peer:
        channel = opened(peer.destination)
        assert channel.holds(due[0]) is None
        channel.close()


def test_an_association_that_breaks_within_an_object_raises(due: list[Delivery]) -> None:
    with archive() as peer:
        peer.breaks = {0}
        channel = opened(peer.destination)
        with pytest.raises(DestinationError, match="broke off"):
            channel.send(due[0])
        with pytest.raises(DestinationError):
            channel.send(due[0])
        channel.close()


def test_who_stops_reading_a_large_object_is_given_up(
    due: list[Delivery], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dimse, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(dimse, "LEAST_RATE", 1 << 30)
    (seg,) = (each for each in due if each.object.kind == "seg")
    large = pydicom.dcmread(seg.path)
    large.add_new(0x00420011, "OB", bytes(30 << 20))  # more than the system's buffers take
    large.save_as(tmp_path / "large.dcm")
    with archive() as peer, breaking_line(peer.destination.port, after=1 << 20, stall=True) as port:
        destination = replace(peer.destination, port=port)
        channel = DimseChannel(destination, "BRAINSEG", on_outcome=lambda _: None)
        clock = time.monotonic()
        with pytest.raises(DestinationError, match="broke off"):
            channel.send(replace(seg, path=tmp_path / "large.dcm"))
        channel.close()
        assert time.monotonic() - clock < 30


def test_nobody_there_and_a_wrong_title_are_named(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match="cannot be reached"):
        opened(Destination(name="nobody", aet="NOBODY", host=HOST, port=free_port()))
    with orthanc(tmp_path / "orthanc") as pacs:
        wrong = Destination(name="wrong", aet="OTHER", host=HOST, port=pacs.dimse.port)
        with pytest.raises(DestinationError, match=r"rejected|reached"):
            opened(wrong)


def test_tls_knows_whom_it_talks_to_and_shows_its_certificate(due: list[Delivery], tmp_path: Path) -> None:
    made = certificates(tmp_path / "certificates")
    secured = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secured.load_cert_chain(made.server, made.server_key)
    secured.load_verify_locations(made.authority)
    secured.verify_mode = ssl.CERT_REQUIRED
    tls = TlsSettings(certificate=made.client, key=made.client_key, authorities=made.authority)
    with archive(secured=secured, tls=tls) as peer:
        channel = opened(peer.destination)
        assert channel.send(due[0]).verdict == "accepted"
        channel.close()
        for wrong in (None, replace(tls, authorities=None)):
            with pytest.raises(DestinationError):
                opened(replace(peer.destination, tls=wrong))
    with pytest.raises(UsageError, match="belong together"):
        opened(replace(peer.destination, tls=replace(tls, key=made.server_key)))
