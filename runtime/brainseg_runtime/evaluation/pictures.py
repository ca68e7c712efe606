"""The one slice that shows best how a patient went."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.evaluation.page import Picture
from brainseg_runtime.images import read_mask, read_slice
from brainseg_runtime.images.overlay import overlay

if TYPE_CHECKING:
    from brainseg_runtime.evaluation.result import PatientScores
    from brainseg_runtime.images.dataset import Patient

MaskOf: TypeAlias = Callable[[int, NDArray[np.uint8]], NDArray[np.uint8]]
"""From a slice's index in its patient and its image (H, W, 3) to the predicted mask (H, W), uint8 with 0 and 1."""


def patient_picture(mask_of: MaskOf, patient: Patient, scores: PatientScores, label: str) -> Picture:
    """The slice with the largest true tumour, with truth and prediction outlined; the middle slice where there is none.

    Args:
        mask_of: Predicts or reads the slice's mask again, so that none has to be kept while patients stream by.
        patient: Whose slices.
        scores: What the caption tells.
        label: Why this patient was chosen, such as "worst".

    Raises:
        BrainsegError: A file cannot be read any more, or inference fails.
    """
    areas = [0 if paths.mask is None else int(np.count_nonzero(read_mask(paths.mask))) for paths in patient.slices]
    at = int(np.argmax(areas)) if any(areas) else len(areas) // 2
    image, truth = read_slice(patient.slices[at])
    caption = f"{label}: {patient.id}, volume Dice {scores.dice:.3f}; slice {patient.slices[at].number}"
    return Picture(caption=caption, rgb=overlay(image, truth, mask_of(at, image)))
