"""The whole loop: a modality's study goes to the PACS, from there to the node, and comes back within the study."""

from __future__ import annotations

import hashlib
import json
import struct
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pydicom
from pydicom.uid import UID, SecondaryCaptureImageStorage

from tests.runtime.command_line import BUNDLE, brainseg
from tests.runtime.node.node_process import NodeProcess, running_node, settings
from tests.runtime.node.pacs import HOST, Orthanc, free_port, orthanc, send_by_storescu, wait_for
from tests.schemas.validation import violations
from tests.studies_made.readback import mask_by_itk
from tests.studies_made.series import write_study
from tests.studies_made.shapes import axial_grid, made_head
from tests.studies_made.uids import made_uid

GRID = axial_grid((6, 64, 64), spacing=(15.0, 3.6, 3.6))
MODALITY, SERIES_DESCRIPTION, COUNT = "00080060", "0008103E", "00201209"
CAPTURES = 5
REMEMBERED = 10
"""Most ended jobs that Orthanc remembers, by default."""


def made_study(folder: Path, *roles: str, **tags: str) -> str:
    """Writes a small study; its UID."""
    head = made_head(GRID)
    write_study(folder, {role: getattr(head, role) for role in roles}, GRID, tags=tags)
    return str(pydicom.dcmread(next(folder.rglob("*.dcm")), stop_before_pixels=True).StudyInstanceUID)


def modalities(pacs: Orthanc, uid: str) -> dict[str, int]:
    """How many objects of each modality a search of the study finds."""
    found: dict[str, int] = {}
    for series in pacs.qido(f"/studies/{uid}/series"):
        (name,), (count,) = series[MODALITY]["Value"], series[COUNT]["Value"]
        found[name] = found.get(name, 0) + int(count)
    return found


def all_sent(node: NodeProcess, key: str, objects: int) -> bool:
    """Whether so many objects of a study were accepted."""
    return [each["state"] for each in node.study(key)["deliveries"]].count("sent") == objects


def data_set(file: bytes) -> str:
    """Digest of what follows a file's head, which every archive writes anew."""
    (length,) = struct.unpack("<I", file[140:144])
    return hashlib.sha256(file[144 + length :]).hexdigest()


def test_a_study_comes_back_to_the_pacs_as_seg_sr_and_captures(tmp_path: Path) -> None:
    uid = made_study(tmp_path / "study", "pre", "flair", "post")
    node_port = free_port()
    with orthanc(tmp_path / "pacs", node_port=node_port) as pacs:
        send = [{"name": "pacs", "aet": "PACS", "host": HOST, "port": pacs.dicom_port}]
        with running_node(tmp_path / "node", settings(send=send, dicom={"port": node_port})) as node:
            send_by_storescu(tmp_path / "study", pacs.dicom_port)
            (study,) = wait_for(lambda: [each for each in node.studies() if each["state"] == "done"], "the result")
            key = study["key"]
            wait_for(lambda: all_sent(node, key, 2 + CAPTURES), "the results' way back")
            assert modalities(pacs, uid) == {"MR": 18, "SEG": 1, "SR": 1, "OT": CAPTURES}

            shown = node.study(key)
            assert not violations("node-study", shown)
            (result,) = shown["results"]
            there = {data_set(each) for kind in ("SEG", "SR", "OT") for each in pacs.files(kind)}
            folder = node.state / "results" / key / "1"
            assert there == {data_set(path.read_bytes()) for path in folder.rglob("*.dcm")}
            assert len(there) == 2 + CAPTURES
            (seg,), (sr,) = pacs.files("SEG"), pacs.files("SR")
            assert highdicom.seg.segread(BytesIO(seg)).StudyInstanceUID == uid
            report = highdicom.sr.srread(BytesIO(sr))
            assert report.PatientName == "Made^Patient"

            done = brainseg(
                "predict", BUNDLE, tmp_path / "study", "-o", tmp_path / "out", "--write", "nifti", "--no-register",
                "--provider", "cpu", "--variant", "fp32", "--json", "-",
            )  # fmt: skip
            (entry,) = json.loads(done.out)["studies"]
            assert result["volume_ml"] == entry["volume_ml"]
            mask = mask_by_itk(tmp_path / "out" / entry["name"] / "mask.nii.gz", GRID)
            frames = highdicom.seg.segread(BytesIO(seg))
            assert int(frames.pixel_array.sum()) == int(np.count_nonzero(mask)) > 0

            # The results made the study stable once more: the rule does not send it again, and nothing runs in circles.
            assert len(node.events("study_claimed")) == 1
            assert not node.events("loop_ended")
            assert node.stop() == 0
        patient = ("Made", "MADE-0001", "19500101", uid)
        assert not [text for text in patient if text in node.log_text()]


