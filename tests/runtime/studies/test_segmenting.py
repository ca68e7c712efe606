"""A study to a mask: bit for bit where nothing is resampled, in place where it is, and everything said."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_runtime import Segmenter
from brainseg_runtime.errors import ArgumentError, CancelledError
from brainseg_runtime.studies import segment_study
from brainseg_runtime.studies.geometry import Grid, Volume
from brainseg_runtime.studies.series import Role
from tests.runtime.command_line import BUNDLE
from tests.runtime.studies.made_studies import by_simpleitk, head_on, study_of
from tests.studies_made.patients import read_patient
from tests.studies_made.shapes import axial_grid, seen_along, turned

GRID = turned(axial_grid((8, 256, 256), spacing=(15.0, 0.9, 0.9)), degrees=(9, -4, 6))
MODEL = Segmenter.load(BUNDLE, provider="cpu")
PATIENTS = Path(os.environ.get("BRAINSEG_DATA", "data/kaggle_3m"))


def in_bytes(grid: Grid) -> dict[Role, Volume]:
    """Values of 0 to 255, so that the network's input is the voxels themselves."""
    return {
        role: Volume(voxels=np.clip(np.rint(each.voxels / 4.2), 0, 255).astype(np.float32), grid=grid)
        for role, each in head_on(grid).items()
    }


HEAD = in_bytes(GRID)
IMAGES = np.stack([HEAD["pre"].voxels, HEAD["flair"].voxels, HEAD["post"].voxels], axis=-1).astype(np.uint8)


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


@pytest.mark.parametrize("register", [True, False])
def test_slices_as_the_training_data_has_them_give_its_mask_bit_for_bit(*, register: bool) -> None:
    expected = MODEL.predict_volume(IMAGES)
    result = segment_study(MODEL, study_of(HEAD), register=register)
    assert expected.mask.any()
    np.testing.assert_array_equal(result.images, IMAGES)
    np.testing.assert_array_equal(result.mask, expected.mask)
    np.testing.assert_array_equal(result.probability, expected.probability)
    assert result.volume_ml == pytest.approx(expected.mask.sum() * 15 * 0.9 * 0.9 / 1000)
    assert result.grid is GRID


def test_another_order_of_axes_gives_the_same_mask_in_place() -> None:
    stored = {}
    for role, each in HEAD.items():
        voxels, grid = seen_along(each.voxels, GRID, (2, 0, 1), (False, True, False))
        stored[role] = Volume(voxels=np.asarray(voxels, np.float32), grid=grid)
    result = segment_study(MODEL, study_of(stored), register=False)
    back, _ = seen_along(MODEL.predict_volume(IMAGES).mask, GRID, (2, 0, 1), (False, True, False))
    np.testing.assert_array_equal(result.mask, back)


def test_t1s_on_other_grids_of_a_patient_who_moved_are_shown_in_place() -> None:
    """The network sees what the true motion would show it; by the headers alone it does not."""
    thick = axial_grid((24, 256, 256), spacing=(5.0, 0.9, 0.9))
    flair = in_bytes(thick)["flair"]
    other = turned(axial_grid((26, 200, 220), spacing=(5.0, 1.1, 1.0)), degrees=(6, 4, -5))
    drawn = head_on(replace(other, origin=other.origin + np.array([6.0, -5.0, 7.0])))
    t1s: dict[Role, Volume] = {"pre": drawn["pre"], "post": drawn["post"]}
    told: dict[Role, Volume] = {role: replace(each, grid=other) for role, each in t1s.items()}
    study = study_of({"flair": flair, **told})
    inside = flair.voxels > 60
    for register, least, most in ((True, 0.9, 1.0), (False, -1.0, 0.6)):
        images = segment_study(MODEL, study, register=register).images.astype(np.float64)
        for channel, each in ((0, t1s["pre"]), (2, t1s["post"])):
            true = by_simpleitk(each, thick).astype(np.float64)
            assert least < np.corrcoef(images[..., channel][inside], true[inside])[0, 1] <= most


