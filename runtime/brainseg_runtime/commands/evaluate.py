"""`brainseg evaluate`: scores of a model, or of existing masks, on patients with true masks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from brainseg_runtime.commands.options import ModelOptions, ReportOption, SpacingOption, running
from brainseg_runtime.errors import UsageError
from brainseg_runtime.evaluation.dataset import evaluate_dataset
from brainseg_runtime.evaluation.evaluate import evaluate_masks
from brainseg_runtime.evaluation.page import MaskOf, evaluation_page, patient_picture
from brainseg_runtime.evaluation.predicted_masks import find_predictions, predicted_cases
from brainseg_runtime.evaluation.result import Evaluation, chosen_patients
from brainseg_runtime.evaluation.rows import missing_lines, score_rows
from brainseg_runtime.evaluation.stress import stress_dataset
from brainseg_runtime.evaluation.stress_rows import DICE_HEADERS, dice_rows, marked_headers, marked_rows
from brainseg_runtime.evaluation.stress_table import StressTable
from brainseg_runtime.evaluation.summary import Settings
from brainseg_runtime.html.page import NOT_DEFINED, interval_text, number_text
from brainseg_runtime.images import read_mask
from brainseg_runtime.images.dataset import Patient, scan_dataset
from brainseg_runtime.metrics.lengths import TOLERANCE, SpacingXYZ
from brainseg_runtime.metrics.scores import keys_text, names_text, table
from brainseg_runtime.perturbations.table import PERTURBATIONS
from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.terminal.application import command
from brainseg_runtime.terminal.command import DONE
from brainseg_runtime.terminal.console import Console, write_page
from brainseg_runtime.version import __version__

Patients = Mapping[str, Patient]


@dataclass(frozen=True, kw_only=True, slots=True)
class RobustnessOptions:
    """What is scored beside the slices as they are."""

    stress: Annotated[
        bool,
        typer.Option(
            "--stress",
            help="Also score the model under perturbations: smaller, moved and turned heads, other scalps, grey "
            "levels and sizes, missing sequences.",
        ),
    ] = False
    without_tumour: Annotated[
        bool,
        typer.Option(
            "--without-tumour",
            help="The patients in DATA have no tumour and need no masks: all that is marked is false.",
        ),
    ] = False


def _scores() -> dict[str, str]:
    """The table of scores, for the help."""
    keys = {"pooled": keys_text(table().pooled), **{name: keys_text(of) for name, of in table().of_volumes.items()}}
    return {"names": names_text(), **keys}


@command(
    "brainseg evaluate models/resunet data/kaggle_3m --json scores.json --report scores.html",
    "brainseg evaluate --predictions masks data/kaggle_3m --spacing 0.94 0.94 5",
    "brainseg evaluate models/resunet data/healthy --stress --without-tumour --spacing 0.94 0.94 5 --json stress.json",
    words=_scores,
)
def evaluate(
    console: Console,
    *,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="[BUNDLE] DATA", help="The model's folder, and patients' folders with masks."),
    ],
    predictions: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Score the masks in this folder, made by any program; leave BUNDLE out."),
    ] = None,
    report: ReportOption = None,
    spacing: SpacingOption = None,
    tolerance: Annotated[
        float,
        typer.Option(
            metavar="X", min=0.0, max=1000.0, help="Tolerance of the surface Dice, in pixels, and in mm with --spacing."
        ),
    ] = TOLERANCE,
    robustness: RobustnessOptions,
    model: ModelOptions,
) -> int:
    """Score a model, or existing masks, on patients with true masks.

    Scores: {names}, and volume errors.

    The JSON has: n_patients, n_slices, threshold, provider, variant, predictions, pooled ({pooled}), volume_dice (mean,
    median, min, ci95), slice_dice_tumour and slice_dice_all (mean, ci95), surface ({surface}), lesions ({lesions},
    ...), volume_error (px, ml, relative), patients (id, n_slices, dice, iou, surface, lesions, volume, ...), missing
    (reason, figures), stress (rows of name, dice, difference, marked, patients, ...), run (bundle, digest, data,
    seconds, left_out, versions), and more that docs/commands.md lists. A figure that is undefined, or would rest on too
    few patients, is null, and missing says why.
    """
    _require_one_source(len(paths), predictions, model)
    if predictions is not None and robustness != RobustnessOptions():
        raise UsageError(
            "--predictions scores existing masks and runs no model",
            expected="BUNDLE and DATA with --stress and --without-tumour",
            got="--predictions",
        )
    data, source = paths[-1], paths[0] if predictions is None else predictions
    check_outputs({"--json": console.json_target, "--report": report}, folders=[source, data])
    left_out: list[str] = []
    patients = _patients(console, data, left_out, without_tumour=robustness.without_tumour)
    if predictions is None:
        wanted = _Wanted(spacing=spacing, tolerance=tolerance, robustness=robustness)
        scored = _of_model(console, source, model, patients, wanted)
    else:
        scored = _of_masks(console, predictions, patients, spacing, tolerance)
    ran = {**scored.source, "data": str(data), "seconds": round(scored.seconds, 3)}
    run = {**ran, "left_out": left_out, "versions": dict(scored.versions)}
    under_stress = None if scored.stress is None else scored.stress.to_json()
    console.emit({**scored.evaluation.to_json(), "stress": under_stress, "run": run})
    if report is not None:
        _write_report(report, scored, patients, ran)
    _show(console, scored.evaluation)
    if scored.stress is not None:
        _show_stress(console, scored.stress)
    return DONE


def _require_one_source(n_paths: int, predictions: Path | None, model: ModelOptions) -> None:
    """Refuses any other combination than BUNDLE and DATA, or --predictions and DATA.

    Raises:
        UsageError: Something is missing, or given beside what excludes it.
    """
    if predictions is None and n_paths != 2:
        raise UsageError(
            "evaluate scores a model or masks",
            expected="BUNDLE and DATA, or --predictions FOLDER and DATA",
            got=counted(n_paths, "path"),
        )
    if predictions is not None and (n_paths != 1 or model != ModelOptions()):
        raise UsageError(
            "--predictions scores existing masks and runs no model",
            expected="DATA alone, without BUNDLE, --provider, --variant, --threads and --digest",
            got=f"{counted(n_paths, 'path')}{' and options for a model' if model != ModelOptions() else ''}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wanted:
    """How a model is to be scored; each as the option of its name."""

    spacing: SpacingXYZ | None
    tolerance: float
    robustness: RobustnessOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scored:
    """An evaluation and its origin.

    Attributes:
        evaluation: The scores.
        title: The report's title.
        source: The bundle's path and digest; None for both where masks were scored.
        versions: Of what ran.
        seconds: How long scoring took.
        mask_of: A patient's predicted masks, for the report's pictures.
        stress: Scores under perturbations, where they were asked for.
    """

    evaluation: Evaluation
    title: str
    source: Mapping[str, object]
    versions: Mapping[str, str]
    seconds: float
    mask_of: Callable[[str], MaskOf]
    stress: StressTable | None = None


def _of_model(console: Console, bundle: Path, model: ModelOptions, patients: Patients, wanted: _Wanted) -> _Scored:
    """Scores a model."""
    segmenter = model.load(bundle)
    info = segmenter.info
    n_slices = sum(len(patient.slices) for patient in patients.values())
    console.note(f"{counted(len(patients), 'patient')}, {running(segmenter)}")
    begun = time.perf_counter()
    with console.progress("slices", n_slices) as advance:
        evaluation = evaluate_dataset(
            segmenter,
            patients.values(),
            spacing_mm=wanted.spacing,
            tolerance=wanted.tolerance,
            without_tumour=wanted.robustness.without_tumour,
            on_patient=lambda scores: advance(scores.n_slices),
        )
    stress = None
    if wanted.robustness.stress:
        with console.progress("slices under perturbations", n_slices * (1 + len(PERTURBATIONS))) as advance:
            stress = stress_dataset(
                segmenter,
                patients.values(),
                spacing_mm=wanted.spacing,
                without_tumour=wanted.robustness.without_tumour,
                on_slices=advance,
            )
    return _Scored(
        evaluation=evaluation,
        title=f"Evaluation of {info.provenance.model}",
        source={"bundle": str(bundle), "digest": info.provenance.bundle_digest},
        versions=info.versions,
        seconds=time.perf_counter() - begun,
        mask_of=lambda _: lambda _, image: segmenter.predict(image).mask,
        stress=stress,
    )


def _of_masks(
    console: Console, folder: Path, patients: Patients, spacing: SpacingXYZ | None, tolerance: float
) -> _Scored:
    """Scores existing masks."""
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
    return _Scored(
        evaluation=evaluation,
        title=f"Evaluation of the masks in {folder.name}",
        source={"bundle": None, "digest": None},
        versions={"brainseg": __version__},
        seconds=time.perf_counter() - begun,
        mask_of=lambda patient: lambda at, _: read_mask(predicted.patients[patient][at].mask),
    )


def _patients(console: Console, data: Path, left_out: list[str], *, without_tumour: bool) -> dict[str, Patient]:
    """The data set's patients by name; shows what was left out, and adds it to a list."""
    patients = scan_dataset(data, masks="optional" if without_tumour else "required", tell=left_out.append)
    for line in left_out:
        console.note(line)
    return {patient.id: patient for patient in patients}


