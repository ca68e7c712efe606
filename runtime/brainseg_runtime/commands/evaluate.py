"""`brainseg evaluate`: scores on patients whose masks are known, of a model or of masks that are there already."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from brainseg_runtime.commands import DONE, Model, running
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
from brainseg_runtime.metrics.surface import TOLERANCE
from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.terminal.console import Console, write_page
from brainseg_runtime.version import __version__


@dataclass(frozen=True, kw_only=True, slots=True)
class Scoring:
    """What `evaluate` is to do besides choosing the model; see its options."""

    data: Path
    report: Path | None = None
    spacing_mm: tuple[float, float, float] | None = None
    tolerance: float = TOLERANCE


def evaluate(console: Console, model: Model, wanted: Scoring) -> int:
    """Scores a model on a data set; see `brainseg evaluate --help`."""
    _check_outputs(console, wanted, model.bundle)
    left_out: list[str] = []
    patients = _patients(console, wanted.data, left_out)
    segmenter = model.load()
    info = segmenter.info
    console.note(f"{counted(len(patients), 'patient')}, {running(segmenter)}")
    begun = time.perf_counter()
    with console.progress("slices", sum(len(patient.slices) for patient in patients.values())) as advance:
        evaluation = evaluate_dataset(
            segmenter,
            patients.values(),
            spacing_mm=wanted.spacing_mm,
            tolerance=wanted.tolerance,
            on_patient=lambda scores: advance(scores.n_slices),
        )
    seconds = time.perf_counter() - begun
    digest = info.provenance.bundle_digest
    ran = {"bundle": str(model.bundle), "digest": digest, "data": str(wanted.data), "seconds": round(seconds, 3)}
    recorded = {**ran, "left_out": left_out, "versions": dict(info.versions)}
    console.emit({**evaluation.to_json(), "run": recorded})
    if wanted.report is not None:
        masks: dict[str, MaskOf] = dict.fromkeys(patients, lambda _, image: segmenter.predict(image).mask)
        used = {**ran, "provider": info.provider, "variant": info.variant, **info.versions}
        _write_report(wanted.report, evaluation, patients, masks, used, f"Evaluation of {info.provenance.model}")
    _tell_evaluation(console, evaluation)
    return DONE


def evaluate_predictions(console: Console, folder: Path, wanted: Scoring) -> int:
    """Scores masks that are there already; see `brainseg evaluate --help`."""
    _check_outputs(console, wanted, folder)
    left_out: list[str] = []
    patients = _patients(console, wanted.data, left_out)
    predicted = find_predictions(folder, tuple(patients.values()))
    n_slices = sum(len(patient.slices) for patient in patients.values())
    console.note(f"{counted(len(patients), 'patient')}, {counted(n_slices, 'mask')} of {folder}")
    settings = Settings(
        predictions=str(folder),
        no_probability=predicted.no_probability,
        spacing_mm=wanted.spacing_mm,
        tolerance=wanted.tolerance,
    )
    begun = time.perf_counter()
    with console.progress("slices", n_slices) as advance:
        evaluation = evaluate_masks(
            predicted_cases(predicted), settings, on_patient=lambda scores: advance(scores.n_slices)
        )
    seconds = time.perf_counter() - begun
    ran = {"bundle": None, "digest": None, "data": str(wanted.data), "seconds": round(seconds, 3)}
    recorded = {**ran, "left_out": left_out, "versions": {"brainseg": __version__}}
    console.emit({**evaluation.to_json(), "run": recorded})
    if wanted.report is not None:

        def mask_of(patient_id: str) -> MaskOf:
            return lambda at, _: read_mask(predicted.patients[patient_id][at].mask)

        masks = {patient_id: mask_of(patient_id) for patient_id in patients}
        used = {"predictions": str(folder), "data": str(wanted.data), "brainseg": __version__}
        _write_report(wanted.report, evaluation, patients, masks, used, f"Evaluation of the masks in {folder.name}")
    _tell_evaluation(console, evaluation)
    return DONE


def _check_outputs(console: Console, wanted: Scoring, other: Path) -> None:
    """Refuses outputs that would lie among the patients, or in the bundle or the folder of predicted masks."""
    check_outputs({"--json": console.json_target, "--report": wanted.report}, folders=[other, wanted.data])


def _patients(console: Console, data: Path, left_out: list[str]) -> dict[str, Patient]:
    """The data set's patients by name; tells what was left out, and adds it to a list."""
    patients = scan_dataset(data, masks="required", tell=left_out.append)
    for line in left_out:
        console.note(line)
    return {patient.id: patient for patient in patients}


def _write_report(
    path: Path,
    evaluation: Evaluation,
    patients: Mapping[str, Patient],
    masks: Mapping[str, MaskOf],
    used: Mapping[str, object],
    title: str,
) -> None:
    """Writes the page, with the best, the median and the worst patient."""
    pictures = [
        patient_picture(masks[each.id], patients[each.id], each, label)
        for label, each in chosen_patients(evaluation).items()
    ]
    moment = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S %Z}"
    write_page(path, evaluation_page(evaluation, pictures, {**used, "written": moment}, title=title))


def _tell_evaluation(console: Console, evaluation: Evaluation) -> None:
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
