"""Whether the order of networks is more than noise: paired tests over patients, corrected for their number.

Source of the correction for several pairs: Holm, A simple sequentially rejective multiple test procedure, 1979.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

from brainseg_runtime.metrics import bootstrap_interval, least_p, paired_permutation_test
from brainseg_runtime.safe_io.typed_json import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from brainseg_train.comparison.test_scores import TestRecord

SIGNIFICANT: Final = 0.05
"""A corrected p below this counts as significant."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two networks over the same test patients."""

    first: str
    second: str
    difference: float
    """Mean volume Dice of the first minus that of the second."""
    ci95: tuple[float, float] | None
    """Interval of the difference, by patient bootstrap."""
    ci95_reason: str | None
    """Reason for a missing interval."""
    p_value: float | None
    """Of the two-sided paired permutation test."""
    p_corrected: float | None
    """The same, corrected by Holm for the number of pairs."""
    more_than_noise: bool | None
    """Whether the corrected p is below 0.05; None, as both p are, where so few patients differ that none could be."""
    reason: str | None
    """Reason for a missing p-value."""
    patients: int


def compare(ranked: Sequence[TestRecord]) -> list[dict[str, Any]]:
    """Each pair of networks over the same patients: the mean difference of volume Dice and how likely chance gives it.

    Args:
        ranked: The networks' test records, best first.

    Returns:
        A `Comparison` of each pair, as JSON.
    """
    pairs = list(combinations(ranked, 2))
    found = [paired_permutation_test(*_paired(*pair)) for pair in pairs]
    least = holm([least_p(*_paired(*pair)) for pair in pairs])  # the best that the test could have said
    return [to_json(_compared(*pair, *each)) for pair, *each in zip(pairs, found, holm(found), least, strict=True)]


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for being several, in the order given; each in [0, 1] and no smaller than before.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def verdict(comparisons: Sequence[Mapping[str, Any]]) -> str:
    """What the comparisons of ranked networks mean, in words.

    >>> verdict([])
    'One network only: no order to test.'
    """
    if not comparisons:
        return "One network only: no order to test."
    sure = [pair for pair in comparisons if pair["more_than_noise"]]
    judged = [pair for pair in comparisons if pair["more_than_noise"] is not None]
    if not judged:
        reasons = "; ".join(dict.fromkeys(pair["reason"] for pair in comparisons))
        return f"Whether the order is more than noise cannot be told: {reasons}."
    if not sure:
        smallest = min(pair["p_corrected"] for pair in judged)
        told = "no pair" if len(judged) == len(comparisons) else "no pair can be tested"
        return (
            f"The order is not more than noise: {told} differs by more than chance gives (smallest p {smallest:.2g})."
        )
    named = "; ".join(
        f"{pair['first']} is above {pair['second']} by {pair['difference']:.3f} (p {pair['p_corrected']:.2g})"
        for pair in sure
    )
    rest = [f"{pair['first']} and {pair['second']}" for pair in comparisons if not pair["more_than_noise"]]
    return f"More than noise: {named}." + (f" Not told apart: {', '.join(rest)}." if rest else "")


def _paired(first: TestRecord, second: TestRecord) -> tuple[list[float], list[float]]:
    """Volume Dice of two networks on the patients that both have seen, in one order."""
    a, b = first.patient_dice(), second.patient_dice()
    patients = [name for name in a if name in b]
    return [a[name] for name in patients], [b[name] for name in patients]


def _compared(
    first: TestRecord, second: TestRecord, p_value: float, p_corrected: float, least_corrected: float
) -> Comparison:
    """The comparison of a pair; without a verdict where even the least p that these patients can give is too large."""
    differences = [x - y for x, y in zip(*_paired(first, second), strict=True)]
    interval = bootstrap_interval(differences)
    judged = least_corrected < SIGNIFICANT
    differ = sum(difference != 0 for difference in differences)
    too_few = (
        f"the networks differ on {differ} of {len(differences)} test patients, so the smallest possible p is "
        f"{least_corrected:.2g}, not below {SIGNIFICANT}"
    )
    return Comparison(
        first=first.model,
        second=second.model,
        difference=sum(differences) / len(differences),
        ci95=(interval[0], interval[1]) if interval.defined else None,
        ci95_reason=interval.reason or None,
        p_value=p_value if judged else None,
        p_corrected=p_corrected if judged else None,
        more_than_noise=p_corrected < SIGNIFICANT if judged else None,
        reason=None if judged else too_few,
        patients=len(differences),
    )
