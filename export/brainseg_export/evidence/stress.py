"""The stress table of an export, and the lowest values that it must reach.

A file of lowest values is a JSON object. A key is a perturbation's name, or `unperturbed`; its value is the lowest mean
volume Dice over patients, or an object with `dice`, `difference` (the mean difference from the unperturbed Dice, at
most 0) or both:

    {"head-50": 0.80, "skull-stripped": {"difference": -0.02}, "no-pre-flair": {"dice": 0.8, "difference": -0.03}}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from brainseg_export.errors import ExportError, GateError
from brainseg_export.evidence.predictors import REQUIRED, predictor
from brainseg_export.evidence.proof import Progress
from brainseg_export.graphs.convert import Graph
from brainseg_export.sources.patients import BATCH, Patients
from brainseg_runtime.evaluation.stress import stress
from brainseg_runtime.evaluation.stress_table import UNPERTURBED, StressTable
from brainseg_runtime.perturbations.table import PERTURBATIONS
from brainseg_runtime.safe_io.files import read_capped
from brainseg_runtime.safe_io.strict_json import Json, parse
from brainseg_runtime.safe_io.typed_json import Between, check, from_json

_MAX_BYTES: Final = 1 << 16
"""Of a file of lowest values; one that names every perturbation has 4 KiB."""


@dataclass(frozen=True, kw_only=True)
class Lowest:
    """The lowest values of one row.

    Raises:
        ExportError: A value is out of its range, or neither is given.
    """

    dice: Annotated[float, Between(0, 1)] | None = None
    """Of the mean volume Dice over patients."""
    difference: Annotated[float, Between(-1, 0)] | None = None
    """Of its mean difference from the unperturbed Dice."""

    def __post_init__(self) -> None:
        check(self, "lowest values", error=ExportError)
        if self.dice is None and self.difference is None:
            raise ExportError("lowest values are empty", expected="dice, difference or both", got="neither")


def read_lowest(path: Path) -> dict[str, Lowest]:
    """The lowest allowed values by perturbation.

    Args:
        path: The file; the head of this module says what it holds.

    Raises:
        ExportError: It cannot be read, names an unknown perturbation, or a value is out of its range.
    """
    data = read_capped(path, _MAX_BYTES, error=ExportError)
    value = parse(data, str(path), limit=_MAX_BYTES, error=ExportError)
    names = (UNPERTURBED, *(each.name for each in PERTURBATIONS))
    if unknown := sorted(set(value) - set(names)):
        raise ExportError(
            f"{path} names unknown perturbations", expected=f"of {', '.join(names)}", got=", ".join(unknown)
        )
    if not value:
        raise ExportError(f"{path} requires nothing", expected="lowest values by perturbation", got="an empty object")
    if isinstance(found := value.get(UNPERTURBED), dict) and "difference" in found:
        raise ExportError(f"{path}: {UNPERTURBED} has no difference", expected="dice alone", got="difference")
    return {name: _lowest(item, f"{path}: {name}") for name, item in value.items()}


def measure_stress(graph: Graph, patients: Patients, console: Progress) -> StressTable:
    """The fp32 graph under every perturbation, on the validation patients.

    Args:
        graph: The graph, with the threshold in its masks.
        patients: The validation patients.
        console: Where progress is reported.
    """
    with console.progress(
        "validation slices under perturbations", patients.slices * (1 + len(PERTURBATIONS))
    ) as advance:
        return stress(
            patients.cases(),
            predictor(graph, REQUIRED),
            provider=REQUIRED,
            variant="fp32",
            batch=BATCH,
            on_slices=advance,
        )


def require_lowest(table: StressTable, lowest: Mapping[str, Lowest]) -> None:
    """Refuse a network that does not reach the lowest values.

    Raises:
        GateError: It names every value that is too low.
    """
    if faults := list(_faults(table, lowest)):
        raise GateError(
            "the network does not reach the lowest values under perturbations",
            expected="every value of --require-stress reached",
            got="; ".join(faults),
            remedy="train with augmentation like these perturbations, or lower the values and state why",
        )


def _lowest(item: Json, where: str) -> Lowest:
    """One perturbation's lowest values; a number is the Dice."""
    value = item if isinstance(item, dict) else {"dice": item}
    return from_json(Lowest, value, where, error=ExportError)


def _faults(table: StressTable, lowest: Mapping[str, Lowest]) -> Iterator[str]:
    """What is too low, one clause each."""
    rows = table.by_name
    for name, least in lowest.items():
        row = rows[name]
        scores = {
            "Dice": (least.dice, None if row.dice is None else row.dice.mean),
            "difference": (least.difference, None if row.difference is None else row.difference.mean),
        }
        for what, (floor, score) in scores.items():
            if floor is not None and (score is None or score < floor):
                got = "undefined, as no patient has tumour" if score is None else f"{score:.4f}"
                yield f"{name}: {what} {got}, lowest allowed {floor:g}"
