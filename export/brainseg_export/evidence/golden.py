"""Golden vectors: made-up images, and the answers that each variant gave on the machine that proved it.

The heads are drawn: no pixel of a patient leaves with a bundle.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_export.evidence.parity import compare
from brainseg_runtime.bundles.golden import Answer, GoldenCase
from brainseg_runtime.bundles.manifest import Tolerance
from brainseg_runtime.evaluation.evaluate import Predict
from brainseg_train.phantom.patients import make_patient

SIDE: Final = 128
"""Height and width of the drawn heads, pixels; this keeps the vectors below a few hundred KiB."""

FLOORS: Final[Mapping[str, Tolerance]] = {
    # Another processor sums in another order: 1e-6 was seen between engines, so up to a hundred times that is accepted.
    "fp32": Tolerance(probability=1e-4, mask=1e-4),
    # Half of all float16 numbers in [0, 1] lie 5e-4 apart.
    "fp16": Tolerance(probability=2e-2, mask=2e-3),
    # A sum that another engine rounds to the next of 256 steps changes the pixels around it.
    "int8": Tolerance(probability=5e-2, mask=2e-3),
}
"""By precision, how far another machine may differ, however little was seen here."""

_HEADROOM: Final = 2.0
"""Factor on the difference that was seen between providers here."""


def golden_images(seed: int = 0) -> list[NDArray[np.uint8]]:
    """Batches (N, H, W, 3) uint8: two slices of a drawn head with a lesion, one of odd size, one of noise, one of 256².

    The last has the data set's own size, for which the runtime has a session of its own.

    >>> [images.shape for images in golden_images()]
    [(2, 128, 128, 3), (1, 97, 117, 3), (1, 40, 56, 3), (1, 256, 256, 3)]
    """
    patient = make_patient(0, seed, slices=(12, 12), side=SIDE)
    order = np.argsort(-patient.masks.sum(axis=(1, 2)), kind="stable")
    heads = patient.images[order[:2]]
    rng = np.random.default_rng(seed)
    return [
        np.ascontiguousarray(heads),
        np.ascontiguousarray(patient.images[order[2:3], 7:104, 11:]),
        rng.integers(0, 256, (1, 40, 56, 3), dtype=np.uint8),
        np.ascontiguousarray(heads[:1].repeat(2, axis=1).repeat(2, axis=2)),
    ]


def golden_cases(variants: Mapping[str, Predict]) -> list[GoldenCase]:
    """The images with each variant's answers.

    Args:
        variants: By name, on the provider that is always available.
    """
    cases = []
    for images in golden_images():
        answers = {}
        for name, predict in variants.items():
            mask, probability = predict(images)
            answers[name] = Answer(mask=mask, probability=probability)
        cases.append(GoldenCase(image=images, answers=answers))
    return cases


def tolerances(
    variant: str, precision: str, cases: list[GoldenCase], providers: Mapping[str, Predict]
) -> dict[str, Tolerance]:
    """How far providers may lie from the golden answers: twice the difference that was seen, at least the floor.

    Args:
        variant: Its name in the cases.
        precision: Its precision, which sets the floor.
        cases: The golden answers.
        providers: The variant on every provider that was measured.

    Returns:
        By provider; `default` is for those that were not measured, and is the widest of the others.
    """
    floor = FLOORS[precision]
    found = {}
    for name, predict in providers.items():
        seen = [
            compare((case.answers[variant].mask, case.answers[variant].probability), predict(case.image), threshold=0.5)
            for case in cases
        ]
        found[name] = Tolerance(
            probability=min(1.0, max(floor.probability, _HEADROOM * max(item.max_difference for item in seen))),
            mask=min(1.0, max(floor.mask, _HEADROOM * max(1 - item.mask_agreement for item in seen))),
        )
    widest = Tolerance(
        probability=max(item.probability for item in found.values()), mask=max(item.mask for item in found.values())
    )
    return {**found, "default": widest}
