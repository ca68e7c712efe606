"""A whole node is fed names, identifiers, dates of birth, titles and UIDs by every way in; none comes out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pydicom
from pydicom.uid import UID, MRImageStorage
from pynetdicom.ae import ApplicationEntity

from tests.runtime.node.node_process import NodeProcess, running_node, settings
from tests.runtime.node.pacs import HOST, free_port, wait_for
from tests.runtime.node.queued_studies import write_made
from tests.runtime.node.watching.serving import raw
from tests.studies_made.tags import Tags

TITLE = "ROOM_XRAY_77"
PATIENT: Tags = {
    "PatientName": "Quisling^Thorvald",
    "PatientID": "MRN-8841277",
    "PatientBirthDate": "19310729",
    "AccessionNumber": "ACC5519",
    "InstitutionName": "Saint Swithun",
    "ReferringPhysicianName": "Abernathy^Zoe",
    "StudyDescription": "Brain of Quisling",
}
WORDS = ("quisling", "thorvald", "8841277", "19310729", "1931-07-29", "acc5519", "swithun", "abernathy", "room_xray")
SHOWN_UID = re.compile(r"\b[0-2](?:\.\d+){5,}")


def write(folder: Path, *roles: str) -> list[Path]:
    """A small study of the patient."""
    write_made(folder, roles=roles, tags=PATIENT)
    return sorted(folder.rglob("*.dcm"))


def send(port: int, paths: list[Path], *, title: str = "MR1") -> list[int]:
    """Statuses of C-STORE; none if the association was rejected."""
    entity = ApplicationEntity(ae_title=title)
    entity.add_requested_context(MRImageStorage, "1.2.840.10008.1.2.1")
    association = entity.associate(HOST, port, ae_title="BRAINSEG")
    if not association.is_established:
        return []
    statuses = [association.send_c_store(path).Status for path in paths]
    association.release()
    return statuses


def stow(url: str, body: bytes) -> httpx.Response:
    """One part by STOW-RS."""
    content = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + body + b"\r\n--x--\r\n"
    head = {
        "content-type": 'multipart/related; type="application/dicom"; boundary=x',
        "accept": "application/dicom+json",
    }
    return httpx.post(f"{url}/dicom-web/studies", content=content, headers=head, trust_env=False)


def feed(node: NodeProcess, folder: Path) -> tuple[str, str]:
    """All ways in; the UIDs of the study that has a result and of the one that cannot have one."""
    port, url = node.where["dicom_port"], node.where["http_url"].rstrip("/")
    whole, faulty = write(folder / "whole", "flair"), write(folder / "faulty", "pre", "post")
    for number, path in enumerate(faulty):  # another study, without FLAIR, of which one image is no image
        image = pydicom.dcmread(path)
        image.StudyInstanceUID = UID(f"{image.StudyInstanceUID}.9")
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = UID(f"{image.StudyInstanceUID}.{number}")
        image.save_as(path)
    assert set(send(port, whole)) == {0}
    assert set(send(port, faulty[1:])) == {0}
    assert send(port, whole, title=TITLE) == []
    assert stow(url, faulty[0].read_bytes()).status_code == 200
    assert stow(url, faulty[0].read_bytes()[:500]).status_code >= 400
    assert stow(url, b"\0" * 128 + b"DICM" + PATIENT_BYTES).status_code >= 400
    raw(port, b"\x01\x00\x00\x00\x00\x40" + PATIENT_BYTES, end=True)
    raw(int(url.rpartition(":")[2]), b"GET /" + PATIENT_BYTES + b" HTTP/1.1\r\n\r\n", end=True)
    for method in ("GET", "POST", "QUISLING"):
        httpx.request(method, f"{url}/studies/Quisling?after=MRN-8841277", headers={"x-id": TITLE}, trust_env=False)
    return str(pydicom.dcmread(whole[0]).StudyInstanceUID), str(pydicom.dcmread(faulty[0]).StudyInstanceUID)


PATIENT_BYTES = b"Quisling^Thorvald MRN-8841277 19310729"


def given_up(node: NodeProcess, key: str) -> bool:
    """Whether nothing of a study is on its way any more."""
    return {each["state"] for each in node.study(key)["deliveries"]} == {"quarantined"}


def test_nothing_that_identifies_a_patient_or_a_sender_gets_out(tmp_path: Path) -> None:
    nobody = [{"name": "pacs", "aet": TITLE, "host": HOST, "port": free_port()}]
    with running_node(tmp_path / "node", settings(send=nobody, http={"stow": True}, retry={"attempts": 2})) as node:
        uids = feed(node, tmp_path)
        node.wait_for_state("quarantined")
        (done,) = node.wait_for_state("done")
        wait_for(lambda: given_up(node, done["key"]), "the deliveries' end")
        url = node.where["http_url"].rstrip("/")
        paths = [
            "/",
            "/studies",
            "/metrics",
            "/ready",
            "/openapi.json",
            *(f"/studies/{e['key']}" for e in node.studies()),
        ]
        answers = {path: httpx.get(url + path, trust_env=False).text for path in paths}
        assert node.stop() == 0
    audit = "".join(path.read_text() for path in (node.state / "audit").iterdir())
    assert len(audit.splitlines()) >= 2
    for name, text in {
        "log": node.log_text(),
        "audit": audit,
        "out": (node.folder / "out").read_text(),
        **answers,
    }.items():
        found = [word for word in WORDS if word in text.lower()]
        assert not found, f"{name} holds {found}"
        assert not [uid for uid in uids if uid in text], name
        assert name == "/openapi.json" or not SHOWN_UID.findall(text), f"{name}: {SHOWN_UID.findall(text)[:3]}"
    for line in node.log_text().splitlines():
        assert isinstance(json.loads(line), dict), "a line that the log did not write"
