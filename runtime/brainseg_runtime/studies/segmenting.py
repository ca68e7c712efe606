"""A study to a mask on FLAIR's own grid: read, scaled, registered, framed, segmented, and brought back.

Legend: K slices, R rows, C columns of FLAIR's grid; N slices of the frame.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import ArgumentError, CancelledError
from brainseg_runtime.safe_io.arguments import check_call, check_kind, check_threshold
from brainseg_runtime.segmentation.base_segmenter import BaseSegmenter, Cancel, Progress
from brainseg_runtime.segmentation.results import VolumePrediction
from brainseg_runtime.studies.alignment import aligned, registered
from brainseg_runtime.studies.frame import Frame
from brainseg_runtime.studies.geometry import Volume
from brainseg_runtime.studies.guard import inspect_study
from brainseg_runtime.studies.intensity import grey_levels
from brainseg_runtime.studies.result import StudyResult
from brainseg_runtime.studies.roles import NAMES
from brainseg_runtime.studies.series import Role
from brainseg_runtime.studies.study import Study


def segment_study(
    segmenter: BaseSegmenter,
    study: Study,
    *,
    register: bool = True,
    progress: Progress | None = None,
    cancelled: Cancel | None = None,
    threshold: float | None = None,
) -> StudyResult:
    """Segment a study.

    Args:
        segmenter: A loaded model.
        study: What `read_study` gave.
        register: Bring the T1s onto FLAIR by what they show; otherwise by their headers alone.
        progress: Called with steps done and steps in all: one for each series read, one for each T1 registered, one for
            each slice segmented.
        cancelled: Asked before each step; a true answer stops.
        threshold: Probability from which a voxel is marked, above 0 and at most 1; None: the model's own.

    Returns:
        The mask on FLAIR's grid, and how it came about.

    Raises:
        ArgumentError: An argument is of the wrong type, or the threshold is out of its range.
        StudyError: A series cannot be read or scaled, or a T1 does not fit FLAIR after registration.
        CancelledError: `cancelled` said so; nothing that was computed is returned.
        InferenceError: The model could not be run.
        MissingExtraError: A library of the extra `study` is not installed.
    """
    if not isinstance(segmenter, BaseSegmenter):
        raise ArgumentError("segmenter is wrong", expected="Segmenter or IsolatedSegmenter", got=repr(segmenter)[:100])
    check_kind("study", study, Study)
    check_call("progress", progress)
    check_call("cancelled", cancelled)
    if threshold is not None:
        check_threshold(threshold)
    series = study.roles
    run = _Run(progress=progress, cancelled=cancelled, before=2 * len(series) - 1)
    with run.part("read"):
        volumes: dict[Role, Volume] = {}
        for role, each in series.items():
            run.check()
            volumes[role] = each.load()
            run.done(1)
    with run.part("scale"):
        levels = {role: grey_levels(volume, NAMES[role]) for role, volume in volumes.items()}
    with run.part("register"):
        found = registered(levels, series, by_content=register)
        run.done(len(found))
    with run.part("resample"):
        frame = Frame.of(levels["flair"])
        placed = aligned(levels, series, found, axis=frame.axes[0])
    with run.part("frame"):
        images = frame.take(placed.volumes)
    with run.part("network"):
        prediction = segmenter.predict_volume(
            images, progress=run.slices(len(images)), cancel=cancelled, threshold=threshold
        )
    with run.part("back"):
        probability = frame.back(prediction.probability)
        mask = _mask(frame, prediction, probability)
    with run.part("guard"):
        doubts = inspect_study(images, levels, mask=prediction.mask)
    grid = levels["flair"].grid
    return StudyResult(
        study=study,
        mask=mask,
        probability=probability,
        flair=volumes["flair"].voxels,
        grid=grid,
        volume_ml=int(mask.sum()) * grid.voxel_ml,
        registration=found,
        warnings=(*study.warnings, *placed.warnings, *doubts, *_of_slices(prediction, repeats=placed.repeats)),
        images=images,
        provenance=prediction.provenance,
        seconds=dict(run.seconds),
    )


@dataclass(kw_only=True)
class _Run:
    """Where a run stands: time by part, steps done, and the caller's wish to stop.

    Attributes:
        progress: The caller's.
        cancelled: The caller's.
        before: Steps before the first slice.
        count: Steps done.
        seconds: Time by part.
    """

    progress: Progress | None
    cancelled: Cancel | None
    before: int
    count: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a part of the work; before it, stop if the caller wants to."""
        self.check()
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start

    def check(self) -> None:
        """Stop if the caller wants to."""
        if self.cancelled is not None and self.cancelled():
            raise CancelledError("the study was cancelled", got="a stop before its mask was made")

    def done(self, steps: int) -> None:
        """Count steps; how many slices follow is not known yet, so that they count as one."""
        self.count += steps
        if self.progress is not None:
            self.progress(self.count, self.before + 1)

    def slices(self, total: int) -> Progress | None:
        """What the segmenter reports to: the slices come after the steps before."""
        report = self.progress
        if report is None:
            return None
        return lambda done, _: report(self.count + done, self.count + total)


def _mask(frame: Frame, prediction: VolumePrediction, probability: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The mask on FLAIR's grid: the network's own where no pixel was resampled, else the map's at its threshold."""
    threshold = prediction.provenance.threshold
    if frame.is_copy or threshold is None:
        return (frame.back(prediction.mask.astype(np.float32)) >= 0.5).view(np.uint8)
    return (probability >= np.float32(threshold)).view(np.uint8)


def _of_slices(prediction: VolumePrediction, *, repeats: bool) -> list[str]:
    """The slices' warnings, each kind once, with the number of slices.

    Blank slices, above and below the head, are nothing unusual in a study; and what FLAIR stands for has its warning.
    """
    total = len(prediction.mask)
    seen: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for reasons in prediction.warnings.values():
        kinds = {reason.partition(" has ")[0]: reason for reason in reasons}
        counts.update(kinds.keys())
        seen = kinds | seen
    return [
        seen[kind] if count == total else f"{count} of {total} slices: {seen[kind]}"
        for kind, count in counts.items()
        if not kind.startswith("blank slice") and not (repeats and kind.startswith("repeated channel"))
    ]
