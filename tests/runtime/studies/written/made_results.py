"""Segmented studies for tests of what is written: a made head as DICOM, and a mask with everything that is awkward."""

from __future__ import annotations

import warnings as warnings_module
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from brainseg_runtime.segmentation.results import Provenance
from brainseg_runtime.studies.geometry import Grid, Volume
from brainseg_runtime.studies.result import Registration, StudyResult
from brainseg_runtime.studies.series import Instance, Role, Series, SeriesHeader
from brainseg_runtime.studies.study import Choice, Study
from tests.studies_made.enhanced import write_enhanced
from tests.studies_made.series import write_series
from tests.studies_made.shapes import axial_grid, made_head, turned
from tests.studies_made.tags import FLAIR, POST, PRE

SHAPE = (6, 40, 48)
AXIAL = axial_grid(SHAPE, spacing=(5.0, 2.0, 1.5), centre=(4.0, -11.0, 30.0))
OBLIQUE = turned(AXIAL, degrees=(12.0, -7.0, 5.0))
PROVENANCE = Provenance(
    provider="cpu",
    variant="fp32",
    bundle_digest="ab" * 32,
    model_digest="cd" * 32,
    model="tiny 1.0.0",
    threshold=0.5,
)


def awkward_mask(shape: tuple[int, int, int] = SHAPE) -> NDArray[np.uint8]:
    """A ring with an island in its hole, pixels that touch at corners, a mask at the border, and empty slices."""
    mask = np.zeros(shape, np.uint8)
    mask[1, 8:24, 8:28] = 1
    mask[1, 11:20, 11:24] = 0
    mask[1, 14:16, 15:18] = 1
    mask[2, 5, 5] = mask[2, 6, 6] = mask[2, 7, 5] = mask[2, 6, 4] = 1
    mask[4] = np.random.default_rng(3).random(shape[1:]) < 0.4
    mask[4, :2] = 1
    return mask


def header(path: Path) -> pydicom.Dataset:
    """A file's header; what is wrong with it on purpose raises no warning."""
    with warnings_module.catch_warnings():
        warnings_module.simplefilter("ignore")
        return pydicom.dcmread(path, stop_before_pixels=True, force=True)


def series_of(paths: list[Path], grid: Grid) -> Series:
    """A series as reading gives it, of files in the order of the grid's slices."""
    first = header(paths[0])
    if "NumberOfFrames" in first:
        uids: list[tuple[Path, str, int | None]] = [
            (paths[0], str(first.SOPInstanceUID), frame) for frame in range(1, grid.shape[0] + 1)
        ]
    else:
        uids = [(path, str(header(path).SOPInstanceUID), None) for path in paths]
    instances = [
        Instance(path=path, sop_class=str(first.SOPClassUID), sop_uid=uid, frame=frame) for path, uid, frame in uids
    ]
    return Series(
        uid=str(first.SeriesInstanceUID),
        source="dicom",
        header=SeriesHeader(number=first.get("SeriesNumber")),
        grid=grid,
        frame_of_reference=str(first.get("FrameOfReferenceUID", "")),
        instances=tuple(instances),
        paths=tuple(paths),
        load=lambda: Volume(voxels=np.zeros(grid.shape, np.float32), grid=grid),
    )


def made_result(
    folder: Path,
    *,
    grid: Grid = AXIAL,
    mask: NDArray[np.uint8] | None = None,
    enhanced: bool = False,
    alone: bool = False,
    warnings: tuple[str, ...] = ("the T1 before contrast is missing",),
    tags: Mapping[str, Any] | None = None,
    **options: Any,  # noqa: ANN401 - those of the writers
) -> StudyResult:
    """A made head's study written as DICOM, with a mask as if segmented.

    Args:
        folder: Gets the source files.
        grid: Of all series.
        mask: Of the result; None for the awkward one.
        enhanced: Whether FLAIR is one multi-frame file, its frames from the last slice to the first.
        alone: Whether FLAIR has no T1 beside it.
        warnings: Of the result.
        tags: Over FLAIR's.
        options: Of `write_series` or `write_enhanced`.
    """
    head = made_head(grid)
    given = {**FLAIR, **(tags or {})}
    if enhanced:
        order = list(range(grid.shape[0]))
        paths = [write_enhanced(folder / "flair.dcm", head.flair, grid, tags=given, order=order, **options)]
    else:
        paths = write_series(folder / "flair", head.flair, grid, tags=given, **options)
    roles: dict[Role, Series] = {"flair": series_of(paths, grid)}
    if not alone:
        roles["pre"] = series_of(write_series(folder / "pre", head.pre, grid, tags=PRE), grid)
        roles["post"] = series_of(write_series(folder / "post", head.post, grid, tags=POST), grid)
    dataset = header(paths[0])
    study = Study(
        uid=str(dataset.get("StudyInstanceUID", "1.2.3")),
        name="study",
        source="dicom",
        choices=tuple(Choice(series=series, role=role, reason="made") for role, series in roles.items()),
        warnings=(),
        root=folder,
    )
    return result_of(study, grid, head.flair.astype(np.float32), mask, warnings)


def result_of(
    study: Study,
    grid: Grid,
    flair: NDArray[np.float32],
    mask: NDArray[np.uint8] | None = None,
    warnings: tuple[str, ...] = (),
) -> StudyResult:
    """A result of a study, on a grid."""
    mask = awkward_mask(grid.shape) if mask is None else mask
    moved = Registration(
        matrix=np.eye(4), quality=1.2, rotation_deg=0.5, translation_mm=1.0, applied=True, note="registered"
    )
    return StudyResult(
        study=study,
        mask=mask,
        probability=(mask * np.float32(0.75) + np.float32(0.125)).astype(np.float32),
        flair=flair,
        grid=grid,
        volume_ml=int(mask.sum()) * grid.voxel_ml,
        registration={role: moved for role in study.roles if role != "flair"},
        warnings=warnings,
        images=np.zeros((1, 256, 256, 3), np.uint8),
        provenance=PROVENANCE,
        seconds={"network": 0.5},
    )