def _write_report(path: Path, scored: _Scored, patients: Patients, ran: Mapping[str, object]) -> None:
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
        path,
        evaluation_page(
            evaluation,
            pictures,
            {**used, **scored.versions, "written": moment},
            title=scored.title,
            stress=scored.stress,
        ),
    )


def _show(console: Console, evaluation: Evaluation) -> None:
    """Shows the main scores, and why some are missing."""
    shown = [
        (name, NOT_DEFINED if value is None else f"{value:.4f}", interval_text(ends, places=4))
        for name, value, ends in score_rows(evaluation)
    ]
    console.table(["score", "value", "95 % interval"], shown)
    for line in missing_lines(evaluation.missing):
        console.note(line)
    what = f"{evaluation.provider} {evaluation.variant}" if evaluation.predictions is None else evaluation.predictions
    console.say(f"{counted(evaluation.n_patients, 'patient')}, {counted(evaluation.n_slices, 'slice')}, {what}")


def _show_stress(console: Console, table: StressTable) -> None:
    """Shows the stress table."""
    if rows := dice_rows(table):
        console.table(DICE_HEADERS, [tuple(map(_shown, row)) for row in rows])
    if rows := marked_rows(table):
        console.table([str(header) for header in marked_headers(table)], [tuple(map(_shown, row)) for row in rows])
    for line in missing_lines(table.missing):
        console.note(line)


def _shown(value: object) -> str:
    """A cell of the stress table."""
    if value is None:
        return NOT_DEFINED
    if isinstance(value, float):
        return number_text(round(value, 3))
    return interval_text([round(end, 3) for end in value]) if isinstance(value, tuple) else str(value)
