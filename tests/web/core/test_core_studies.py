"""Studies in the browser: the runtime's slices, masks and warnings where series share a grid, else a fault."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_runtime import Segmenter
from brainseg_runtime.images.slices import read_mask
from brainseg_runtime.studies import StudyResult, read_study, segment_study
from brainseg_runtime.studies.geometry import Grid
from tests.runtime.studies.written.programs import errors
from tests.studies_made import faults
from tests.studies_made.enhanced import write_enhanced
from tests.studies_made.nifti import write_nifti
from tests.studies_made.readback import mask_by_dcmqi, mask_by_itk
from tests.studies_made.series import write_series, write_study
from tests.studies_made.shapes import axial_grid, made_head, seen_along, turned
from tests.studies_made.tags import FLAIR
from tests.web.core.core_page import CorePage, folder
from tests.web.core.same_reading import KINDS, kinds
from tests.web.core.test_core_bundles import TINY

STUDIES = Path(os.environ.get("BRAINSEG_STUDIES", "data/studies"))
MODEL = Segmenter.load(TINY, provider="cpu", variant="fp32")
COPIED = axial_grid((6, 256, 256), spacing=(12.0, 0.9, 0.9))
RESAMPLED = turned(axial_grid((7, 192, 224), spacing=(10.0, 1.1, 1.1)), degrees=(9, -4, 6))
CODES = {
    "missing sequence": "sequence-missing", "no head": "no-head", "bright background": "bright-background",
    "empty slices": "empty-slices",
    "sequence order": "sequence-order", "fat-suppressed scalp": "fat-suppressed", "skull-stripped": "skull-stripped",
    "saturation": "saturation", "no axial head": "no-axial-head", "coverage": "coverage", "alignment": "alignment",
    "motion": "motion", "size": "size", "implausible mask": "implausible-mask", "scattered mask": "scattered-mask",
    "mask at the edge": "mask-at-edge", "constant channel": "constant-channel", "repeated channel": "repeated-channel",
}  # fmt: skip
"""The page's code of each of the runtime's warnings, by its first words."""


def codes(warnings: tuple[str, ...]) -> set[str]:
    """The page's codes for the runtime's warnings; those on registration are the study command's."""
    found = set()
    for warning in warnings:
        kind = re.sub(r"^\d+ of \d+ slices: ", "", warning).partition(":")[0]
        if kind == "field of view":
            found.add("field-of-view-cut" if "cut off" in warning else "field-of-view-small")
        elif kind == "intensity range":
            found.add("intensity-mean" if "mean" in warning else "intensity-peak")
        elif any(re.search(pattern, warning) for pattern in KINDS.values()) and kind != "missing sequence":
            found |= kinds((warning,))
        elif kind not in ("registration", "frame of reference") and not kind.startswith("masks are made at"):
            found.add(CODES.get(kind, kind))
    return found


def head(grid: Grid) -> dict[str, NDArray[Any]]:
    made = made_head(grid)
    return {"pre": made.pre, "flair": made.flair, "post": made.post}


def nifti(where: Path, volumes: Mapping[str, NDArray[Any]], grid: Grid) -> Path:
    where.mkdir()
    for name, voxels in zip(("t1", "flair", "t1ce"), volumes.values(), strict=False):
        write_nifti(where / f"P1_{name}.nii.gz", voxels, grid)
    return where


def compared(core: CorePage, study: Path, **options: object) -> tuple[StudyResult, dict[str, Any]]:
    """A study segmented by both; slices and masks must be equal in every voxel, and warnings of one kind."""
    expected = segment_study(MODEL, read_study(study), register=False, **options)  # type: ignore[arg-type]
    saved = {name: name for name in ("pixels", "mask", "source", "tiff")} | {"nifti": "mask.nii.gz"}
    answer = core.ask("segment", bundle=folder(TINY), variant="fp32", files=folder(study), save=saved, **options)
    assert "fault" not in answer, answer
    np.testing.assert_array_equal(core.values("pixels", "u1", *expected.images.shape), expected.images)
    np.testing.assert_array_equal(core.values("source", "u1", *expected.mask.shape), expected.mask)
    assert answer["ml"] == pytest.approx(expected.volume_ml)
    told = {each["code"] for each in answer["warnings"]} - {"no-registration", "frame-of-reference"}
    assert told == codes(expected.warnings)
    return expected, answer


