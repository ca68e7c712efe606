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

SEEDS: Final = 24
"""Drawn patients among which each size's case is looked for."""

MARKED: Final = 0.005
"""Fraction of a case's pixels that every variant should mark: an empty mask would say little about the graph."""

_HEADROOM: Final = 2.0
"""Factor on the difference that was seen between providers here."""


def golden_images(seed: int = 0) -> list[NDArray[np.uint8]]:
    """Batches (N, H, W, 3) uint8: two slices of a drawn head with lesion, one odd size, a small one with noise, 256².

    The last has the data set's own size, for which the runtime has a session of its own.

    >>> [images.shape for images in golden_images()]
    [(2, 128, 128, 3), (1, 97, 117, 3), (2, 40, 56, 3), (1, 256, 256, 3)]
    """
    patient = make_patient(0, seed, slices=(12, 12), side=SIDE)
    order = np.argsort(-patient.masks.sum(axis=(1, 2)), kind="stable")
    heads = patient.images[order[:2]]
    rng = np.random.default_rng(seed)
    return [
        np.ascontiguousarray(heads),
        np.ascontiguousarray(patient.images[order[2:3], 7:104, 11:]),
        np.concatenate([heads[:1, 4:124:3, 8:120:2], rng.integers(0, 256, (1, 40, 56, 3), dtype=np.uint8)]),
        np.ascontiguousarray(heads[:1].repeat(2, axis=1).repeat(2, axis=2)),
    ]


def golden_cases(variants: Mapping[str, Predict]) -> list[GoldenCase]:
    """For each size the first drawn images on which every variant marks enough, with the answers.

    Where none of the drawn patients is marked enough, the one that is marked most is taken.

    Args:
        variants: By name, on the provider that is always available.
    """
    chosen: list[tuple[float, GoldenCase]] = []
    for seed in range(SEEDS):
        for place, images in enumerate(golden_images(seed)):
            if place < len(chosen) and chosen[place][0] >= MARKED:
                continue
            case = _answered(images, variants)
            marked = min(float(answer.mask.mean()) for answer in case.answers.values())
            if place == len(chosen):
                chosen.append((marked, case))
            elif marked > chosen[place][0]:
                chosen[place] = (marked, case)
        if all(marked >= MARKED for marked, _ in chosen):
            break
    return [case for _, case in chosen]


def _answered(images: NDArray[np.uint8], variants: Mapping[str, Predict]) -> GoldenCase:
    """Images with each variant's answers."""
    answers = {}
    for name, predict in variants.items():
        mask, probability = predict(images)
        answers[name] = Answer(mask=mask, probability=probability)
    return GoldenCase(image=images, answers=answers)


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
