"""The stress table as rows for the terminal, the page and the model card."""

from __future__ import annotations

from typing import TypeAlias

from brainseg_runtime.evaluation.stress_table import StressRow, StressTable

Row: TypeAlias = tuple[object, ...]

DICE_HEADERS = ("perturbation", "Dice", "95 % interval", "lowest", "difference", "95 % interval", "largest loss")
"""Columns of patients with tumour."""


def dice_rows(table: StressTable) -> list[Row]:
    """Name, Dice, its interval, the lowest, the difference, its interval, and the patient who loses most.

    Returns:
        A row for each perturbation; none if no patient has tumour.
    """
    return [
        (
            row.name,
            row.dice.mean,
            row.dice.ci95,
            row.dice.min,
            row.difference and row.difference.mean,
            row.difference and row.difference.ci95,
            row.difference and row.difference.min,
        )
        for row in table.rows
        if row.dice is not None
    ]


def marked_headers(table: StressTable) -> Row:
    """Columns of patients without tumour."""
    unit = "pixels" if table.spacing_mm is None else "mL"
    return "perturbation", f"marked, mean, {unit}", f"marked, most, {unit}", "patients marked"


def marked_rows(table: StressTable) -> list[Row]:
    """Name, what was marked on average, in the patient with most, and how many patients were marked at all.

    Returns:
        A row for each perturbation; none if every patient has tumour.
    """
    return [(row.name, *_marked(row), _number_marked(row)) for row in table.rows if row.marked is not None]


def about_rows(table: StressTable) -> list[Row]:
    """Name and description of each perturbation."""
    return [(row.name, row.about) for row in table.rows]


def _marked(row: StressRow) -> tuple[float | None, float | None]:
    """What was marked, in mL where it is known."""
    found = row.marked
    if found is None:
        return None, None
    return (found.px_mean, found.px_max) if found.ml_mean is None else (found.ml_mean, found.ml_max)


def _number_marked(row: StressRow) -> int | None:
    """Patients without tumour in whom anything was marked; None where single patients were not kept."""
    if not row.patients:
        return None
    return sum(patient.dice is None and patient.marked_px > 0 for patient in row.patients)
