"""The steps of `brainseg evaluate`, from the data set to its last line.

They are apart from the options in `evaluate.py`, since what is imported here takes longer than the help.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from brainseg_runtime.commands.options import ModelOptions, running
from brainseg_runtime.evaluation.dataset import evaluate_dataset
from brainseg_runtime.evaluation.evaluate import evaluate_masks
from brainseg_runtime.evaluation.page import MaskOf, evaluation_page, patient_picture
from brainseg_runtime.evaluation.predicted_masks import find_predictions, predicted_cases
from brainseg_runtime.evaluation.result import Evaluation, chosen_patients
from brainseg_runtime.evaluation.rows import missing_lines, score_rows
from brainseg_runtime.evaluation.summary import Settings
from brainseg_runtime.html.page import NOT_DEFINED, interval_text
from brainseg_runtime.images import read_mask
from brainseg_runtime.images.dataset import Patient, scan_dataset
from brainseg_runtime.metrics.lengths import SpacingXYZ
from brainseg_runtime.plurals import counted
from brainseg_runtime.terminal.console import Console, write_page
from brainseg_runtime.version import __version__

Patients = Mapping[str, Patient]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """An evaluation and where it comes from.

    Attributes:
        evaluation: The scores.
        title: The report's title.
        source: The bundle's path and digest; None for both where masks were scored.
        versions: Of what ran.
        seconds: How long scoring took.
        mask_of: A patient's predicted masks, for the report's pictures.
    """

    evaluation: Evaluation
    title: str
    source: Mapping[str, object]
    versions: Mapping[str, str]
    seconds: float
    mask_of: Callable[[str], MaskOf]


def of_model(
    console: Console,
    bundle: Path,
    model: ModelOptions,
    patients: Patients,
    spacing: SpacingXYZ | None,
    tolerance: float,
) -> Scored:
    """Scores a model."""
    segmenter = model.load(bundle)
    info = segmenter.info
    console.note(f"{counted(len(patients), 'patient')}, {running(segmenter)}")
    begun = time.perf_counter()
    with console.progress("slices", sum(len(patient.slices) for patient in patients.values())) as advance:
        evaluation = evaluate_dataset(
            segmenter,
            patients.values(),
            spacing_mm=spacing,
            tolerance=tolerance,
            on_patient=lambda scores: advance(scores.n_slices),
        )
    return Scored(
        evaluation=evaluation,
        title=f"Evaluation of {info.provenance.model}",
        source={"bundle": str(bundle), "digest": info.provenance.bundle_digest},
        versions=info.versions,
        seconds=time.perf_counter() - begun,
        mask_of=lambda _: lambda _, image: segmenter.predict(image).mask,
    )


def of_masks(
    console: Console, folder: Path, patients: Patients, spacing: SpacingXYZ | None, tolerance: float
) -> Scored:
    """Scores masks that are there already."""
    predicted = find_predictions(folder, tuple(patients.values()))
    n_slices = sum(len(patient.slices) for patient in patients.values())
    console.note(f"{counted(len(patients), 'patient')}, {counted(n_slices, 'mask')} of {folder}")
    settings = Settings(
        predictions=str(folder), no_probability=predicted.no_probability, spacing_mm=spacing, tolerance=tolerance
    )
    begun = time.perf_counter()
    with console.progress("slices", n_slices) as advance:
        evaluation = evaluate_masks(
            predicted_cases(predicted), settings, on_patient=lambda scores: advance(scores.n_slices)
        )
    return Scored(
        evaluation=evaluation,
        title=f"Evaluation of the masks in {folder.name}",
        source={"bundle": None, "digest": None},
        versions={"brainseg": __version__},
        seconds=time.perf_counter() - begun,
        mask_of=lambda patient: lambda at, _: read_mask(predicted.patients[patient][at].mask),
    )


def data_set(console: Console, data: Path, left_out: list[str]) -> dict[str, Patient]:
    """The data set's patients by name; shows what was left out, and adds it to a list."""
    patients = scan_dataset(data, masks="required", tell=left_out.append)
    for line in left_out:
        console.note(line)
    return {patient.id: patient for patient in patients}


def write_report(path: Path, scored: Scored, patients: Patients, ran: Mapping[str, object]) -> None:
    """Writes the page, with the best, the median and the worst patient."""
    evaluation = scored.evaluation
    pictures = [
        patient_picture(scored.mask_of(each.id), patients[each.id], each, label)
        for label, each in chosen_patients(evaluation).items()
    ]
    if evaluation.predictions is None:
        used = {**ran, "provider": evaluation.provider, "variant": evaluation.variant}
    else:
        used = {"predictions": evaluation.predictions, "data": ran["data"]}
    moment = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S %Z}"
    write_page(
        path, evaluation_page(evaluation, pictures, {**used, **scored.versions, "written": moment}, title=scored.title)
    )


def show(console: Console, evaluation: Evaluation) -> None:
    """Shows the scores that most readers come for, and why some are missing."""
    shown = [
        (name, NOT_DEFINED if value is None else f"{value:.4f}", interval_text(ends, places=4))
        for name, value, ends in score_rows(evaluation)
    ]
    console.table(["score", "value", "95 % interval"], shown)
    for line in missing_lines(evaluation.missing):
        console.note(line)
    what = f"{evaluation.provider} {evaluation.variant}" if evaluation.predictions is None else evaluation.predictions
    console.say(f"{counted(evaluation.n_patients, 'patient')}, {counted(evaluation.n_slices, 'slice')}, {what}")
