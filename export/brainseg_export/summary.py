"""What an export reports: a table, sentences, and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from brainseg_export.evidence.predictors import REQUIRED
from brainseg_export.evidence.proof import Proof
from brainseg_export.export import Result
from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io import typed_json
from brainseg_runtime.safe_io.strict_json import Json

HEADERS = ("file", "size", "max |Δp|", "masks equal", "Dice fp32 → here", "ms per slice")
"""Of the table; differences and masks compare PyTorch with provider cpu over all validation slices."""

_KIB = 1024


def rows(result: Result) -> list[Sequence[str]]:
    """The rows of the table: one for each graph, one for PyTorch with its time, one for each other file."""
    fp32 = result.shipped[0].dice
    lines: list[Sequence[str]] = [
        (
            proof.candidate.graph.name,
            _size(result.files[proof.candidate.graph.name]),
            f"{proof.measured[REQUIRED].agreement.max_difference:.1e}",
            f"{proof.measured[REQUIRED].agreement.mask_agreement:.5%}",
            f"{fp32:.4f} → {proof.dice:.4f}",
            _times(result.latency_ms[proof.candidate.variant]),
        )
        for proof in result.shipped
    ]
    others = ((name, _size(size), "", "", "", "") for name, size in result.files.items() if not name.endswith(".onnx"))
    return [*lines, ("(PyTorch)", "", "", "", "", _times(result.latency_ms["torch"])), *others]


def sentences(result: Result) -> list[str]:
    """What the table has no room for: which run and why, threshold, parity, the gate's verdict on each candidate."""
    chosen, calibration = result.chosen, result.calibration
    threshold = (
        f"threshold {calibration.threshold:g} (mean volume Dice {calibration.dice:.4f}, "
        f"at 0.5 {calibration.dice_at_half:.4f})"
    )
    temperature = (
        f"temperature {calibration.temperature:g} "
        f"(calibration error {calibration.ece_before:.4f} → {calibration.ece_after:.4f}"
        f"{'; the end of the range that is searched: train longer' if calibration.at_bound else ''})"
    )
    told = [f"{chosen.model}: run {chosen.run}, {chosen.reason}", f"{threshold}, {temperature}"]
    told += _parity_sentences(result.shipped[0])
    told += [_gate_sentence(proof, result) for proof in result.tried]
    told += [f"{variant} is left out: {why}" for variant, why in result.left_out.items()]
    return told + _stress_sentences(result)


def to_json(result: Result) -> dict[str, Json]:
    """Everything that table and sentences hold."""
    return {
        "model": result.chosen.model,
        "path": str(result.path),
        "digest": result.digest,
        "run": result.chosen.run,
        "reason": result.chosen.reason,
        "calibration": typed_json.to_json(result.calibration),
        "files": dict(result.files),
        "variants": {proof.candidate.variant: _proof_json(proof) for proof in result.shipped},
        "tried": [_proof_json(proof) for proof in result.tried],
        "left_out": dict(result.left_out),
        "latency_ms": {name: dict(times) for name, times in result.latency_ms.items()},
        "stress": None if result.stress is None else result.stress.to_json(),
    }


def _stress_sentences(result: Result) -> list[str]:
    """The three perturbations that cost most."""
    if result.stress is None:
        return []
    costs = [(row.difference.mean, row.name) for row in result.stress.rows if row.difference is not None]
    named = ", ".join(f"{name} {mean:+.3f}" for mean, name in sorted(costs)[:3])
    return [f"under perturbations, change of the mean volume Dice, the largest losses: {named}"]


def _parity_sentences(fp32: Proof) -> list[str]:
    """fp32 against PyTorch, provider by provider."""
    told = []
    for name, measured in fp32.measured.items():
        parts = {"validation": measured.agreement, **fp32.extra[name]}
        numbers = "; ".join(
            f"{what.replace('_', ' ')} {counted(item.slices, 'slice')}, max |Δp| {item.max_difference:.1e}, "
            f"{counted(item.outside_band, 'mask pixel')} outside the band"
            for what, item in parts.items()
        )
        told.append(f"parity on {name} ({'within' if fp32.within_limit(name) else 'beyond'} its limit): {numbers}")
    return [*told, *(f"parity on {name}: not measured, {why}" for name, why in fp32.refused.items())]


def _gate_sentence(proof: Proof, result: Result) -> str:
    """The gate's verdict on a candidate, on the provider where it was worst."""
    kept = proof in result.shipped
    agreement = proof.measured[REQUIRED].agreement.mask_agreement
    return (
        f"{proof.candidate.variant} by {proof.candidate.label}: Dice {proof.dice:.4f}, masks equal on "
        f"{agreement:.4%}, gate {proof.verdict.sentence}{', kept' if kept else ''}"
    )


def _proof_json(proof: Proof) -> dict[str, Json]:
    value: dict[str, Json] = {
        "variant": proof.candidate.variant,
        "label": proof.candidate.label,
        "bytes": len(proof.candidate.graph.data),
        "dice": proof.dice,
        "parity": proof.parity_json(),
        "refused": dict(proof.refused),
    }
    if proof.candidate.variant != "fp32":
        value["gate"] = {name: typed_json.to_json(verdict) for name, verdict in proof.verdicts.items()}
    return value


def _size(count: int) -> str:
    return f"{count / _KIB:,.0f} KiB"


def _times(latency_ms: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in latency_ms.items())
