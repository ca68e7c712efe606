"""The T1 series of a study brought onto FLAIR's grid, and what a reader must know of that.

Legend: K slices, R rows, C columns of FLAIR's grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import StudyError
from brainseg_runtime.studies.geometry import Volume
from brainseg_runtime.studies.head import inside_head
from brainseg_runtime.studies.registration.resampling import resample
from brainseg_runtime.studies.registration.rigid import LEAST_QUALITY, by_header, register
from brainseg_runtime.studies.result import Registration
from brainseg_runtime.studies.roles.choice import NAMES
from brainseg_runtime.studies.series import Role, Series

OTHERS: Final[tuple[Role, Role]] = ("pre", "post")

_COVERED: Final = 0.9
"""Part of FLAIR's head that a T1 must reach for nothing to be said; less than this, and brain may be in the rest."""

_SLICE_COVERED: Final = 0.5
"""Part of the head in a slice that a T1 must reach; else FLAIR is repeated there, as where the sequence is missing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Aligned:
    """Volumes on FLAIR's grid.

    Attributes:
        volumes: Grey levels by role; a missing sequence is left out.
        warnings: Reasons to distrust them.
        repeats: Whether FLAIR stands for a T1 somewhere: a sequence is missing, or does not reach a slice.
    """

    volumes: Mapping[Role, Volume]
    warnings: tuple[str, ...]
    repeats: bool


def registered(
    levels: Mapping[Role, Volume], series: Mapping[Role, Series], *, by_content: bool = True
) -> dict[Role, Registration]:
    """How each T1 lies to FLAIR; the T1s are registered side by side.

    Args:
        levels: Grey levels by role, each on its own grid.
        series: The series by role, whose frames of reference say whether the headers can be compared.
        by_content: Register by what the volumes show; else the headers are taken as they are.

    Raises:
        StudyError: A T1 does not fit FLAIR after registration.
        MissingExtraError: SimpleITK is not installed.
    """
    roles = [role for role in OTHERS if role in levels]
    if not by_content:
        return {role: by_header(levels[role], levels["flair"]) for role in roles}

    def one(role: Role) -> Registration:
        return register(levels[role], levels["flair"], same_frame=_same_frame(series, role))

    with ThreadPoolExecutor(max_workers=len(OTHERS)) as pool:
        found = dict(zip(roles, pool.map(one, roles), strict=True))
    for role, registration in found.items():
        if registration.quality < LEAST_QUALITY:
            raise StudyError(
                f"the {NAMES[role]} does not fit FLAIR after registration",
                expected=f"a quality of at least {LEAST_QUALITY}",
                got=f"{registration.quality:.3f}",
                remedy="check that both show the same head; register=False (--no-register) takes the headers' geometry",
            )
    return found


def aligned(
    levels: Mapping[Role, Volume], series: Mapping[Role, Series], found: Mapping[Role, Registration], *, axis: int
) -> Aligned:
    """The volumes on FLAIR's grid.

    Where a T1 does not reach half of the head in an axial slice, FLAIR is repeated in that slice.

    Args:
        levels: Grey levels by role, each on its own grid.
        series: The series by role.
        found: How each T1 lies to FLAIR.
        axis: The axis of FLAIR's arrays that runs along the head.
    """
    flair = levels["flair"]
    head = inside_head(flair.voxels)
    volumes: dict[Role, Volume] = {"flair": flair}
    warnings: list[str] = []
    repeats = len(found) < len(OTHERS)
    for role, registration in found.items():
        moved = resample(levels[role], flair.grid, registration.matrix, outside=-1.0)
        reached = moved.voxels >= 0
        if not reached.all():
            repeated = _hardly_reached(reached, head, axis)
            repeats = repeats or bool(repeated.any())
            kept = np.where(reached, moved.voxels, np.float32(0))
            moved = Volume(voxels=np.where(repeated, flair.voxels, kept), grid=flair.grid)
        volumes[role] = moved
        warnings += _doubts(role, registration, same_frame=_same_frame(series, role))
        part = float(reached[head].mean()) if head.any() else 1.0
        if part < _COVERED:
            warnings.append(
                f"field of view: the {NAMES[role]} covers {part:.0%} of the head that FLAIR shows; "
                "the mask may be less accurate in the rest"
            )
    return Aligned(volumes=volumes, warnings=tuple(warnings), repeats=repeats)


def _hardly_reached(reached: NDArray[np.bool_], head: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """The axial slices, of length 1 along the other axes, in which a T1 reaches less than half of the head."""
    within = tuple(other for other in range(3) if other != axis)
    in_slice = head.sum(axis=within, keepdims=True)
    part = (reached & head).sum(axis=within, keepdims=True) / np.maximum(in_slice, 1)
    return np.where(in_slice > 0, part < _SLICE_COVERED, ~reached.any(axis=within, keepdims=True))


def _same_frame(series: Mapping[Role, Series], role: Role) -> bool:
    """Whether a T1's header shares FLAIR's frame of reference; headers that name none are taken to."""
    own, flair = series[role].frame_of_reference, series["flair"].frame_of_reference
    return own == flair or not own or not flair


def _doubts(role: Role, registration: Registration, *, same_frame: bool) -> list[str]:
    """Reasons to distrust a registration."""
    doubts = []
    if not same_frame:
        how = (
            "it was registered from the position of the heads"
            if registration.applied
            else "and without registration its place is a guess"
        )
        doubts.append(f"frame of reference: the {NAMES[role]} has another than FLAIR; {how}")
    if registration.quality < LEAST_QUALITY:
        doubts.append(
            f"registration: the {NAMES[role]} does not fit FLAIR (quality {registration.quality:.3f}, "
            f"expected at least {LEAST_QUALITY}), and registration was switched off"
        )
    return doubts
