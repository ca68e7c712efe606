"""STOW-RS, asked by dicomweb-client and by raw requests."""

from __future__ import annotations

import contextlib
import io
import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import pydicom
import pytest
from dicomweb_client import DICOMwebClient
from pydicom.dataset import Dataset

from brainseg_runtime.node.config import NodeConfig
from brainseg_runtime.node.store.store import Store
from brainseg_runtime.node.watching.log import Log
from tests.runtime.node.receiving.listening import (
    CT,
    SETTINGS,
    content_of,
    file_of,
    made_image,
    until,
    with_dicom,
    with_intake,
)
from tests.runtime.node.receiving.serving import serving
from tests.runtime.node.receiving.test_multipart import body_of

TYPE = 'multipart/related; type="application/dicom"; boundary=b0und'
REASON = "00081197"


@dataclass(frozen=True)
class Service:
    url: str
    store: Store
    stream: io.StringIO

    @property
    def studies_url(self) -> str:
        return self.url + "/dicom-web/studies"

    def post(self, *images: Dataset | bytes, study: str | None = None, **headers: str) -> httpx.Response:
        files = [each if isinstance(each, bytes) else file_of(each) for each in images]
        return self.post_body(body_of(*files), study=study, **headers)

    def post_body(self, body: bytes, *, study: str | None = None, **headers: str) -> httpx.Response:
        url = self.studies_url + ("" if study is None else f"/{study}")
        sent = {"Content-Type": TYPE, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return httpx.post(url, content=body, headers=sent)

    def kept(self) -> dict[str, bytes]:
        return {
            str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID): path.read_bytes()
            for path in self.store.folder.studies.rglob("*.dcm")
        }


@contextlib.contextmanager
def service(folder: Path, config: NodeConfig = SETTINGS) -> Iterator[Service]:
    store = Store.open(folder / "state")
    stream = io.StringIO()
    try:
        with serving(store, config, Log(stream)) as url:
            yield Service(url, store, stream)
        assert not list(store.folder.incoming.iterdir())
    finally:
        store.close()


@pytest.fixture
def stow(tmp_path: Path) -> Iterator[Service]:
    with service(tmp_path) as made:
        yield made


def test_what_dicomweb_client_stores_is_kept_and_said(stow: Service) -> None:
    images = [pydicom.dcmread(io.BytesIO(file_of(made_image()))) for _ in range(2)]

    answer = DICOMwebClient(stow.url + "/dicom-web").store_instances(images)

    said = {str(each.ReferencedSOPInstanceUID) for each in answer.ReferencedSOPSequence}
    assert said == set(stow.kept()) == {str(each.SOPInstanceUID) for each in images}
    assert "FailedSOPSequence" not in answer


def test_files_are_kept_byte_for_byte(stow: Service) -> None:
    file = file_of(made_image())

    assert stow.post(file).status_code == 200
    assert list(stow.kept().values()) == [file]


def test_the_same_image_by_another_way_is_the_same(stow: Service) -> None:
    file = file_of(made_image())
    other_head = file[:128].replace(b"\0", b"\1") + file[128:]

    assert [stow.post(each).status_code for each in (file, other_head)] == [200, 200]
    assert '"state":"same"' in stow.stream.getvalue()
    assert content_of(file) == content_of(other_head)


def test_some_of_several_are_accepted(stow: Service) -> None:
    ct, mr = made_image(sop_class=CT), made_image()

    answer = stow.post(ct, mr, b"junk")

    assert answer.status_code == 202
    said = answer.json()
    assert said["00081199"]["Value"][0]["00081155"]["Value"] == [str(mr.SOPInstanceUID)]
    (failed,) = said["00081198"]["Value"]
    assert failed["00081155"]["Value"] == [str(ct.SOPInstanceUID)]
    assert failed[REASON]["Value"] == [0x0122]
    assert said["0008119A"]["Value"][0][REASON]["Value"] == [0xC000]


def test_an_image_of_another_study_is_refused(stow: Service) -> None:
    assert stow.post(made_image(study="1.2.3"), study="1.2.3").status_code == 200

    answer = stow.post(made_image(study="1.2.4"), study="1.2.3")

    assert answer.status_code == 409
    assert answer.json()["00081198"]["Value"][0][REASON]["Value"] == [0xA900]


