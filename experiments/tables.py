"""Tables of a campaign's results: each network out of fold, and differences paired by patient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from brainseg_train.errors import RecordError

Z95: Final = 1.96
"""Half-width of a normal 95 % interval, in standard errors."""


def out_of_fold(results: Mapping[str, Mapping[str, Any]], group: str) -> dict[str, float]:
    """Each patient's Dice at native size by the fold's network that has not seen the patient.

    Args:
        results: Figures by job.
        group: What the folds' jobs are called before `-fold`, such as "unet" or "control".

    Raises:
        RecordError: There is no fold of it, or two folds measured one patient.
    """
    found: dict[str, float] = {}
    for name, figures in results.items():
        if not name.startswith(f"{group}-fold"):
            continue
        scores = dict(zip(figures["patients"], figures["native"], strict=True))
        if twice := sorted(found.keys() & scores.keys()):
            raise RecordError(f"{group} has patients in two folds", expected="each once", got=", ".join(twice))
        found |= scores
    if not found:
        raise RecordError(f"no fold of {group} has been measured", expected=f"results of {group}-fold0 and others")
    return found


def paired(one: Mapping[str, float], other: Mapping[str, float]) -> tuple[float, float, int]:
    """Mean difference over the patients of both, its standard error, and how many they are.

    Examples:
        >>> paired({"a": 0.5, "b": 0.7}, {"a": 0.4, "b": 0.6, "c": 0.1})[2]
        2
    """
    shared = sorted(one.keys() & other.keys())
    differences = np.array([one[name] - other[name] for name in shared])
    error = float(differences.std(ddof=1) / np.sqrt(len(shared))) if len(shared) > 1 else float("nan")
    return float(differences.mean()), error, len(shared)


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The out-of-fold table as Markdown, every group against the control where there is one."""
    groups = sorted({name.rpartition("-fold")[0] for name in results if "-fold" in name})
    lines = ["| | patients | mean | median | below 0.5 | against the control (95 %) |", "|---|---|---|---|---|---|"]
    for group in groups:
        scores = out_of_fold(results, group)
        values = np.array(list(scores.values()))
        against = ""
        if group != "control" and "control" in groups:
            mean, error, _ = paired(scores, out_of_fold(results, "control"))
            against = f"{mean:+.4f} ({mean - Z95 * error:+.4f} – {mean + Z95 * error:+.4f})"
        figures = f"{len(values)} | {values.mean():.4f} | {np.median(values):.4f} | {(values < 0.5).sum()}"
        lines.append(f"| `{group}` | {figures} | {against} |")
    return "\n".join(lines) + "\n"