@pytest.mark.parametrize("grid", [COPIED, RESAMPLED], ids=["copied", "resampled"])
@pytest.mark.parametrize("kind", ["dicom", "nifti"])
def test_a_study_on_one_grid_gives_the_runtimes_mask(core: CorePage, tmp_path: Path, kind: str, grid: Grid) -> None:
    study = tmp_path / "study"
    if kind == "dicom":
        write_study(study, head(grid), grid, shuffle=3)
    else:
        nifti(study, head(grid), grid)
    expected, _ = compared(core, study)
    assert expected.mask.any()
    image: Any = nibabel.load(core.result("mask.nii.gz"))
    np.testing.assert_array_equal(np.asarray(image.dataobj).T, expected.mask)
    (tmp_path / "mask.nii.gz").write_bytes(core.result("mask.nii.gz").read_bytes())
    np.testing.assert_array_equal(mask_by_itk(tmp_path / "mask.nii.gz", expected.grid), expected.mask)
    (tmp_path / "masks").mkdir()
    with zipfile.ZipFile(core.result("tiff")) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "masks")
    slices = [read_mask(path) for path in sorted((tmp_path / "masks").iterdir())]
    np.testing.assert_array_equal(np.stack(slices), expected.mask)


def test_another_threshold_is_taken_on_the_sources_grid(core: CorePage, tmp_path: Path) -> None:
    compared(core, nifti(tmp_path / "study", head(RESAMPLED), RESAMPLED), threshold=0.3)


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 2, 0)])
def test_sagittal_and_coronal_acquisitions_are_cut_axially(
    core: CorePage, tmp_path: Path, order: tuple[int, int, int]
) -> None:
    grid = axial_grid((48, 96, 96), spacing=(3.0, 2.4, 2.4))
    seen = {role: seen_along(voxels, grid, order, (False, True, False)) for role, voxels in head(grid).items()}
    volumes = {role: voxels for role, (voxels, _) in seen.items()}
    compared(core, nifti(tmp_path / "study", volumes, seen["flair"][1]))


def test_flair_alone_stands_for_the_others(core: CorePage, tmp_path: Path) -> None:
    write_series(tmp_path / "study/flair", made_head(COPIED).flair, COPIED)
    compared(core, tmp_path / "study")


@pytest.mark.parametrize("role", ["flair", "post"])
def test_slices_that_show_nothing_between_others_are_told(core: CorePage, tmp_path: Path, role: str) -> None:
    volumes = head(COPIED)
    volumes[role][2:4] = 0
    expected, _ = compared(core, nifti(tmp_path / "study", volumes, COPIED))
    name = {"flair": "FLAIR", "post": "T1 after contrast"}[role]
    told = f"empty slices: 2 of 6 slices of {name} show nothing although slices on both sides do"
    assert any(each.startswith(told) for each in expected.warnings), expected.warnings


def test_slices_that_show_nothing_at_the_ends_are_no_fault(core: CorePage, tmp_path: Path) -> None:
    volumes = head(COPIED)
    for voxels in volumes.values():
        voxels[[0, -1]] = 0
    expected, _ = compared(core, nifti(tmp_path / "study", volumes, COPIED))
    assert not [each for each in expected.warnings if each.startswith("empty slices")]


