"""One study with its mask as a patient of a data set: slices as the network sees them, and the mask on them.

Legend: K slices, R rows, C columns of FLAIR's grid; N slices of the frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import tifffile
from numpy.typing import NDArray

from brainseg_runtime.errors import DataError
from brainseg_runtime.safe_io.files import replace_folder
from brainseg_runtime.studies.framing import FramedStudy, frame_study
from brainseg_runtime.studies.geometry import Grid, Volume
from brainseg_runtime.studies.guard.checks import inspect_study
from brainseg_runtime.studies.head import inside_head
from brainseg_runtime.studies.registration.resampling import resample
from brainseg_runtime.studies.result import Registration
from brainseg_runtime.studies.roles.choice import NAMES
from brainseg_runtime.studies.series import Role, Series
from brainseg_runtime.studies.study import Study
from brainseg_train.importing.planes import MaskPlanes, on_grid

_ORDER: Final[tuple[Role, Role, Role]] = ("flair", "pre", "post")
_MOST_OF_HEAD: Final = 0.5
"""Part of the head beyond which a mask shows the brain, not a lesion."""

_LOST: Final = 0.01
"""Part of the mask that may lie outside the slices without a word."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ImportedPatient:
    """A study as slices.

    Attributes:
        images: (N, 256, 256, 3) uint8: pre-contrast, FLAIR, post-contrast, slices from the neck up.
        masks: (N, 256, 256) uint8, 0 or 1.
        role: The series whose grid the mask was on.
        values: Labels or segments that the mask's file has.
        volume_ml: Volume of the mask on FLAIR's grid, ml.
        registration: How each T1 lies to FLAIR.
        warnings: Reasons to look at the patient before training on it.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    role: Role
    values: tuple[str, ...]
    volume_ml: float
    registration: Mapping[Role, Registration]
    warnings: tuple[str, ...]


def import_patient(study: Study, mask: MaskPlanes, *, register: bool = True) -> ImportedPatient:
    """Bring a study and its mask into the network's frame.

    A mask on FLAIR's voxels is taken as it is. One on a T1's voxels goes the way of that T1, by the same matrix.

    Args:
        study: What was read.
        mask: Its mask.
        register: As `segment_study` has it.

    Raises:
        StudyError: A series cannot be used, or a T1 does not fit FLAIR.
        DataError: The mask lies on no series' voxels, or marks most of the head.
    """
    role, marked = _placed(study, mask)
    framed = frame_study(study, register=register)
    grid = framed.levels["flair"].grid
    on_flair = marked.astype(np.float32)
    if role != "flair":
        own = Volume(voxels=on_flair, grid=framed.levels[role].grid)
        on_flair = resample(own, grid, framed.registration[role].matrix).voxels
    _check_size(on_flair >= 0.5, framed)
    masks = (framed.frame.take_one(on_flair) >= 0.5).astype(np.uint8)
    doubts = inspect_study(framed.images, framed.levels, mask=masks)
    return ImportedPatient(
        images=framed.images,
        masks=masks,
        role=role,
        values=mask.values,
        volume_ml=int((on_flair >= 0.5).sum()) * grid.voxel_ml,
        registration=framed.registration,
        warnings=(*study.warnings, *framed.placed.warnings, *doubts, *_of_mask(on_flair >= 0.5, masks, framed)),
    )


def write_patient(folder: Path, patient: ImportedPatient) -> None:
    """Write a patient's folder, whole or not at all: `<name>_<n>.tif` and `<name>_<n>_mask.tif`, numbered from 1.

    Args:
        folder: Named as the patient; one that is there is replaced.
        patient: The slices.

    Raises:
        FileWriteError: The system refused.
    """
    with replace_folder(folder) as made:
        for number, (image, mask) in enumerate(zip(patient.images, patient.masks, strict=True), start=1):
            stem = f"{folder.name}_{number}"
            tifffile.imwrite(made / f"{stem}.tif", image, photometric="rgb", metadata=None)
            tifffile.imwrite(
                made / f"{stem}_mask.tif", mask * np.uint8(255), photometric="minisblack", metadata=None
            )  # fmt: skip


def _placed(study: Study, mask: MaskPlanes) -> tuple[Role, NDArray[np.uint8]]:
    """The series on whose voxels a mask lies, FLAIR before the T1s, and the mask there.

    The series that a SEG names decides where two series have the same voxels, for a T1 may have to be moved.
    """
    series = study.roles
    roles = [role for role in _ORDER if role in series]
    named = [role for role in roles if series[role].uid in mask.series]
    for role in named or roles:
        grid = series[role].grid
        if grid is not None and _may_share(series[role], mask):
            marked = on_grid(mask, grid)
            if marked is not None:
                return role, marked
    raise DataError(
        "the mask lies on no series' voxels",
        expected=" or ".join(_described(NAMES[role], series[role].grid) for role in named or roles),
        got="voxels of another grid, or of another frame of reference",
        remedy="give the mask as it was drawn, on FLAIR or a T1 of the same study, not resampled",
    )


def _may_share(series: Series, mask: MaskPlanes) -> bool:
    """Whether positions of a series and a mask can be compared."""
    own, other = series.frame_of_reference, mask.frame_of_reference
    return own == other or not own or not other


def _described(name: str, grid: Grid | None) -> str:
    if grid is None:
        return f"{name}'s"
    size, spacing = (" × ".join(f"{value:g}" for value in values) for values in (grid.shape, np.round(grid.spacing, 3)))
    return f"{name}'s {size} of {spacing} mm"


def _check_size(mask: NDArray[np.bool_], framed: FramedStudy) -> None:
    """Refuse a mask of the brain or the head."""
    head = int(inside_head(framed.levels["flair"].voxels).sum())
    part = int(mask.sum()) / head if head else 0.0
    if part > _MOST_OF_HEAD:
        raise DataError(
            "the mask marks most of the head",
            expected=f"a lesion, at most {_MOST_OF_HEAD:.0%} of the head",
            got=f"{part:.0%}",
            remedy="give the lesion's mask, not the brain's; if labels mean tissues, name the lesion's with --labels",
        )


def _of_mask(on_flair: NDArray[np.bool_], masks: NDArray[np.uint8], framed: FramedStudy) -> list[str]:
    """Reasons to look at a mask."""
    total = int(on_flair.sum())
    if total == 0:
        return ["mask: no voxel is marked"]
    covered = framed.frame.back(np.ones(masks.shape, np.float32)) >= 0.5
    lost = int((on_flair & ~covered).sum()) / total
    doubts = [f"mask: {lost:.0%} of it lies outside the slices that the network sees"] if lost > _LOST else []
    outside = int((on_flair & ~inside_head(framed.levels["flair"].voxels)).sum()) / total
    return [*doubts, *([f"mask: {outside:.0%} of it lies outside the head"] if outside > _MOST_OF_HEAD else [])]
