"""Patient and study of the source: copied, repaired where they break the standard, valid whatever comes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from brainseg_runtime.errors import DataError
from brainseg_runtime.studies.result import StudyResult
from tests.runtime.studies.written.made_results import made_result
from tests.runtime.studies.written.programs import errors
from tests.studies_made.series import Edit
from tests.studies_made.tags import STUDY

COPIED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge", "StudyInstanceUID", "StudyDate",
    "StudyTime", "StudyID", "AccessionNumber", "StudyDescription", "FrameOfReferenceUID",
)  # fmt: skip
ALL = ("seg", "sr", "sc", "rtstruct")


def written(result: StudyResult, out: Path, kinds: Sequence[str] = ("seg",)) -> tuple[Dataset, list[str]]:
    """The SEG, and the notes of the record; every object is valid."""
    for output in result.write(out, kinds):
        if output.file.endswith(".dcm"):
            assert not errors(out / output.file), output.file
    notes = json.loads((out / "study" / "study.json").read_text(encoding="utf-8"))["notes"]
    return pydicom.dcmread(out / "study" / "seg.dcm"), notes


def raw(**values: bytes) -> Edit:
    """An edit that puts bytes into a dataset as no writer would."""

    def edit(_: int, dataset: Dataset) -> Dataset:
        for keyword, value in values.items():
            tag = Tag(keyword)
            vr = pydicom.datadict.dictionary_VR(tag)
            dataset._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
        return dataset

    return edit


def test_patient_and_study_are_copied(tmp_path: Path) -> None:
    seg, notes = written(made_result(tmp_path / "in", alone=True), tmp_path / "out", ALL)
    for keyword in COPIED:
        assert str(seg[keyword].value) == str(STUDY[keyword]), keyword
    assert not notes


def test_nothing_private_and_no_institution_is_copied(tmp_path: Path) -> None:
    def private(_: int, dataset: Dataset) -> Dataset:
        block = dataset.private_block(0x0009, "MADE", create=True)
        block.add_new(1, "LO", "SECRET")
        dataset.OperatorsName = "SECRET"
        dataset.PatientComments = "SECRET"
        dataset.OtherPatientIDs = "SECRET"
        return dataset

    result = made_result(tmp_path / "in", alone=True, edit=private, tags={"InstitutionName": "SECRET"})
    for output in result.write(tmp_path / "out", ALL):
        assert b"SECRET" not in (tmp_path / "out" / output.file).read_bytes()


@pytest.mark.parametrize(
    ("keyword", "value", "expected"),
    [
        ("PatientSex", b"0000", ""),
        ("PatientSex", b"f ", "F"),
        ("PatientSex", b"male", "M"),
        ("PatientName", b"DOE^JANE\0\0\0\0", "DOE^JANE"),
        ("PatientName", b"DOE^JANE\0^REST\0", "DOE^JANE"),
        ("PatientName", b"A" * 90, "A" * 64),
        ("PatientName", b"A^B^C^D^E^F^G", "A^B^C^D^E"),
        ("PatientID", b"1\\2", "1"),
        ("PatientID", b"9" * 80, "9" * 64),
        ("PatientID", b"\x01\x02", ""),
        ("PatientBirthDate", b"1950.01.31", "19500131"),
        ("PatientBirthDate", b"unknown ", ""),
        ("PatientBirthDate", b"19501350", ""),
        ("PatientAge", b"50", None),
        ("PatientAge", b"0Y", None),
        ("PatientWeight", b"heavy ", None),
        ("PatientWeight", b"70.5", "70.5"),
        ("StudyTime", b"25:00", ""),
        ("StudyTime", b"101500.123", "101500.123"),
        ("StudyDate", b"20000102-20000103 ", ""),
        ("StudyID", b"a study's ID that is too long", "a study's ID tha"),
        ("AccessionNumber", b"\0\0\0\0", ""),
        ("PatientIdentityRemoved", b"yes ", "YES"),
    ],
)
def test_values_that_break_the_standard_are_repaired(
    tmp_path: Path, keyword: str, value: bytes, expected: str | None
) -> None:
    seg, notes = written(made_result(tmp_path / "in", alone=True, edit=raw(**{keyword: value})), tmp_path / "out", ALL)
    found = seg.get(keyword)
    assert (None if found is None else str(found)) == expected
    kept = value.decode("ascii").strip()
    assert bool(notes) == (expected != kept) or value.strip(b"\0 ").decode() == expected
    assert not [note for note in notes if keyword not in note]


@pytest.mark.parametrize("missing", [*COPIED, "SpecificCharacterSet", "SeriesNumber", "PositionReferenceIndicator"])
def test_a_missing_attribute_stops_nothing(tmp_path: Path, missing: str) -> None:
    result = made_result(tmp_path / "in", alone=True, without=[missing])
    seg, _ = written(result, tmp_path / "out", ALL)
    assert seg.StudyInstanceUID == result.study.uid
    assert seg.FrameOfReferenceUID


def test_a_header_of_nearly_nothing_stops_nothing(tmp_path: Path) -> None:
    result = made_result(tmp_path / "in", alone=True, without=[*STUDY])
    seg, _ = written(result, tmp_path / "out", ALL)
    assert seg.PatientName == seg.PatientID == seg.StudyDate == ""


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 192", "Μαρία^Ωμέγα"),
        ("ISO_IR 126", "Διονυσιος"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ],
)
def test_names_in_any_character_set_are_read_back_the_same(tmp_path: Path, charset: str | list[str], name: str) -> None:
    tags = {"SpecificCharacterSet": charset, "PatientName": name}
    seg, _ = written(made_result(tmp_path / "in", alone=True, tags=tags), tmp_path / "out", ALL)
    assert str(seg.PatientName) == name


@pytest.mark.parametrize(
    ("edit", "name"),
    [
        (raw(PatientName="Müller".encode("latin-1")), "M?ller"),
        (raw(PatientName="Müller".encode()), "Müller"),
        (raw(PatientName="Müller".encode(), SpecificCharacterSet=b"ISO_IR 999"), "Müller"),
        (raw(PatientName=b"\x1b$B\xff\xfe", SpecificCharacterSet=b"\\ISO 2022 IR 87 "), None),
    ],
)
def test_names_in_no_declared_character_set_are_kept_as_far_as_they_can_be_read(
    tmp_path: Path, edit: Callable[[int, Dataset], Dataset], name: str | None
) -> None:
    seg, notes = written(made_result(tmp_path / "in", alone=True, edit=edit), tmp_path / "out", ALL)
    assert name is None or str(seg.PatientName) == name
    assert notes


def test_a_wrong_vr_in_the_file_changes_nothing(tmp_path: Path) -> None:
    def edit(_: int, dataset: Dataset) -> Dataset:
        tag = Tag("PatientID")
        dataset._dict[tag] = RawDataElement(tag, "UN", 4, b"ID 7", 0, False, True)
        return dataset

    seg, _ = written(made_result(tmp_path / "in", alone=True, edit=edit), tmp_path / "out")
    assert seg.PatientID == "ID 7"


def test_a_source_that_is_gone_is_an_error_that_says_so(tmp_path: Path) -> None:
    result = made_result(tmp_path / "in", alone=True)
    result.study.flair.instances[0].path.unlink()
    with pytest.raises(DataError, match="keep the study's files in place"):
        result.write(tmp_path / "out", ["seg"])
    assert not (tmp_path / "out" / "study").exists()


def test_notes_never_hold_the_value(tmp_path: Path) -> None:
    names: dict[str, Any] = {"PatientName": b"SECRET\0^NAME" + b"X" * 99, "PatientID": b"SECRET\\1"}
    _, notes = written(made_result(tmp_path / "in", alone=True, edit=raw(**names)), tmp_path / "out")
    assert len(notes) >= 2
    assert "SECRET" not in str(notes)
