"""The gate: how much accuracy a variant may lose against the fp32 graph, on the validation patients.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from brainseg_export.evidence.parity import Agreement, compare
from brainseg_export.sources.patients import batches
from brainseg_runtime.evaluation.evaluate import Case, Predict
from brainseg_runtime.metrics import Counts, count, dice


@dataclass(frozen=True, kw_only=True)
class GateLimits:
    """How much volume Dice a variant may lose."""

    mean_drop: float = 0.003
    """On the mean over patients: a tenth of half the width of its 95 % interval over 94 patients."""
    patient_drop: float = 0.02
    """On any one patient: a good mean must not hide a patient who is worse off."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A model on the validation patients."""

    dice: Mapping[str, float]
    """Volume Dice by patient."""
    agreement: Agreement
    """With the fp32 network in PyTorch."""

    @property
    def mean(self) -> float:
        """Mean over patients.

        >>> Measured(dice={"a": 0.5, "b": 1.0}, agreement=Agreement()).mean
        0.75
        """
        return float(np.mean(list(self.dice.values())))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a variant may ship, and the figures behind it, as manifest and `--json` hold them."""

    passed: bool
    volume_dice: float
    """Mean over patients."""
    mean_drop: float
    """How far that mean lies below fp32's; negative where it is higher."""
    worst_drop: float
    """The largest drop of a single patient."""
    worst_patient: str
    max_mean_drop: float
    max_patient_drop: float
    mask_agreement: float
    """Fraction of the pixels whose masks equal PyTorch's."""
    max_difference: float
    """Largest difference of a probability from PyTorch's."""

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        return (
            f"{'passed' if self.passed else 'failed'}: "
            f"mean volume Dice {-self.mean_drop:+.4f} (limit {-self.max_mean_drop:+.3f}), "
            f"worst patient {-self.worst_drop:+.4f} (limit {-self.max_patient_drop:+.2f}; {self.worst_patient})"
        )


def measure(
    reference: Predict,
    models: Mapping[str, Predict],
    cases: Iterable[Case],
    *,
    threshold: float,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Measured]:
    """Run the reference and several models over the patients together; each slice is read once.

    Args:
        reference: The network in PyTorch.
        models: By name.
        cases: The patients.
        threshold: Of every model.
        progress: Called after each batch with its number of slices.

    Returns:
        Results by name; the reference's own are under `reference`.
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


def judge(variant: Measured, fp32: Measured, limits: GateLimits | None = None) -> Verdict:
    """Compare a variant with the fp32 graph of the same network.

    >>> fp32 = Measured(dice={"a": 0.90, "b": 0.80}, agreement=Agreement())
    >>> judge(Measured(dice={"a": 0.90, "b": 0.75}, agreement=Agreement()), fp32).sentence
    'failed: mean volume Dice -0.0250 (limit -0.003), worst patient -0.0500 (limit -0.02; b)'
    """
    limits = limits or GateLimits()
    drops = {patient: fp32.dice[patient] - score for patient, score in variant.dice.items()}
    worst = max(drops, key=lambda patient: drops[patient])
    mean_drop = fp32.mean - variant.mean
    return Verdict(
        passed=mean_drop <= limits.mean_drop and drops[worst] <= limits.patient_drop,
        volume_dice=variant.mean,
        mean_drop=mean_drop,
        worst_drop=drops[worst],
        worst_patient=worst,
        max_mean_drop=limits.mean_drop,
        max_patient_drop=limits.patient_drop,
        mask_agreement=variant.agreement.mask_agreement,
        max_difference=variant.agreement.max_difference,
    )
