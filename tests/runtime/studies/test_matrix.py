"""The geometry matrix, end to end: a study on the disk, `brainseg predict`, and the SEG as dcmqi reads it.

The truth is the mask that the same voxels give as slices. What needs no registration must equal it bit for bit, in
place; what cannot be right is an error that names the fault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_runtime import Segmenter
from brainseg_runtime.studies.geometry import Grid
from tests.runtime.command_line import BUNDLE, brainseg
from tests.studies_made import faults
from tests.studies_made.enhanced import write_enhanced
from tests.studies_made.readback import mask_by_dcmqi, mask_by_itk
from tests.studies_made.series import Edit, Stored, write_series, write_study
from tests.studies_made.shapes import as_acquired, axial_grid, made_head, seen_along, turned
from tests.studies_made.syntaxes import SYNTAXES, transcode
from tests.studies_made.tags import BY_ROLE, OPTIONAL
from tests.studies_made.uids import made_uid

GRID = axial_grid((4, 256, 256), spacing=(18.0, 0.9, 0.9), centre=(4.0, -11.0, 23.0))
Volumes = Mapping[str, NDArray[Any]]
Writer = Callable[[Path, Volumes], object]


def volumes(grid: Grid = GRID) -> dict[str, NDArray[np.int32]]:
    """A head with values from 0 to 255, so that the network's input is the voxels themselves."""
    head = made_head(replace(grid, origin=grid.origin - GRID.positions((np.array(GRID.shape) - 1) / 2)))
    return {role: np.minimum(np.rint(getattr(head, role) / 4.2), 255).astype(np.int32) for role in BY_ROLE}


MADE = volumes()


@pytest.fixture(scope="module")
def truth() -> NDArray[np.uint8]:
    """What the voxels give as slices."""
    image_nhwc = np.stack([MADE["pre"], MADE["flair"], MADE["post"]], axis=-1).astype(np.uint8)
    mask: NDArray[np.uint8] = Segmenter.load(BUNDLE, provider="cpu").predict_volume(image_nhwc).mask
    assert mask.any()
    return mask


def run(study: Path, out: Path, *options: object) -> tuple[int, dict[str, Any], str]:
    """Exit code, JSON and standard error of `brainseg predict`."""
    told = out.parent / f"{out.name}.json"
    done = brainseg(
        "predict", BUNDLE, study, "-o", out, "--provider", "cpu", "--write", "seg,nifti", "--json", told, *options
    )
    return done.code, json.loads(told.read_text(encoding="utf-8")) if told.exists() else {}, done.err


def plain(folder: Path, made: Volumes, **options: Any) -> object:  # noqa: ANN401 - those of `write_series`
    return write_study(folder, made, GRID, **options)


def on(grid: Grid) -> Writer:
    return lambda folder, made: write_study(folder, made, grid)


def acquired(plane: Any) -> Writer:  # noqa: ANN401 - a literal
    def write(folder: Path, made: Volumes) -> object:
        seen = {role: as_acquired(voxels, GRID, plane) for role, voxels in made.items()}
        return write_study(folder, {role: each for role, (each, _) in seen.items()}, seen["flair"][1])

    return write


def reordered(axes: tuple[int, int, int], flipped: tuple[bool, bool, bool]) -> Writer:
    def write(folder: Path, made: Volumes) -> object:
        seen = {role: seen_along(voxels, GRID, axes, flipped) for role, voxels in made.items()}
        return write_study(folder, {role: each for role, (each, _) in seen.items()}, seen["flair"][1])

    return write


def stored(how: Stored) -> Writer:
    return lambda folder, made: plain(folder, made, stored=how)


def edited(edit: Edit) -> Writer:
    return lambda folder, made: plain(folder, made, edit=edit)


def enhanced(**options: Any) -> Writer:  # noqa: ANN401 - those of `write_enhanced`
    def write(folder: Path, made: Volumes) -> object:
        for number, (role, voxels) in enumerate(made.items()):
            write_enhanced(folder / f"{number}.dcm", voxels, GRID, tags=BY_ROLE[role], **options)
        return folder

    return write


def in_syntax(syntax: str) -> Writer:
    def write(folder: Path, made: Volumes) -> object:
        for role, voxels in made.items():
            transcode(
                write_series(folder / role, voxels, GRID, tags=BY_ROLE[role], stored=Stored(bits_stored=12)), syntax
            )
        return folder

    return write


def flat(folder: Path, made: Volumes) -> object:
    """All series in one folder, names without a suffix."""
    for role, voxels in made.items():
        for path in write_series(folder / role, voxels, GRID, tags=BY_ROLE[role], shuffle=7, suffix=""):
            path.rename(folder / f"{role}-{path.name}")
    return folder


