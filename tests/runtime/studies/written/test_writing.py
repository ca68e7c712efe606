"""The study's folder: whole or not at all, the same bytes when asked for, a record that fits its schema."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

from brainseg_runtime.errors import ArgumentError, FileWriteError, StudyError
from brainseg_runtime.studies.geometry import Volume
from brainseg_runtime.studies.result import StudyResult
from brainseg_runtime.studies.series import Series, SeriesHeader
from brainseg_runtime.studies.study import Choice, Study
from brainseg_runtime.studies.written import writing
from brainseg_runtime.studies.written.pictures import RED
from brainseg_runtime.studies.written.settings import SegmentSettings
from brainseg_runtime.studies.written.writing import KINDS, check_kinds
from tests.runtime.studies.written.made_results import AXIAL, SHAPE, made_result, result_of
from tests.runtime.studies.written.programs import errors
from tests.schemas.validation import violations
from tests.studies_made.shapes import made_head


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def nifti_result(path: Path) -> StudyResult:
    volume = Volume(voxels=made_head(AXIAL).flair.astype(np.float32), grid=AXIAL)
    series = Series(
        uid=str(path / "flair.nii.gz"),
        source="nifti",
        header=SeriesHeader(),
        grid=AXIAL,
        frame_of_reference="",
        load=lambda: volume,
    )
    choice = Choice(series=series, role="flair", reason="made")
    study = Study(uid="case", name="case", source="nifti", choices=(choice,), warnings=(), root=path)
    return result_of(study, AXIAL, volume.voxels)


def test_every_kind_is_written_and_listed_with_its_digest(tmp_path: Path) -> None:
    outputs = made_result(tmp_path / "in").write(tmp_path / "out", KINDS)
    written = files(tmp_path / "out")
    assert {output.file for output in outputs} == set(written)
    assert {output.kind for output in outputs} == {*KINDS, "record"}
    for output in outputs:
        assert output.sha256 == hashlib.sha256(written[output.file]).hexdigest()
    assert set(written) == {
        f"study/{name}"
        for name in (
            "seg.dcm", "sr.dcm", "rtstruct.dcm", "sc/0001.dcm", "sc/0002.dcm", "sc/0003.dcm", "sc/0004.dcm",
            "mask.nii.gz", "probability.nii.gz", "preview.png", "study.json",
        )
    }  # fmt: skip


def test_the_usual_kinds_of_a_dicom_study(tmp_path: Path) -> None:
    outputs = made_result(tmp_path / "in").write(tmp_path / "out")
    assert {output.kind for output in outputs} == {"seg", "sr", "sc", "nifti", "preview", "record"}


LONG_WARNINGS = (
    "fat-suppressed scalp: do not use the mask unchecked",
    *(f"reason {k}: " + "words " * 60 for k in range(4)),
)


@pytest.mark.parametrize("warnings", [(), LONG_WARNINGS[:1], LONG_WARNINGS], ids=["none", "one", "many and long"])
def test_every_file_states_the_warnings_where_a_reader_looks(tmp_path: Path, warnings: tuple[str, ...]) -> None:
    segment = SegmentSettings(label="L" * 64)
    made_result(tmp_path / "in", warnings=warnings).write(tmp_path / "out", KINDS, segment=segment)
    folder = tmp_path / "out" / "study"
    texts = {"seg.dcm": "SegmentDescription", "rtstruct.dcm": "StructureSetDescription"}
    texts |= {f"sc/000{number}.dcm": "ImageComments" for number in (1, 2, 3, 4)}
    for name in ("sr.dcm", *texts):
        assert not errors(folder / name)
        dataset = pydicom.dcmread(folder / name)
        assert dataset.SeriesDescription.endswith(" - WARNING") == bool(warnings), name
        assert len(dataset.SeriesDescription) <= 64
        if name in texts:
            said = (dataset.SegmentSequence[0] if name == "seg.dcm" else dataset)[texts[name]].value
            assert said.startswith("Warning: fat-suppressed scalp: do not use") == bool(warnings), name
            assert said.endswith("Research use only"), name
    assert (b"see warnings" in gzip.decompress((folder / "mask.nii.gz").read_bytes())[148:228]) == bool(warnings)
    pictures = [np.asarray(Image.open(folder / "preview.png"))]
    pictures += [pydicom.dcmread(folder / f"sc/000{number}.dcm").pixel_array for number in (1, 2, 3, 4)]
    for picture in pictures:
        assert (tuple(picture[0, 0]) == RED) == bool(warnings)


@pytest.mark.parametrize("case", [{}, {"mask": np.zeros(SHAPE, np.uint8)}, {"alone": True, "enhanced": True}])
@pytest.mark.parametrize("deterministic", [False, True])
def test_the_record_fits_its_schema(tmp_path: Path, case: dict[str, Any], deterministic: bool) -> None:
    result = made_result(tmp_path / "in", **case)
    outputs = result.write(tmp_path / "out", KINDS, deterministic_uids=deterministic)
    record = json.loads((tmp_path / "out" / "study" / "study.json").read_text(encoding="utf-8"))
    assert not violations("study", record)
    assert record["volume_ml"] == result.volume_ml
    assert record["voxels"] == result.mask.sum()
    assert {entry["role"]: entry["uid"] for entry in record["series"]} == {
        role: series.uid for role, series in result.study.roles.items()
    }
    assert [f"study/{each['file']}" for each in record["outputs"]] == [each.file for each in outputs[:-1]]
    assert record["model"]["bundle_digest"] == result.provenance.bundle_digest
    assert record["warnings"] == list(result.warnings)
    assert record["use"] == "Research use only"


def test_no_file_but_the_dicom_objects_says_who_the_patient_is(tmp_path: Path) -> None:
    tags = {"PatientName": "Quibble^Zed", "PatientID": "QUIBBLE77", "PatientBirthDate": "19470829"}
    for output in made_result(tmp_path / "in", tags=tags).write(tmp_path / "out", KINDS):
        data = (tmp_path / "out" / output.file).read_bytes()
        assert (b"QUIBBLE77" in data) == output.file.endswith(".dcm"), output.file
        if not output.file.endswith(".dcm"):
            assert not re.search(rb"Quibble|19470829", data)


def test_asked_for_the_same_bytes_whatever_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made_result(tmp_path / "1").write(tmp_path / "out1", KINDS, deterministic_uids=True)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Later:  # noqa: ANN401 - as datetime has it
            return cls(2031, 2, 3, 4, 5, 6, tzinfo=tz)

    monkeypatch.setattr(writing, "datetime", Later)
    second = made_result(tmp_path / "2").write(tmp_path / "out2", KINDS, deterministic_uids=True)
    assert files(tmp_path / "out1") == files(tmp_path / "out2")
    assert first == second


def test_a_kind_has_the_same_bytes_whatever_is_written_beside_it(tmp_path: Path) -> None:
    result = made_result(tmp_path / "in")
    result.write(tmp_path / "all", KINDS, deterministic_uids=True)
    result.write(tmp_path / "one", ["rtstruct"], deterministic_uids=True)
    assert files(tmp_path / "one")["study/rtstruct.dcm"] == files(tmp_path / "all")["study/rtstruct.dcm"]


@pytest.mark.parametrize(
    "changed",
    [
        lambda result: (replace(result, mask=result.mask[::-1].copy()), SegmentSettings()),
        lambda result: (replace(result, warnings=("other",)), SegmentSettings()),
        lambda result: (replace(result, provenance=replace(result.provenance, threshold=0.4)), SegmentSettings()),
        lambda result: (replace(result, flair=result.flair * np.linspace(0, 1, 48, dtype="f4")), SegmentSettings()),
        lambda result: (result, SegmentSettings(label="Other")),
    ],
)
def test_another_content_never_has_the_same_uid(tmp_path: Path, changed: Any) -> None:  # noqa: ANN401 - a function
    result = made_result(tmp_path / "in", alone=True)
    other, segment = changed(result)
    uids = set()
    for name, each, settings in (("1", result, SegmentSettings()), ("2", other, segment)):
        each.write(tmp_path / name, ["seg", "sc"], deterministic_uids=True, segment=settings)
        for path in (tmp_path / name).rglob("*.dcm"):
            uids.add(pydicom.dcmread(path).SOPInstanceUID)
    assert len(uids) == sum(1 for name in "12" for _ in (tmp_path / name).rglob("*.dcm"))


def test_uids_are_new_on_each_run(tmp_path: Path) -> None:
    result = made_result(tmp_path / "in", alone=True)
    found = []
    for name in "12":
        result.write(tmp_path / name, ["seg"])
        found.append(pydicom.dcmread(tmp_path / name / "study" / "seg.dcm"))
    assert found[0].SOPInstanceUID != found[1].SOPInstanceUID
    assert found[0].SeriesInstanceUID != found[1].SeriesInstanceUID
    assert found[0].StudyInstanceUID == found[1].StudyInstanceUID == result.study.uid
    assert found[0].FrameOfReferenceUID == found[1].FrameOfReferenceUID
    assert datetime.now().strftime("%Y") == found[0].ContentDate[:4]


def test_each_kind_is_a_series_of_its_own(tmp_path: Path) -> None:
    result = made_result(tmp_path / "in")
    result.write(tmp_path / "out", KINDS)
    found = [pydicom.dcmread(path) for path in (tmp_path / "out").rglob("*.dcm")]
    by_series = {each.SeriesInstanceUID: (each.Modality, int(each.SeriesNumber)) for each in found}
    assert sorted(by_series.values()) == [("OT", 303), ("RTSTRUCT", 304), ("SEG", 301), ("SR", 302)]


def test_masks_of_all_formats_agree(tmp_path: Path) -> None:
    result = made_result(tmp_path / "in")
    result.write(tmp_path / "out", ["seg", "nifti"])
    mask = np.asarray(nibabel.Nifti1Image.from_filename(tmp_path / "out" / "study" / "mask.nii.gz").dataobj)
    frames = pydicom.dcmread(tmp_path / "out" / "study" / "seg.dcm").pixel_array
    assert np.array_equal(mask.transpose(2, 1, 0), frames)
    assert np.array_equal(frames, result.mask)


def test_a_nifti_study_gives_nifti_and_a_preview(tmp_path: Path) -> None:
    outputs = nifti_result(tmp_path).write(tmp_path / "out")
    assert {output.file for output in outputs} == {
        "case/mask.nii.gz", "case/probability.nii.gz", "case/preview.png", "case/study.json",
    }  # fmt: skip
    record = json.loads((tmp_path / "out" / "case" / "study.json").read_text(encoding="utf-8"))
    assert not violations("study", record)
    assert record["series"][0]["uid"] == "flair.nii.gz"
    with Image.open(tmp_path / "out" / "case" / "preview.png") as picture:
        assert picture.mode == "RGB"


@pytest.mark.parametrize("kind", ["seg", "sr", "sc", "rtstruct"])
def test_dicom_objects_of_a_nifti_study_are_an_error_that_says_why(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ArgumentError, match="NIfTI study, which has no patient, study and images"):
        nifti_result(tmp_path).write(tmp_path / "out", [kind, "nifti"])
    assert not (tmp_path / "out").exists()


def test_an_unknown_kind_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="expected seg, sr, sc, rtstruct, nifti, preview; got pdf"):
        made_result(tmp_path / "in").write(tmp_path / "out", ["pdf"])


def test_the_report_brings_the_segmentation_that_it_refers_to() -> None:
    assert check_kinds(["sr"], "dicom") == ("seg", "sr")


def test_a_second_run_replaces_the_first_ones_files(tmp_path: Path) -> None:
    result = made_result(tmp_path / "in")
    result.write(tmp_path / "out", KINDS)
    result.write(tmp_path / "out", ["preview"])
    assert set(files(tmp_path / "out")) == {"study/preview.png", "study/study.json"}


@pytest.mark.parametrize("name", ["notes.txt", "sc/picture.png", "IM0001.dcm"])
def test_a_folder_with_anything_else_in_it_is_left_alone(tmp_path: Path, name: str) -> None:
    result = made_result(tmp_path / "in")
    result.write(tmp_path / "out", ["preview", "sc"])
    (tmp_path / "out" / "study" / name).write_bytes(b"mine")
    before = files(tmp_path / "out")
    with pytest.raises(FileWriteError, match=f"an earlier run's files with their study.json; got {name}"):
        result.write(tmp_path / "out", ["seg"])
    assert files(tmp_path / "out") == before


def test_files_of_the_same_names_without_a_record_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out" / "study").mkdir(parents=True)
    (tmp_path / "out" / "study" / "seg.dcm").write_bytes(b"mine")
    with pytest.raises(FileWriteError):
        made_result(tmp_path / "in").write(tmp_path / "out", ["seg"])
    assert files(tmp_path / "out") == {"study/seg.dcm": b"mine"}


def test_a_fault_on_the_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = made_result(tmp_path / "in")
    result.write(tmp_path / "out", ["seg"])
    before = files(tmp_path / "out")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FileWriteError, match="No space left on device"):
        result.write(tmp_path / "out", KINDS)
    monkeypatch.undo()
    assert files(tmp_path / "out") == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["study"]


@pytest.mark.parametrize(
    "faulty",
    [
        lambda result: replace(result, mask=result.mask[:-1]),
        lambda result: replace(result, probability=result.probability[:, :-1]),
        lambda result: replace(result, mask=result.mask * np.uint8(255)),
        lambda result: replace(result, grid=replace(result.grid, shape=(7, 40, 48))),
    ],
)
def test_a_result_that_does_not_fit_its_series_is_never_written(tmp_path: Path, faulty: Any) -> None:  # noqa: ANN401
    with pytest.raises(StudyError):
        faulty(made_result(tmp_path / "in")).write(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kinds", ["seg", 3, [1], [None], b"seg"])
def test_kinds_that_are_no_list_of_names_are_refused(kinds: object) -> None:
    with pytest.raises(ArgumentError, match="no list of names"):
        check_kinds(kinds, "dicom")  # type: ignore[arg-type]


@pytest.mark.parametrize("changed", [{"out": None}, {"out": 3}, {"segment": "Tumour"}])
def test_other_arguments_of_the_wrong_type_are_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        made_result(tmp_path / "study").write(**{"out": tmp_path / "out", **changed})
    assert not (tmp_path / "out").exists()
