"""A study to the slices that the network sees: read, scaled, registered, put on FLAIR's grid and framed.

Segmenting and importing for training both go through here, so that a network is trained on what it will see.

Legend: K slices, R rows, C columns of FLAIR's grid; N slices of the frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.studies.frame import Frame
from brainseg_runtime.studies.geometry import Volume
from brainseg_runtime.studies.intensity import grey_levels
from brainseg_runtime.studies.registration.alignment import Aligned, aligned, registered
from brainseg_runtime.studies.result import Registration
from brainseg_runtime.studies.roles.choice import NAMES
from brainseg_runtime.studies.series import Role
from brainseg_runtime.studies.steps import Steps
from brainseg_runtime.studies.study import Study


@dataclass(frozen=True, kw_only=True, eq=False)
class FramedStudy:
    """A study as the network sees it, and the way back.

    Attributes:
        volumes: The scanner's values by role, each on its own grid.
        levels: Grey levels by role, each on its own grid.
        registration: How each T1 lies to FLAIR.
        placed: The grey levels on FLAIR's grid.
        frame: Where the slices lie in FLAIR's grid.
        images: (N, 256, 256, 3) uint8: pre-contrast, FLAIR, post-contrast.
    """

    volumes: Mapping[Role, Volume]
    levels: Mapping[Role, Volume]
    registration: Mapping[Role, Registration]
    placed: Aligned
    frame: Frame
    images: NDArray[np.uint8]


def frame_study(study: Study, *, register: bool = True, steps: Steps | None = None) -> FramedStudy:
    """Bring a study into the network's frame.

    Args:
        study: What `read_study` gave.
        register: Bring the T1s onto FLAIR by what they show; otherwise by their headers alone.
        steps: Told of each step, and asked whether to go on.

    Raises:
        StudyError: A series cannot be read or scaled, or a T1 does not fit FLAIR after registration.
        CancelledError: The caller wants to stop.
        MissingExtraError: A library of the extra `study` is not installed.
    """
    steps = steps or Steps()
    series = study.roles
    with steps.part("read"):
        volumes: dict[Role, Volume] = {}
        for role, each in series.items():
            steps.check()
            volumes[role] = each.load()
            steps.done(1)
    with steps.part("scale"):
        levels = {role: grey_levels(volume, NAMES[role]) for role, volume in volumes.items()}
    with steps.part("register"):
        found = registered(levels, series, by_content=register)
        steps.done(len(found))
    with steps.part("resample"):
        frame = Frame.of(levels["flair"])
        placed = aligned(levels, series, found, axis=frame.axes[0])
    with steps.part("frame"):
        images = frame.take(placed.volumes)
    return FramedStudy(
        volumes=volumes, levels=levels, registration=found, placed=placed, frame=frame, images=images
    )  # fmt: skip
