"""T1s on FLAIR's grid: what does not fit is an error, and what is not covered is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from brainseg_runtime.errors import StudyError
from brainseg_runtime.studies.geometry import Volume
from brainseg_runtime.studies.registration.alignment import Aligned, aligned, registered
from tests.runtime.studies.made_studies import head_on, study_of
from tests.studies_made.shapes import axial_grid

GRID = axial_grid((24, 96, 96), spacing=(5.0, 2.4, 2.4))
HEAD = head_on(GRID)
SERIES = study_of(HEAD).roles


def by_header(pre: Volume) -> Aligned:
    levels = {"flair": HEAD["flair"], "pre": pre}
    return aligned(levels, SERIES, registered(levels, SERIES, by_content=False), axis=0)  # type: ignore[arg-type]


def part(first: int, last: int) -> Volume:
    grid = replace(GRID, shape=(last - first, 96, 96), origin=GRID.positions([first, 0, 0]))
    return Volume(voxels=HEAD["pre"].voxels[first:last], grid=grid)


def test_what_lies_on_flairs_grid_is_taken_as_it_is() -> None:
    placed = aligned(HEAD, SERIES, registered(HEAD, SERIES), axis=0)
    for role in ("pre", "post", "flair"):
        np.testing.assert_array_equal(placed.volumes[role].voxels, HEAD[role].voxels)
    assert placed.warnings == ()
    assert not placed.repeats


def test_slices_that_a_t1_does_not_reach_show_flair_and_are_told() -> None:
    placed = by_header(part(0, 14))
    pre = placed.volumes["pre"].voxels
    np.testing.assert_allclose(pre[:14], HEAD["pre"].voxels[:14], atol=1e-6)
    np.testing.assert_array_equal(pre[14:], HEAD["flair"].voxels[14:])
    assert placed.repeats
    assert any("field of view" in each and "T1 before contrast" in each for each in placed.warnings)


def test_a_t1_of_fewer_slices_is_registered_all_the_same() -> None:
    levels = {"flair": HEAD["flair"], "pre": part(5, 19)}
    found = registered(levels, SERIES)["pre"]  # type: ignore[arg-type]
    points = np.random.default_rng(1).uniform(-60, 60, (200, 3))
    off = points @ found.matrix[:3, :3].T + found.matrix[:3, 3] - points
    assert np.linalg.norm(off, axis=1).mean() < 1.2


def test_a_t1_that_is_no_such_head_is_refused() -> None:
    noise = Volume(voxels=np.random.default_rng(1).rayleigh(60, GRID.shape).astype(np.float32), grid=GRID)
    with pytest.raises(StudyError, match=r"T1 after contrast does not fit FLAIR.*--no-register"):
        registered({**HEAD, "post": noise}, SERIES)


def test_without_registration_a_misfit_is_a_warning() -> None:
    noise = Volume(voxels=np.random.default_rng(1).rayleigh(60, GRID.shape).astype(np.float32), grid=GRID)
    assert any("does not fit FLAIR" in each for each in by_header(noise).warnings)


@pytest.mark.parametrize("by_content", [True, False])
def test_another_frame_of_reference_is_told(*, by_content: bool) -> None:
    series = study_of(HEAD, frames={"post": "9.9"}).roles
    warnings = aligned(HEAD, series, registered(HEAD, series, by_content=by_content), axis=0).warnings
    (told,) = (each for each in warnings if "frame of reference" in each)
    assert "T1 after contrast" in told
    assert ("guess" in told) is not by_content


def test_a_header_without_a_frame_of_reference_is_taken_at_its_word() -> None:
    series = study_of(HEAD, frames={"post": ""}).roles
    assert not aligned(HEAD, series, registered(HEAD, series), axis=0).warnings
