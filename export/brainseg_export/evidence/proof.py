"""The evidence for every variant, gathered in one pass over the validation patients and a few made-up images.

All variants see the same slices as the trained network in PyTorch, on every provider that can be had, so a difference
between two of them is theirs and not the data's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol

from brainseg_export.evidence import parity
from brainseg_export.evidence.gate import Measured, Verdict, judge, measure
from brainseg_export.evidence.golden import golden_images
from brainseg_export.evidence.parity import Agreement
from brainseg_export.evidence.predictors import REQUIRED, predictors, same_bits
from brainseg_export.graphs.convert import Graph
from brainseg_export.sources.patients import Patients
from brainseg_runtime.evaluation.evaluate import Predict
from brainseg_runtime.inference.providers import PROVIDERS
from brainseg_runtime.safe_io.strict_json import Json

LIMITS: Final[Mapping[str, float]] = MappingProxyType(
    {each.name: each.parity_limit for each in PROVIDERS if each.parity_limit is not None}
)
"""Largest difference of a probability from PyTorch in fp32, by provider."""


class Watch(Protocol):
    """Who is told how far things are; the runtime's `Console` is one."""

    def note(self, text: str) -> None:
        """A line about the work."""

    def progress(self, what: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """A display; the function it yields is told how many more are done."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A graph that may ship."""

    variant: str
    """The name it would have in the bundle."""
    graph: Graph
    label: str
    """How it was made, such as the calibration."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was measured of one candidate."""

    candidate: Candidate
    measured: Mapping[str, Measured]
    """On the validation patients, by provider."""
    verdicts: Mapping[str, Verdict]
    """What the gate says, by provider."""
    refused: Mapping[str, str]
    """Optional providers that would not run it, and why."""
    extra: Mapping[str, Mapping[str, Agreement]] = field(default_factory=dict)
    """For fp32, by provider: over sizes and batches, and over images made to provoke."""
    stable: Mapping[str, bool] = field(default_factory=dict)
    """By provider: whether threads and repetition leave every bit alone."""

    @property
    def verdict(self) -> Verdict:
        """The gate's worst verdict over the providers, by the mean and then by the worst patient."""
        return max(self.verdicts.values(), key=lambda item: (not item.passed, item.mean_drop, item.worst_drop))

    @property
    def passed(self) -> bool:
        """Whether it may ship."""
        return all(item.passed for item in self.verdicts.values())

    @property
    def dice(self) -> float:
        """Mean volume Dice on the provider that is always there."""
        return self.measured[REQUIRED].mean

    def parity_json(self) -> dict[str, Json]:
        """Differences from PyTorch by provider."""
        return {name: self._provider_json(name) for name in self.measured}

    def within(self, provider: str) -> bool:
        """Whether every difference of fp32 lies within the provider's limit."""
        limit = LIMITS[provider]
        checks = (self.measured[provider].agreement, *self.extra.get(provider, {}).values())
        return all(item.max_difference <= limit for item in checks)

    def _provider_json(self, name: str) -> dict[str, Json]:
        value: dict[str, Json] = {"validation": self.measured[name].agreement.to_json()}
        if self.extra:
            value = {"limit": LIMITS[name], "passed": self.within(name), **value}
            value |= {what: item.to_json() for what, item in self.extra[name].items()}
        return value


def prove(
    reference: Predict, fp32: Graph, others: list[Candidate], patients: Patients, *, threshold: float, watch: Watch
) -> tuple[Proof, list[Proof]]:
    """Measure the fp32 graph and every candidate.

    Args:
        reference: The network in PyTorch.
        fp32: Its graph.
        others: What else may ship.
        patients: The validation patients.
        threshold: The models'.
        watch: Told how far it is.

    Returns:
        The proof of fp32, then one for each candidate in order.

    Raises:
        ParityError: fp32 on the required provider does not compute what PyTorch computes.
    """
    rows = _measured(reference, [fp32, *(other.graph for other in others)], patients, threshold, watch)
    base = Candidate(variant="fp32", graph=fp32, label="fp32")
    extra = _extra(reference, rows[0].functions, threshold, watch)
    first, *proofs = (
        _proof(candidate, row, rows[0].measured[REQUIRED], extra if candidate is base else {})
        for candidate, row in zip([base, *others], rows, strict=True)
    )
    _require(first)
    return first, proofs


def prove_another(
    reference: Predict, base: Proof, other: Candidate, patients: Patients, *, threshold: float, watch: Watch
) -> Proof:
    """Measure a candidate that came later.

    Args:
        reference: The network in PyTorch.
        base: The proof of fp32.
        other: What else may ship.
        patients: The validation patients.
        threshold: The models'.
        watch: Told how far it is.
    """
    (row,) = _measured(reference, [other.graph], patients, threshold, watch)
    return _proof(other, row, base.measured[REQUIRED], {})


def best_of(proofs: list[Proof]) -> Proof:
    """The candidate to keep: of those that pass the gate, or of all where none does, the one with the highest Dice."""
    passed = [proof for proof in proofs if proof.passed]
    return max(passed or proofs, key=lambda proof: proof.dice)


def stability(proof: Proof) -> dict[str, bool]:
    """By provider, whether threads and repetition leave every bit of a candidate's answers alone, at every golden size.

    Of fp32 also whether its differences from PyTorch lie within the provider's limit: `auto` takes what is named here.
    """
    return {
        name: (not proof.extra or proof.within(name))
        and all(same_bits(proof.candidate.graph, name, images) for images in golden_images())
        for name in proof.measured
    }


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A graph on every provider that would run it."""

    functions: Mapping[str, Predict]
    refused: Mapping[str, str]
    measured: Mapping[str, Measured]


def _measured(
    reference: Predict, graphs: Sequence[Graph], patients: Patients, threshold: float, watch: Watch
) -> list[_Row]:
    """Run several graphs over the validation patients together."""
    opened = [predictors(graph) for graph in graphs]
    models = {f"{i} {name}": run for i, (functions, _) in enumerate(opened) for name, run in functions.items()}
    with watch.progress("validation slices through every variant", patients.slices) as advance:
        found = measure(reference, models, patients.cases(), threshold=threshold, progress=advance)
    return [
        _Row(functions=functions, refused=refused, measured={name: found[f"{i} {name}"] for name in functions})
        for i, (functions, refused) in enumerate(opened)
    ]


def _proof(candidate: Candidate, row: _Row, fp32: Measured, extra: Mapping[str, Mapping[str, Agreement]]) -> Proof:
    """A candidate's evidence, with the gate's verdicts against fp32 on the required provider."""
    return Proof(
        candidate=candidate,
        measured=row.measured,
        verdicts={name: judge(item, fp32) for name, item in row.measured.items()},
        refused=row.refused,
        extra=extra,
    )


def _extra(
    reference: Predict, functions: Mapping[str, Predict], threshold: float, watch: Watch
) -> dict[str, dict[str, Agreement]]:
    """fp32 over sizes and batches, and over images made to provoke, by provider."""
    watch.note("comparing over sizes, batches and images made to provoke")
    sizes = parity.over(reference, functions, parity.size_images(), threshold=threshold)
    provoked = parity.over(reference, functions, parity.adversarial_images(), threshold=threshold)
    return {name: {"sizes_and_batches": sizes[name], "adversarial": provoked[name]} for name in functions}


def _require(fp32: Proof) -> None:
    """Refuse a graph that differs from PyTorch on the provider that is always there."""
    parity.require("fp32 on cpu, over the validation slices,", fp32.measured[REQUIRED].agreement)
    for what, agreement in fp32.extra[REQUIRED].items():
        parity.require(f"fp32 on cpu, over {what.replace('_', ' ')},", agreement)
