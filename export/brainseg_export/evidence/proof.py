"""The evidence for every graph, gathered in one pass over the validation patients and on a few made-up images.

All graphs see the same slices as the trained network in PyTorch, on every provider that is available here, so a
difference between two of them is due to the graph or the provider, not to the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol

from brainseg_export.evidence import parity
from brainseg_export.evidence.gate import GateLimits, Measured, Verdict, judge, measure
from brainseg_export.evidence.golden import golden_images
from brainseg_export.evidence.parity import Agreement, ParityConfig
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


class Progress(Protocol):
    """Receives an export's progress; the runtime's `Console` is one."""

    def note(self, text: str) -> None:
        """Report one line."""

    def progress(self, what: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """Show a bar; the function it yields takes how many more are done."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A graph that may ship."""

    variant: str
    """Its name in the bundle."""
    graph: Graph
    label: str
    """How it was made, such as the calibration."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """The measurements of one candidate."""

    candidate: Candidate
    measured: Mapping[str, Measured]
    """On the validation patients, by provider."""
    verdicts: Mapping[str, Verdict]
    """The gate's, by provider."""
    refused: Mapping[str, str]
    """Optional providers that could not run it, and why."""
    extra: Mapping[str, Mapping[str, Agreement]] = field(default_factory=dict)
    """For fp32, by provider: over sizes and batches, and over adversarial images."""

    @property
    def verdict(self) -> Verdict:
        """The worst verdict over the providers: a failed one first, then by mean drop, then by worst patient."""
        return max(self.verdicts.values(), key=lambda item: (not item.passed, item.mean_drop, item.worst_drop))

    @property
    def passed(self) -> bool:
        """Whether it may ship."""
        return all(item.passed for item in self.verdicts.values())

    @property
    def dice(self) -> float:
        """Mean volume Dice on the provider that is always available."""
        return self.measured[REQUIRED].mean

    def within_limit(self, provider: str) -> bool:
        """Whether every difference from PyTorch that was seen lies within the provider's limit."""
        seen = (self.measured[provider].agreement, *self.extra.get(provider, {}).values())
        return all(item.max_difference <= LIMITS[provider] for item in seen)

    def parity_json(self) -> dict[str, Json]:
        """Differences from PyTorch by provider; the limit and whether it holds for fp32 alone."""
        found: dict[str, Json] = {}
        for name, measured in self.measured.items():
            value: dict[str, Json] = {"limit": LIMITS[name], "passed": self.within_limit(name)} if self.extra else {}
            value["validation"] = measured.agreement.to_json()
            value |= {what: item.to_json() for what, item in self.extra.get(name, {}).items()}
            found[name] = value
        return found


@dataclass(frozen=True, kw_only=True)
class Prover:
    """The reference for every candidate: the network in PyTorch, on the validation patients."""

    reference: Predict
    """The network in PyTorch."""
    patients: Patients
    threshold: float
    """Of the network and of every graph."""
    console: Progress
    parity: ParityConfig = field(default_factory=ParityConfig)
    gate: GateLimits = field(default_factory=GateLimits)

    def prove(self, fp32: Graph, others: Sequence[Candidate]) -> tuple[Proof, list[Proof]]:
        """Measure the fp32 graph and every candidate, in one pass over the patients.

        Returns:
            The proof of fp32, and one for each candidate in order.

        Raises:
            ParityError: On the required provider fp32 does not compute what PyTorch computes.
        """
        first, *rest = self._measured([fp32, *(other.graph for other in others)])
        candidate = Candidate(variant="fp32", graph=fp32, label="fp32")
        base = self._proof(candidate, first, first.measured[REQUIRED], self._on_made_images(first.functions))
        self._require_parity(base)
        return base, [self._proof(*each, base.measured[REQUIRED]) for each in zip(others, rest, strict=True)]

    def prove_another(self, other: Candidate, base: Proof) -> Proof:
        """Measure a candidate that was made later."""
        (run,) = self._measured([other.graph])
        return self._proof(other, run, base.measured[REQUIRED])

    def _measured(self, graphs: Sequence[Graph]) -> list[_Run]:
        """Several graphs over the validation patients together."""
        opened = [predictors(graph) for graph in graphs]
        models = {f"{i} {name}": run for i, (functions, _) in enumerate(opened) for name, run in functions.items()}
        with self.console.progress("validation slices through every variant", self.patients.slices) as advance:
            found = measure(self.reference, models, self.patients.cases(), threshold=self.threshold, progress=advance)
        return [
            _Run(functions=functions, refused=refused, measured={name: found[f"{i} {name}"] for name in functions})
            for i, (functions, refused) in enumerate(opened)
        ]

    def _proof(
        self,
        candidate: Candidate,
        run: _Run,
        fp32: Measured,
        extra: Mapping[str, Mapping[str, Agreement]] = MappingProxyType({}),
    ) -> Proof:
        """A candidate's evidence, with the gate's verdicts against fp32 on the required provider."""
        return Proof(
            candidate=candidate,
            measured=run.measured,
            verdicts={name: judge(item, fp32, self.gate) for name, item in run.measured.items()},
            refused=run.refused,
            extra=extra,
        )

    def _on_made_images(self, functions: Mapping[str, Predict]) -> dict[str, dict[str, Agreement]]:
        """fp32 over sizes and batches, and over adversarial images, by provider."""
        self.console.note("comparing over sizes, batches and adversarial images")
        images = {
            "sizes_and_batches": parity.size_images(self.parity.sizes),
            "adversarial": parity.adversarial_images(self.parity.adversarial),
        }
        found = {
            what: parity.over(self.reference, functions, made, threshold=self.threshold)
            for what, made in images.items()
        }
        return {name: {what: found[what][name] for what in images} for name in functions}

    def _require_parity(self, fp32: Proof) -> None:
        """Refuse a graph that differs from PyTorch on the provider that is always available."""
        seen = {"validation slices": fp32.measured[REQUIRED].agreement, **fp32.extra[REQUIRED]}
        for what, agreement in seen.items():
            parity.require(f"fp32 on cpu, over {what.replace('_', ' ')},", agreement, limit=self.parity.limit)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """A graph on every provider that can run it."""

    functions: Mapping[str, Predict]
    refused: Mapping[str, str]
    measured: Mapping[str, Measured]


def best_of(proofs: Sequence[Proof]) -> Proof:
    """The candidate to keep: the one with the highest Dice of those that pass the gate, or of all if none does."""
    passed = [proof for proof in proofs if proof.passed]
    return max(passed or proofs, key=lambda proof: proof.dice)


def stability(proof: Proof) -> dict[str, bool]:
    """By provider, whether neither threads nor repetition change a bit of a candidate's answers, at every golden size.

    For fp32 the differences from PyTorch must also lie within the provider's limit, since `auto` chooses among the
    providers that are true here.
    """
    return {
        name: (not proof.extra or proof.within_limit(name))
        and all(same_bits(proof.candidate.graph, name, images) for images in golden_images())
        for name in proof.measured
    }
