"""Studies that scanners made: in place against a published mask, a healthy head warned of, read as SimpleITK reads."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_runtime import Segmenter
from brainseg_runtime.errors import StudyError
from brainseg_runtime.studies import StudyResult, find_studies, read_study, segment_study
from brainseg_runtime.studies.frame import Frame
from brainseg_runtime.studies.geometry import Volume
from brainseg_runtime.studies.intensity import grey_levels
from brainseg_runtime.studies.registration.resampling import resample
from brainseg_runtime.studies.registration.rigid import register
from brainseg_runtime.studies.series import Role
from tests.runtime.studies.made_studies import study_of
from tests.studies_made.patients import read_patient
from tests.studies_made.series import write_study
from tests.studies_made.shapes import axial_grid, turned

PATIENTS = Path(os.environ.get("BRAINSEG_DATA", "data/kaggle_3m"))
STUDIES = Path(os.environ.get("BRAINSEG_STUDIES", "data/studies"))
NATIVE, HEALTHY, PUBLISHED = STUDIES / "TCGA-FG-6692", STUDIES / "MS-01", PATIENTS / "TCGA_FG_6692_20020606"
SCANNERS = STUDIES.parent / "dicom"
NETWORKS = ("deeplab", "resunet", "unet")

needs_native = pytest.mark.skipif(
    not NATIVE.is_dir() or not PUBLISHED.is_dir(),
    reason="BRAINSEG_STUDIES and BRAINSEG_DATA name no native study and its published mask",
)


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


def published() -> NDArray[np.float32]:
    """The published mask in the T1's frame: the slices are the T1's, cropped, one column further to the left."""
    return np.roll(read_patient(PUBLISHED).mask, -1, axis=2).astype(np.float32)


def agreement(result: StudyResult) -> float:
    """Dice against the published mask, brought onto FLAIR's grid."""
    t1 = grey_levels(result.study.roles["pre"].load(), "T1")
    on_t1 = Volume(voxels=Frame.of(t1).back(published()), grid=t1.grid)
    return dice(result.mask > 0, resample(on_t1, result.grid, result.registration["pre"].matrix).voxels >= 0.5)


@needs_native
@pytest.mark.parametrize("network", NETWORKS)
def test_a_native_study_agrees_with_the_published_mask(network: str) -> None:
    result = segment_study(Segmenter.load(f"models/{network}", provider="cpu"), read_study(NATIVE))
    assert agreement(result) >= 0.82


@needs_native
def test_a_native_study_wrapped_as_dicom_agrees_as_well(tmp_path: Path) -> None:
    volumes = {role: series.load() for role, series in read_study(NATIVE).roles.items()}
    voxels = {str(role): np.rint(volume.voxels) for role, volume in volumes.items()}
    write_study(tmp_path, voxels, {str(role): volume.grid for role, volume in volumes.items()})
    result = segment_study(Segmenter.load("models/deeplab", provider="cpu"), read_study(tmp_path))
    assert agreement(result) >= 0.82


@needs_native
def test_in_the_training_sets_own_frame_the_network_agrees_as_on_the_published_slices() -> None:
    """FLAIR and the post-contrast T1 brought onto the pre-contrast T1, as the published slices were made."""
    roles = read_study(NATIVE).roles
    levels = {role: grey_levels(series.load(), role) for role, series in roles.items()}
    t1 = levels["pre"]
    placed: dict[Role, Volume] = {"pre": t1}
    for role in ("flair", "post"):
        placed[role] = resample(levels[role], t1.grid, register(levels[role], t1).matrix)
    images = Frame.of(t1).take(placed)
    segmenter = Segmenter.load("models/deeplab", provider="cpu")
    reader = read_patient(PUBLISHED)
    found, asked = (segmenter.predict_volume(each).mask > 0 for each in (images, reader.images))
    assert dice(found, published() > 0) >= max(0.84, dice(asked, reader.mask > 0) - 0.01)


@pytest.mark.skipif(not HEALTHY.is_dir(), reason="BRAINSEG_STUDIES names no head without tumour")
@pytest.mark.parametrize("network", NETWORKS)
def test_a_fat_suppressed_head_without_tumour_carries_a_warning(network: str) -> None:
    result = segment_study(Segmenter.load(f"models/{network}", provider="cpu"), read_study(HEALTHY))
    (said,) = [text for text in result.warnings if text.startswith("fat-suppressed scalp")]
    assert "do not use the mask unchecked" in said


@pytest.mark.skipif(not PATIENTS.is_dir(), reason="BRAINSEG_DATA names no folder of kaggle_3m")
def test_moved_t1s_on_other_grids_give_nearly_the_mask_of_the_slices() -> None:
    folder = next(each for each in sorted(PATIENTS.iterdir()) if each.is_dir() and read_patient(each).mask.any())
    patient = read_patient(folder)
    grid = turned(axial_grid((len(patient.mask), 256, 256), spacing=(5.0, 0.9, 0.9)), degrees=(12, 0, 3))
    pre, flair, post = (
        Volume(voxels=np.ascontiguousarray(patient.images[..., channel], np.float32), grid=grid) for channel in range(3)
    )
    finer = turned(axial_grid((2 * len(patient.mask), 288, 288), spacing=(2.5, 0.85, 0.85)), degrees=(14, 2, 1))
    moved = np.eye(4)
    moved[:3, 3] = 3.0, -4.0, 2.0
    study = study_of({"flair": flair, "pre": resample(pre, finer, moved), "post": resample(post, finer, moved)})
    segmenter = Segmenter.load("models/deeplab", provider="cpu")
    result = segment_study(segmenter, study)
    assert dice(result.mask > 0, segmenter.predict_volume(patient.images).mask > 0) >= 0.97


@pytest.mark.skipif(not SCANNERS.is_dir(), reason="no folder of scanners' DICOM lies beside BRAINSEG_STUDIES")
@pytest.mark.parametrize(
    "name", ["generic/anatomical", "generic/compressed_rle", "generic/compressed_jpegls", "philips_enhanced/anatomical"]
)
def test_scanners_files_are_read_as_simpleitk_reads_them(name: str) -> None:
    itk = pytest.importorskip("SimpleITK")
    (found,) = find_studies([SCANNERS / name])
    (series,) = [each for each in found.series if each.grid is not None]
    read = series.load()
    names = [str(path) for path in dict.fromkeys(each.path for each in series.instances)]
    image = itk.ReadImage(names if len(names) > 1 else names[0])
    np.testing.assert_allclose(read.voxels, itk.GetArrayFromImage(image), rtol=1e-6, atol=1e-3)
    np.testing.assert_allclose(read.grid.origin, image.GetOrigin(), atol=1e-3)
    np.testing.assert_allclose(read.grid.spacing[::-1], image.GetSpacing(), atol=1e-3)


@pytest.mark.skipif(not SCANNERS.is_dir(), reason="no folder of scanners' DICOM lies beside BRAINSEG_STUDIES")
@pytest.mark.parametrize("name", ["failing/gantrytilting", "failing/sliceincrement"])
def test_scanners_faulty_series_are_refused(name: str) -> None:
    (found,) = find_studies([SCANNERS / name])
    assert [each.fault for each in found.series if each.fault is not None]
    with pytest.raises(StudyError):
        found.read()