def test_a_late_series_opens_the_study_again_and_its_result_supersedes(tmp_path: Path) -> None:
    uid = made_study(tmp_path / "first", "flair")
    made_study(tmp_path / "second", "pre", "post")
    node_port = free_port()
    with orthanc(tmp_path / "pacs", node_port=node_port) as pacs:
        send = [{"name": "pacs", "aet": "PACS", "host": HOST, "port": pacs.dicom_port, "write": ["seg", "sr"]}]
        with running_node(tmp_path / "node", settings(send=send, dicom={"port": node_port})) as node:
            send_by_storescu(tmp_path / "first", pacs.dicom_port)
            wait_for(lambda: modalities(pacs, uid) == {"MR": 6, "SEG": 1, "SR": 1}, "the first result")
            send_by_storescu(tmp_path / "second", pacs.dicom_port)
            wait_for(lambda: modalities(pacs, uid) == {"MR": 18, "SEG": 2, "SR": 2}, "the second result")
            reports = [pydicom.dcmread(BytesIO(each)) for each in pacs.files("SR")]
            first, second = sorted(reports, key=lambda each: "PredecessorDocumentsSequence" in each)
            referred = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
            assert referred.ReferencedSOPInstanceUID == first.SOPInstanceUID
            (study,) = node.studies()
            assert (study["state"], study["revision"], study["images"]) == ("done", 2, 18)


def test_screen_captures_called_mr_do_not_keep_a_study_from_the_node(tmp_path: Path) -> None:
    made_study(tmp_path / "study", "pre", "flair", "post")
    capture = pydicom.dcmread(next((tmp_path / "study" / "pre").iterdir()))
    capture.SOPClassUID = capture.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    capture.SeriesInstanceUID, capture.SeriesNumber = UID(made_uid("captures")), 2
    capture.SOPInstanceUID = capture.file_meta.MediaStorageSOPInstanceUID = UID(made_uid("capture"))
    capture.save_as(tmp_path / "study" / "capture.dcm")
    node_port = free_port()
    with (
        orthanc(tmp_path / "pacs", node_port=node_port) as pacs,
        running_node(tmp_path / "node", settings(dicom={"port": node_port})) as node,
    ):
        send_by_storescu(tmp_path / "study", pacs.dicom_port)
        (study,) = node.wait_for_state("done")
        assert study["images"] == 18
        jobs = pacs.json("/jobs?expand")
        assert [each["State"] for each in jobs] == ["Success"]


def test_studies_that_a_drained_node_refuses_are_sent_again_also_by_a_pacs_that_was_started_again(
    tmp_path: Path,
) -> None:
    count = REMEMBERED + 2
    for number in range(count + 1):
        made_study(tmp_path / str(number), "flair", StudyInstanceUID=made_uid("study", number))
    node_port = free_port()
    with running_node(tmp_path / "node", settings(dicom={"port": node_port})) as node:
        node.client.ask("POST", "/drain")
        with orthanc(tmp_path / "pacs", node_port=node_port) as pacs:
            for number in range(count):
                send_by_storescu(tmp_path / str(number), pacs.dicom_port)
            wait_for(lambda: len(node.events("image_refused")) >= count, "a refusal of every study")
        assert len((tmp_path / "pacs" / "storage" / "brainseg-waiting").read_text().split()) == count
        node.client.ask("DELETE", "/drain")
        with orthanc(tmp_path / "pacs", node_port=node_port) as pacs:
            send_by_storescu(tmp_path / str(count), pacs.dicom_port)
            studies = node.wait_for_state("done", studies=count + 1)
            assert {each["images"] for each in studies} == {6}
            wait_for(lambda: not (tmp_path / "pacs" / "storage" / "brainseg-waiting").read_text(), "the last answer")
