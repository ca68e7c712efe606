"""What became of a file in another engine: its differences from the golden answers and from onnxruntime, and the table.

Legend: H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.engines_elsewhere_files import Case
from brainseg_runtime.bundles.bundle import Bundle

Answers: TypeAlias = Mapping[str, NDArray[Any]]
"""Masks and probabilities, (H, W), by the image's number, as the child writes them."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one engine made of one file."""

    engine: str
    network: str
    bundle: str
    """The manifest's SHA-256."""
    variant: str
    version: str | None = None
    form: str | None = None
    """The first form that ran; None if none did."""
    errors: tuple[str, ...] = ()
    """Why each form before it did not."""
    golden_probability: float | None = None
    """Largest difference of a pixel's probability from the golden one."""
    golden_pixels: int | None = None
    """Mask pixels that differ from the golden ones."""
    slices: int = 0
    probability: float | None = None
    """Largest difference on real slices from onnxruntime."""
    pixels: int | None = None
    """Mask pixels of real slices that differ from onnxruntime's."""
    tumour: int | None = None
    """Mask pixels that onnxruntime sets on them."""
    within: bool | None = None
    """Whether both differences, golden and real, are within the manifest's tolerance."""
    seconds: float | None = None
    """Processor time for a slice of 256 x 256, median."""
    ratio: float | None = None
    """The same over onnxruntime's."""


def compare(variant: str, bundle: Bundle, cases: Sequence[Case], found: Answers, reference: Answers) -> dict[str, Any]:
    """Differences from the golden answers, and on the slices after them from onnxruntime; fields of `Outcome`."""
    images = sum(name.endswith(".mask") for name in found)
    golden = [_differences(found, number, case.answers[variant]) for number, case in enumerate(cases)]
    others = range(len(golden), images)
    real = [
        _differences(found, number, (reference[f"{number}.mask"], reference[f"{number}.probability"]))
        for number in others
    ]
    tolerance = bundle.manifest.variants[variant].tolerance("cpu")
    if tolerance is None:
        raise ValueError(f"{bundle.path} states no tolerance of {variant}")
    within = all(
        apart <= tolerance.probability and pixels <= tolerance.mask * found[f"{number}.mask"].size
        for number, (apart, pixels) in enumerate([*golden, *real])
    )
    return {
        "golden_probability": max(apart for apart, _ in golden),
        "golden_pixels": sum(pixels for _, pixels in golden),
        "slices": len(real),
        "probability": max((apart for apart, _ in real), default=None),
        "pixels": sum(pixels for _, pixels in real),
        "tumour": int(sum(reference[f"{number}.mask"].sum() for number in others)),
        "within": within,
    }


def _differences(found: Answers, number: int, expected: tuple[NDArray[Any], NDArray[Any]]) -> tuple[float, int]:
    """Largest difference of probability (1 for a NaN), and how many mask pixels differ."""
    apart = np.abs(found[f"{number}.probability"] - expected[1])
    return float(np.nan_to_num(apart, nan=1.0, posinf=1.0).max()), int((found[f"{number}.mask"] != expected[0]).sum())


def table(outcomes: Sequence[Outcome], engines: Sequence[str]) -> Iterator[str]:
    """The outcomes as Markdown: a row for each engine and variant, the networks that were measured side by side."""
    found = sorted(outcomes, key=lambda one: (engines.index(one.engine), one.variant, one.network))
    yield "| engine | variant | networks | form | golden: max Δp | pixels | real: max Δp | pixels | time | right |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for (engine, variant), group in groupby(found, key=lambda one: (one.engine, one.variant)):
        rows = [(one.network, *_cells(one)) for one in group]
        cells = [_side_by_side(column) for column in zip(*rows, strict=True)]
        yield f"| {engine} | {variant} | {' | '.join(cells)} |"


def told(outcome: Outcome) -> str:
    """An outcome in a line."""
    return ", ".join(_cells(outcome)) + (f" ({'; '.join(outcome.errors)})" if outcome.errors else "")


def _side_by_side(cells: Sequence[str]) -> str:
    return cells[0] if len(set(cells)) == 1 else ", ".join(cells)


def _cells(outcome: Outcome) -> tuple[str, ...]:
    """An outcome as the last columns of the table."""
    if outcome.form is None:
        return ("none runs", *("–" for _ in range(5)), "–")
    real = ("–", "–") if outcome.probability is None else (f"{outcome.probability:.0e}", _share(outcome))
    ratio = "–" if outcome.ratio is None else f"{outcome.ratio:.1f}"
    golden = (f"{outcome.golden_probability:.0e}", str(outcome.golden_pixels))
    return (outcome.form, *golden, *real, ratio, "yes" if outcome.within else "**no**")


def _share(outcome: Outcome) -> str:
    """Mask pixels of real slices that differ, and what share of onnxruntime's tumour pixels that is."""
    if not outcome.pixels or not outcome.tumour:
        return str(outcome.pixels)
    return f"{outcome.pixels} ({outcome.pixels / outcome.tumour:.2%})"