def test_a_finer_flair_gives_the_mask_on_its_own_grid() -> None:
    fine = Grid(shape=(8, 512, 512), spacing=(15.0, 0.45, 0.45), directions=GRID.directions,
                origin=GRID.positions([0, -0.25, -0.25]))  # fmt: skip
    result = segment_study(MODEL, study_of(in_bytes(fine)), register=False)
    there = by_simpleitk(Volume(voxels=result.probability, grid=fine), GRID) >= (MODEL.info.provenance.threshold or 0.5)
    assert result.mask.shape == fine.shape
    assert dice(there, MODEL.predict_volume(IMAGES).mask > 0) > 0.9


def test_a_missing_sequence_is_flair_and_its_warning_comes_once() -> None:
    study = study_of({"flair": HEAD["flair"], "pre": HEAD["pre"]}, warnings=("missing sequence: post",))
    result = segment_study(MODEL, study)
    np.testing.assert_array_equal(result.images[..., 2], result.images[..., 1])
    assert result.warnings[0] == "missing sequence: post"
    assert not any("repeated channel" in each for each in result.warnings)
    assert set(result.registration) == {"pre"}


def test_a_threshold_of_the_callers_decides_and_is_told() -> None:
    result = segment_study(MODEL, study_of(HEAD), threshold=0.9, register=False)
    np.testing.assert_array_equal(result.mask, result.probability >= np.float32(0.9))
    assert any("0.9" in each for each in result.warnings)
    assert result.provenance.threshold == 0.9


def test_progress_grows_to_its_total() -> None:
    calls: list[tuple[int, int]] = []
    segment_study(MODEL, study_of(HEAD), progress=lambda done, total: calls.append((done, total)), register=False)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[-1] == (13, 13)  # three series read, two registered, eight slices


@pytest.mark.parametrize("asked", [1, 4, 8, 12])
def test_a_stop_is_obeyed_at_every_step(asked: int) -> None:
    count = 0

    def stop() -> bool:
        nonlocal count
        count += 1
        return count >= asked

    with pytest.raises(CancelledError):
        segment_study(MODEL, study_of(HEAD), cancelled=stop, register=False)
    assert count == asked


def test_seconds_name_every_part() -> None:
    parts = segment_study(MODEL, study_of(HEAD), register=False).seconds
    assert list(parts) == ["read", "scale", "register", "resample", "frame", "network", "back", "guard"]


@pytest.mark.parametrize("wrong", [{"threshold": 1.5}, {"progress": 3}, {"cancelled": "no"}])
def test_wrong_arguments_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ArgumentError):
        segment_study(MODEL, study_of(HEAD), **wrong)  # type: ignore[arg-type]


@pytest.mark.skipif(not PATIENTS.is_dir(), reason="BRAINSEG_DATA names no folder of kaggle_3m")
@pytest.mark.parametrize("name", ["TCGA_CS_4941_19960909", "TCGA_CS_6668_20011025", "TCGA_FG_6692_20020606"])
def test_patients_of_the_training_data_keep_their_mask_bit_for_bit(name: str) -> None:
    """With registration: their sequences lie in place, and it sees that."""
    if not (PATIENTS / name).is_dir():
        pytest.skip(f"{name} is not there")
    patient = read_patient(PATIENTS / name)
    grid = turned(axial_grid((len(patient.mask), 256, 256), spacing=(5.0, 0.9, 0.9)), degrees=(12, 0, 3))
    pre, flair, post = (
        Volume(voxels=np.ascontiguousarray(patient.images[..., channel], np.float32), grid=grid) for channel in range(3)
    )
    study = study_of({"pre": pre, "flair": flair, "post": post})
    result = segment_study(MODEL, study)
    np.testing.assert_array_equal(result.images, patient.images)
    np.testing.assert_array_equal(result.mask, MODEL.predict_volume(patient.images).mask)