def test_xml_is_answered_to_who_asks_for_it(stow: Service) -> None:
    image = made_image()

    answer = stow.post(image, Accept="application/dicom+xml")

    assert answer.headers["content-type"] == "application/dicom+xml"
    values = [each.text for each in ET.fromstring(answer.content).iter() if each.tag.endswith("Value")]  # noqa: S314
    assert values == [str(image.SOPClassUID), str(image.SOPInstanceUID)]


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (400, b"junk", {}),
        (400, body_of(file_of(made_image()))[:-20], {}),
        (400, body_of(), {}),
        (406, body_of(b"x"), {"Accept": "text/html"}),
        (415, body_of(b"x"), {"Content_Type": "application/dicom"}),
        (415, body_of(b"x"), {"Content_Type": "multipart/related; type=text/plain; boundary=b0und"}),
        (415, body_of(b"x"), {"Content_Type": "multipart/related"}),
        (409, body_of(b"x"), {}),
    ],
)
def test_what_is_no_store_request_is_refused(stow: Service, status: int, body: bytes, headers: dict[str, str]) -> None:
    assert stow.post_body(body, **headers).status_code == status
    assert not stow.kept()


def test_a_path_that_names_no_study_is_refused(stow: Service) -> None:
    assert stow.post(made_image(), study="not-a-uid").status_code == 400


def test_an_image_beyond_the_cap_is_refused(stow: Service) -> None:
    answer = stow.post(made_image(rows=1200), made_image())

    assert answer.status_code == 202
    assert answer.json()["0008119A"]["Value"][0][REASON]["Value"] == [0xC000]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_cap_is_refused(tmp_path: Path, chunked: bool) -> None:
    config = replace(SETTINGS, http=replace(SETTINGS.http, max_request_mib=1))
    body = body_of(file_of(made_image(rows=900)))
    with service(tmp_path, config) as stow:
        content = iter([body[:1000], body[1000:]]) if chunked else body
        answer = httpx.post(stow.studies_url, content=content, headers={"Content-Type": TYPE})
        assert answer.status_code == 413


def test_a_full_disk_is_unavailable_for_now(tmp_path: Path) -> None:
    with service(tmp_path, with_intake(min_free_mib=1 << 24)) as stow:
        answer = stow.post(made_image())
        assert answer.status_code == 503
        assert answer.headers["retry-after"]


def test_a_body_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    with service(tmp_path, with_dicom(association_seconds=1.0, max_associations=1)) as stow:
        host, port = stow.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as peer:
            head = (
                f"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nContent-Type: {TYPE}\r\n\r\n"
            )
            peer.sendall(head.encode() + body_of(file_of(made_image()))[:500])
            assert until(lambda: stow.post(made_image()).status_code == 503)
            assert b" 408 " in peer.recv(1000)
        assert stow.post(made_image()).status_code == 200


@pytest.mark.parametrize("count", [150, pytest.param(1000, marks=pytest.mark.slow)])
def test_damaged_bodies_never_stop_the_service(stow: Service, count: int) -> None:
    source = random.Random(count)  # noqa: S311 - mutants that come again
    sound = body_of(file_of(made_image(rows=8)), file_of(made_image(rows=8)))
    statuses = set()
    with httpx.Client() as client:
        for _ in range(count):
            body = bytearray(sound)
            for _ in range(source.choice((1, 3, 10))):
                at = source.randrange(len(body))
                body[at : at + source.choice((0, 1, 4))] = source.randbytes(source.choice((0, 1, 4)))
            statuses.add(client.post(stow.studies_url, content=bytes(body), headers={"Content-Type": TYPE}).status_code)

    assert statuses <= {200, 202, 400, 409}
    assert len(statuses) > 2
    assert stow.post(made_image()).status_code == 200


def test_the_log_names_nobody(stow: Service) -> None:
    image = made_image(study="1.2.840.99.4711")
    stow.post(image, b"junk")

    for secret in ("127.0.0.1", "Doe", "4711", str(image.SOPInstanceUID)):
        assert secret not in stow.stream.getvalue()


def test_an_image_that_is_cut_off_is_refused_and_the_others_are_taken(stow: Service) -> None:
    image, other = made_image(rows=48), made_image(rows=16)
    cut = file_of(image)[:2000]

    answer = stow.post(cut, other)

    assert answer.status_code == 202
    assert stow.kept().keys() == {other.SOPInstanceUID}
    (failed,) = answer.json()["00081198"]["Value"]
    assert failed[REASON]["Value"] == [0xC000]
    assert stow.post(image).status_code == 200