EXACT: dict[str, Writer] = {
    "axial": plain,
    "oblique": on(turned(GRID, degrees=(17.0, -9.0, 6.0))),
    "head tilted by 28 degrees": on(turned(GRID, degrees=(28.0, 0.0, 0.0))),
    "files and instance numbers shuffled": lambda folder, made: plain(folder, made, shuffle=3),
    "one folder, no suffixes": flat,
    "slices from head to feet": reordered((0, 1, 2), (True, False, False)),
    "rows from back to front": reordered((0, 1, 2), (False, True, False)),
    "columns from left to right": reordered((0, 1, 2), (False, False, True)),
    "feet first, all axes reversed": reordered((0, 1, 2), (True, True, True)),
    "rows and columns exchanged": reordered((0, 2, 1), (False, False, False)),
    "sagittal": acquired("sagittal"),
    "coronal": acquired("coronal"),
    "sagittal from left to right": reordered((2, 0, 1), (True, True, False)),
    "signed": stored(Stored(signed=True)),
    "12 bits": stored(Stored(bits_stored=12)),
    "8 bits": stored(Stored(bits=8)),
    "slope and intercept": stored(Stored(signed=True, slope=0.5, intercept=-20.0)),
    "slope and intercept, unsigned": stored(Stored(slope=0.25, intercept=0.0)),
    "MONOCHROME1": stored(Stored(bits_stored=12, monochrome1=True)),
    "padding below": stored(Stored(signed=True, padding=-2000)),
    "padding above": stored(Stored(padding=65535)),
    "without optional tags": lambda folder, made: plain(folder, made, without=OPTIONAL),
    "duplicates": edited(faults.duplicate(0, 2)),
    "enhanced": enhanced(),
    "enhanced, groups per frame": enhanced(per_frame=True),
    "enhanced, frames shuffled": enhanced(order=[2, 0, 3, 1]),
    "enhanced, slope": enhanced(stored=Stored(slope=0.5, intercept=-10.0, signed=True)),
    **{f"syntax {name}": in_syntax(name) for name in SYNTAXES},
}


@pytest.mark.parametrize("name", EXACT)
def test_without_registration_the_mask_is_that_of_the_slices_in_place(
    tmp_path: Path, truth: NDArray[np.uint8], name: str
) -> None:
    EXACT[name](tmp_path / "study", MADE)
    code, found, said = run(tmp_path / "study", tmp_path / "out")
    assert code == 0, said
    home = tmp_path / "out" / found["studies"][0]["name"]
    # Turned acquisitions put the same voxels elsewhere: the truth is turned with them.
    grid = grids().get(name, GRID)
    assert np.array_equal(mask_by_dcmqi(home / "seg.dcm", grid, tmp_path / "dcmqi"), truth)
    assert np.array_equal(mask_by_itk(home / "mask.nii.gz", grid), truth)
    assert not found["studies"][0]["registration"]["pre"]["applied"]


def grids() -> dict[str, Grid]:
    """Where the voxels lie in the cases that move them."""
    return {
        "oblique": turned(GRID, degrees=(17.0, -9.0, 6.0)),
        "head tilted by 28 degrees": turned(GRID, degrees=(28.0, 0.0, 0.0)),
    }


def of_flair(edit: Edit) -> Writer:
    """A fault in FLAIR alone."""

    def write(folder: Path, made: Volumes) -> object:
        for role, voxels in made.items():
            write_series(folder / role, voxels, GRID, tags=BY_ROLE[role], edit=edit if role == "flair" else None)
        return folder

    return write


def two_orientations(folder: Path, made: Volumes) -> object:
    """Slices of two orientations under one series' UID."""
    write_study(folder, made, GRID)
    uid = {**BY_ROLE["flair"], "SeriesInstanceUID": made_uid("two orientations")}
    write_series(folder / "flair", made["flair"], GRID, tags=uid)
    across = turned(GRID, degrees=(90.0, 0.0, 0.0))
    return write_series(folder / "flair2", made["flair"], across, tags=uid, edit=renamed("coronal"))


def renamed(word: str) -> Edit:
    """Other SOPInstanceUIDs."""
    return lambda k, dataset: faults.changed(SOPInstanceUID=made_uid(word, k))(k, dataset)


def two_time_points(folder: Path, made: Volumes) -> object:
    """FLAIR acquired twice in one series, at the same places."""
    write_study(folder, made, GRID)
    later = {**BY_ROLE["flair"], "AcquisitionTime": "113000", "AcquisitionNumber": 2}
    return write_series(folder / "again", made["flair"][:, ::-1], GRID, tags=later, edit=renamed("later"))