def test_an_enhanced_object_gives_the_runtimes_mask(core: CorePage, tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    write_enhanced(tmp_path / "study/flair.dcm", made_head(COPIED).flair, COPIED, tags=FLAIR)
    compared(core, tmp_path / "study")


@pytest.mark.parametrize("grid", [COPIED, RESAMPLED], ids=["copied", "resampled"])
def test_the_segmentation_is_valid_and_in_place(core: CorePage, tmp_path: Path, grid: Grid) -> None:
    study = write_study(tmp_path / "study", head(grid), grid)
    expected = segment_study(MODEL, read_study(study), register=False)
    core.ask("segment", bundle=folder(TINY), variant="fp32", files=folder(study), save={"seg": "seg.dcm"})
    seg = core.result("seg.dcm")
    assert errors(seg) == []
    np.testing.assert_array_equal(mask_by_dcmqi(seg, expected.grid, tmp_path / "dcmqi"), expected.mask)
    highdicom = pytest.importorskip("highdicom")
    read = highdicom.seg.segread(seg)
    assert read.number_of_segments == 1
    uids = [each.sop_uid for each in expected.study.flair.instances]
    pixels = read.get_pixels_by_source_instance(uids, segment_numbers=[1])[..., 0]
    np.testing.assert_array_equal(pixels, expected.mask)


def test_a_segmentation_needs_a_dicom_study(core: CorePage, tmp_path: Path) -> None:
    study = nifti(tmp_path / "study", head(COPIED), COPIED)
    answer = core.ask("segment", bundle=folder(TINY), variant="fp32", files=folder(study), save={"seg": "no.dcm"})
    assert answer["fault"] == "output-kind"


def test_series_on_other_grids_need_the_study_command(core: CorePage, tmp_path: Path) -> None:
    grids = {
        role: axial_grid((6, 128, 128), spacing=(12.0, step, step))
        for role, step in (("pre", 1.8), ("flair", 1.7), ("post", 1.6))
    }
    volumes = {role: head(grid)[role] for role, grid in grids.items()}
    write_study(tmp_path / "study", volumes, grids)
    assert core.ask("open", files=folder(tmp_path / "study"))["fault"] == "grids-differ"


EDITS = {
    "a gap": faults.missing(3),
    "a shift": faults.moved({4: 4.0}),
    "a tilt": faults.sheared(6.0),
    "no position": faults.changed(ImagePositionPatient=None),
    "another spacing": faults.changed_in([2], PixelSpacing=[1.0, 1.0]),
}


@pytest.mark.parametrize("what", EDITS)
def test_slices_on_no_regular_grid_are_a_fault(core: CorePage, tmp_path: Path, what: str) -> None:
    grid = axial_grid((8, 64, 64), spacing=(10.0, 3.6, 3.6))
    write_series(tmp_path / "study/flair", made_head(grid).flair, grid, edit=EDITS[what])
    assert core.ask("open", files=folder(tmp_path / "study"))["fault"] in {"geometry", "dicom-damaged"}


def test_damaged_files_are_faults_and_none_hangs(core: CorePage, tmp_path: Path) -> None:
    grid = axial_grid((3, 64, 64), spacing=(30.0, 3.6, 3.6))
    paths = write_series(tmp_path / "study/flair", made_head(grid).flair, grid)
    whole = paths[1].read_bytes()
    for size in (len(whole) // 2, len(whole) - 9):
        paths[1].write_bytes(whole[:size])
        assert core.ask("open", files=folder(tmp_path / "study"))["fault"] == "dicom-damaged", size
    for size in (140, 400):  # what cannot be read at all is left out with a word
        paths[1].write_bytes(whole[:size])
        answer = core.ask("open", files=folder(tmp_path / "study"))
        assert "file-unread" in {each["code"] for each in answer["warnings"]}, size
    file = write_nifti(tmp_path / "P1_flair.nii.gz", made_head(grid).flair, grid)
    whole = file.read_bytes()
    for size in (0, 1, 30, len(whole) // 2, len(whole) - 9):
        file.write_bytes(whole[:size])
        assert core.ask("open", files=[(str(file), file.name)]).get("fault") == "nifti-damaged", size


@pytest.mark.skipif(not STUDIES.is_dir(), reason="BRAINSEG_STUDIES names no folder of native studies")
def test_native_studies_with_grids_of_their_own_need_the_study_command(core: CorePage) -> None:
    for study in sorted(each for each in STUDIES.iterdir() if each.is_dir()):
        assert core.ask("open", files=folder(study))["fault"] == "grids-differ", study.name


@pytest.mark.skipif(not STUDIES.is_dir(), reason="BRAINSEG_STUDIES names no folder of native studies")
def test_a_native_flair_alone_gives_the_runtimes_mask(core: CorePage, tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    native = next(STUDIES.glob("TCGA*/flair.nii.gz"))
    (tmp_path / "study/flair.nii.gz").write_bytes(native.read_bytes())
    compared(core, tmp_path / "study")
