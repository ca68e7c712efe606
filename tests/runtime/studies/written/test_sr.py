"""SR: valid, after TID 1500, and read by dcmqi, dcmtk and highdicom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest

from brainseg_runtime.studies.result import StudyResult
from brainseg_runtime.studies.written.contours import long_axis
from tests.runtime.studies.written.made_results import SHAPE, made_result
from tests.runtime.studies.written.programs import errors, program

CASES: dict[str, dict[str, Any]] = {
    "a finding": {},
    "one file of many frames": {"enhanced": True},
    "no finding": {"mask": np.zeros(SHAPE, np.uint8)},
    "no T1s, no warnings": {"alone": True, "warnings": ()},
}
EVERY = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def written(result: StudyResult, out: Path) -> Path:
    result.write(out, ["sr"])
    return out / "study" / "sr.dcm"


@EVERY
def test_the_checker_of_the_standard_finds_no_error(tmp_path: Path, case: dict[str, Any]) -> None:
    assert not errors(written(made_result(tmp_path / "in", **case), tmp_path / "out"))


@EVERY
def test_dcmqi_reads_the_measurements(tmp_path: Path, case: dict[str, Any]) -> None:
    result = made_result(tmp_path / "in", **case)
    path = written(result, tmp_path / "out")
    program("tid1500reader", "--inputDICOM", path, "--outputMetadata", tmp_path / "sr.json")
    (found,) = json.loads((tmp_path / "sr.json").read_text(encoding="utf-8"))["Measurements"]
    values = {each["quantity"]["CodeMeaning"]: float(each["value"]) for each in found["measurementItems"]}
    axis = long_axis(result.mask, result.grid.spacing)
    assert values["Volume"] == pytest.approx(result.volume_ml, abs=5e-4)
    if axis is None:
        assert set(values) == {"Volume"}
    else:
        assert values["Long Axis"] == pytest.approx(axis.mm, abs=5e-4)
    assert found["TrackingIdentifier"] == "FLAIR abnormality"
    assert found["ReferencedSegment"] == 1
    assert found["SourceSeriesForImageSegmentation"] == result.study.flair.uid


def test_dcmtk_shows_a_reader_the_finding_the_warnings_and_the_use(tmp_path: Path) -> None:
    path = written(made_result(tmp_path / "in", warnings=("the T1 before contrast is missing",)), tmp_path / "out")
    program("dsr2html", path, tmp_path / "sr.html")
    page = (tmp_path / "sr.html").read_text(encoding="utf-8", errors="replace")
    for words in ("15.81", "mL", "Long Axis", "the T1 before contrast is missing", "Research use only", "tiny 1.0.0"):
        assert words in page


def test_highdicom_reads_it_as_a_report_that_refers_to_the_seg(tmp_path: Path) -> None:
    result = made_result(tmp_path / "in")
    path = written(result, tmp_path / "out")
    report: Any = highdicom.sr.srread(path)
    seg = pydicom.dcmread(tmp_path / "out" / "study" / "seg.dcm")
    (group,) = report.content.get_volumetric_roi_measurement_groups()
    assert group.referenced_segment.referenced_sop_instance_uid == seg.SOPInstanceUID
    assert group.tracking_uid == seg.SegmentSequence[0].TrackingUID
    assert group.finding_category.value == "49755003"
    assert [measured.unit.value for measured in group.get_measurements()] == ["mL", "mm"]
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    uids = {series.SeriesInstanceUID for series in evidence}
    assert uids == {seg.SeriesInstanceUID} | {series.uid for series in result.study.roles.values()}