FAULTY: dict[str, tuple[Writer, str]] = {
    "a gap": (of_flair(faults.missing(2)), "lacks slices|spac|gap"),
    "uneven spacing": (of_flair(faults.moved({1: 4.0})), "spac|even|distance"),
    "a tilted gantry": (of_flair(faults.sheared(3.0)), "tilt|shift"),
    "two orientations": (two_orientations, "orientation"),
    "two time points in one series": (two_time_points, "time|same place|twice|position"),
    "other frames of reference in one series": (
        of_flair(faults.changed_in([2, 3], FrameOfReferenceUID=made_uid("other"))),
        "frame",
    ),
    "slices of two sizes": (of_flair(faults.changed_in([1], PixelSpacing=["0.8", "0.8"])), "spacing|size|pixel"),
    "no position": (of_flair(faults.changed(ImagePositionPatient=None)), "position|ImagePositionPatient"),
    "no orientation": (of_flair(faults.changed(ImageOrientationPatient=None)), "orientation|ImageOrientationPatient"),
    "no spacing": (of_flair(faults.changed(PixelSpacing=None)), "spacing|PixelSpacing"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_what_cannot_be_right_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    write, words = FAULTY[name]
    write(tmp_path / "study", MADE)
    code, found, said = run(tmp_path / "study", tmp_path / "out")
    assert code == 1, said
    (entry,) = found["studies"]
    told = " ".join(str(entry["error"][part]) for part in ("what", "expected", "got"))
    assert re.search(words, told, re.IGNORECASE), told
    assert not [path for path in (tmp_path / "out").iterdir() if path.is_dir()]


def dice(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Dice of two masks."""
    return float(2 * np.logical_and(one, other).sum() / (one.sum() + other.sum()))


def test_one_slice(tmp_path: Path, truth: NDArray[np.uint8]) -> None:
    write_study(tmp_path / "study", {role: each[1:2] for role, each in MADE.items()}, one_slice_grid())
    code, found, said = run(tmp_path / "study", tmp_path / "out")
    assert code == 0, said
    home = tmp_path / "out" / found["studies"][0]["name"]
    mask = mask_by_itk(home / "mask.nii.gz", one_slice_grid())
    assert np.array_equal(mask, truth[1:2])


def one_slice_grid() -> Grid:
    """The second slice of the grid."""
    return replace(GRID, shape=(1, 256, 256), origin=GRID.positions([1, 0, 0]))


FINE = axial_grid((4, 512, 512), spacing=(18.0, 0.45, 0.45), centre=(4.0, -11.0, 23.0))
OBLONG = axial_grid((4, 256, 200), spacing=(18.0, 0.9, 1.1), centre=(4.0, -11.0, 23.0))


@pytest.mark.parametrize("grid", [FINE, OBLONG], ids=["512x512", "pixels that are not square"])
def test_other_matrices_give_the_head_its_mask_in_place(tmp_path: Path, grid: Grid) -> None:
    """The same head on another grid; the oracle is the made lesion, and where the mask's middle lies."""
    write_study(tmp_path / "study", volumes(grid), grid)
    code, found, said = run(tmp_path / "study", tmp_path / "out")
    assert code == 0, said
    entry = found["studies"][0]
    mask = mask_by_itk(tmp_path / "out" / entry["name"] / "mask.nii.gz", grid)
    write_study(tmp_path / "base", MADE, GRID)
    _, base, _ = run(tmp_path / "base", tmp_path / "base-out")
    assert entry["volume_ml"] == pytest.approx(mask.sum() * grid.voxel_ml)
    expected = mask_by_itk(tmp_path / "base-out" / base["studies"][0]["name"] / "mask.nii.gz", GRID)
    middle, wanted = (each[0].positions(np.argwhere(each[1])).mean(axis=0) for each in ((grid, mask), (GRID, expected)))
    assert np.linalg.norm(middle - wanted) < 6.0


def test_t1s_on_other_grids_are_brought_onto_flair(tmp_path: Path, truth: NDArray[np.uint8]) -> None:
    """Other matrix, spacing and field of view for each series, by header alone."""
    grids = {
        "flair": GRID,
        "pre": axial_grid((8, 288, 240), spacing=(9.0, 0.85, 0.9), centre=(6.0, -8.0, 23.0)),
        "post": axial_grid((16, 256, 256), spacing=(4.5, 0.95, 0.95), centre=(2.0, -11.0, 20.75)),
    }
    made = {role: volumes(grid)[role] for role, grid in grids.items()}
    write_study(tmp_path / "study", made, grids)
    code, found, said = run(tmp_path / "study", tmp_path / "out", "--no-register")
    assert code == 0, said
    home = tmp_path / "out" / found["studies"][0]["name"]
    mask = mask_by_itk(home / "mask.nii.gz", GRID)
    assert mask.shape == truth.shape
    assert mask.any()
