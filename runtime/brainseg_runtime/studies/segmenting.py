"""A study to a mask on FLAIR's own grid: read, scaled, registered, framed, segmented, and brought back.

Legend: K slices, R rows, C columns of FLAIR's grid; N slices of the frame.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import ArgumentError
from brainseg_runtime.safe_io.arguments import check_call, check_kind, check_threshold
from brainseg_runtime.segmentation.base_segmenter import BaseSegmenter, Cancel, Progress
from brainseg_runtime.segmentation.results import VolumePrediction
from brainseg_runtime.studies.frame import Frame
from brainseg_runtime.studies.framing import frame_study
from brainseg_runtime.studies.guard.checks import inspect_study
from brainseg_runtime.studies.result import StudyResult
from brainseg_runtime.studies.steps import Steps
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
    run = Steps(progress=progress, cancelled=cancelled, before=2 * len(study.roles) - 1)
    framed = frame_study(study, register=register, steps=run)
    frame, images = framed.frame, framed.images
    with run.part("network"):
        prediction = segmenter.predict_volume(
            images, progress=run.slices(len(images)), cancel=cancelled, threshold=threshold
        )
    with run.part("back"):
        probability = frame.back(prediction.probability)
        mask = _mask(frame, prediction, probability)
    with run.part("guard"):
        doubts = inspect_study(images, framed.levels, mask=prediction.mask)
    grid = framed.levels["flair"].grid
    return StudyResult(
        study=study,
        mask=mask,
        probability=probability,
        flair=framed.volumes["flair"].voxels,
        grid=grid,
        volume_ml=int(mask.sum()) * grid.voxel_ml,
        registration=framed.registration,
        warnings=(
            *study.warnings,
            *framed.placed.warnings,
            *doubts,
            *_of_slices(prediction, repeats=framed.placed.repeats),
        ),
        images=images,
        provenance=prediction.provenance,
        seconds=dict(run.seconds),
    )


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
