"""What a variant must keep of the fp32 network's accuracy, on validation patients, to be let into a bundle.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from brainseg_export.evidence.parity import Agreement, compare
from brainseg_export.sources.patients import batches
from brainseg_runtime.evaluation.evaluate import Case, Predict
from brainseg_runtime.metrics import Counts, count, dice
from brainseg_runtime.safe_io.strict_json import Json

MAX_MEAN_DROP: Final = 0.003
"""Of the mean volume Dice: a tenth of what its 95 % interval over 94 patients leaves open on either side."""

MAX_PATIENT_DROP: Final = 0.02
"""Of any patient's volume Dice: nobody pays for the mean."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A model on the validation patients."""

    dice: Mapping[str, float]
    """By patient: Dice of the volume."""
    agreement: Agreement
    """With the fp32 network in PyTorch."""

    @property
    def mean(self) -> float:
        """Mean over patients."""
        return float(np.mean(list(self.dice.values())))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the gate says to a variant."""

    mean_drop: float
    """How far the mean volume Dice lies below fp32's; negative where it is higher."""
    worst_drop: float
    """The largest drop of a patient."""
    worst_patient: str
    measured: Measured

    @property
    def passed(self) -> bool:
        """Whether the variant may ship."""
        return self.mean_drop <= MAX_MEAN_DROP and self.worst_drop <= MAX_PATIENT_DROP

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        numbers = (
            f"mean volume Dice {-self.mean_drop:+.4f} (at most {-MAX_MEAN_DROP:+.3f}), "
            f"worst patient {-self.worst_drop:+.4f} (at most {-MAX_PATIENT_DROP:+.2f}, {self.worst_patient})"
        )
        return f"{'passed' if self.passed else 'failed'}: {numbers}"

    def to_json(self) -> dict[str, Json]:
        """Every figure."""
        return {
            "passed": self.passed,
            "volume_dice": self.measured.mean,
            "mean_drop": self.mean_drop,
            "worst_drop": self.worst_drop,
            "worst_patient": self.worst_patient,
            "max_mean_drop": MAX_MEAN_DROP,
            "max_patient_drop": MAX_PATIENT_DROP,
            "mask_agreement": self.measured.agreement.mask_agreement,
            "max_difference": self.measured.agreement.max_difference,
        }


def measure(
    reference: Predict,
    models: Mapping[str, Predict],
    cases: Iterable[Case],
    *,
    threshold: float,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Measured]:
    """Run the reference and several models over patients together, each slice read once.

    Args:
        reference: The network in PyTorch.
        models: By name.
        cases: The patients.
        threshold: The models'.
        progress: Told how many slices are done with each batch.

    Returns:
        By name, the reference itself as `reference`.
    """
    everyone = {"reference": reference, **models}
    scores: dict[str, dict[str, float]] = {name: {} for name in everyone}
    agreements = dict.fromkeys(everyone, Agreement())
    for case in cases:
        counts = dict.fromkeys(everyone, Counts(tp=0, fp=0, fn=0, tn=0))
        for images, truths in batches(case):
            right = reference(images)
            for name, predict in everyone.items():
                answer = right if name == "reference" else predict(images)
                counts[name] += count(answer[0], truths)
                agreements[name] += compare(right, answer, threshold=threshold)
            if progress is not None:
                progress(len(images))
        for name, total in counts.items():
            scores[name][case.patient_id] = dice(total)
    return {name: Measured(dice=scores[name], agreement=agreements[name]) for name in everyone}


def judge(variant: Measured, fp32: Measured) -> Verdict:
    """Hold a variant against the fp32 graph of the same network.

    Args:
        variant: The variant's scores.
        fp32: The fp32 graph's, of the same patients.
    """
    drops = {patient: fp32.dice[patient] - score for patient, score in variant.dice.items()}
    worst = max(drops, key=lambda patient: drops[patient])
    return Verdict(mean_drop=fp32.mean - variant.mean, worst_drop=drops[worst], worst_patient=worst, measured=variant)
