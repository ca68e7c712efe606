"""`brainseg evaluate`: scores on patients whose masks are known."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from brainseg_runtime.cases import dataset_cases, predict_arrays
from brainseg_runtime.commands import DONE, Model, running
from brainseg_runtime.console import Console, write_page
from brainseg_runtime.evaluate import BATCH
from brainseg_runtime.evaluate import evaluate as score
from brainseg_runtime.evaluation import Evaluation
from brainseg_runtime.evaluation_page import SCORES, chosen_patients, evaluation_page
from brainseg_runtime.images.dataset import scan_dataset
from brainseg_runtime.output_paths import check_outputs
from brainseg_runtime.pictures import patient_picture
from brainseg_runtime.plurals import counted
from brainseg_runtime.report import NOT_DEFINED, interval_text


def evaluate(console: Console, model: Model, data: Path, report: Path | None) -> int:
    """Scores a model on a data set; see `brainseg evaluate --help`."""
    check_outputs({"--json": console.json_target, "--report": report}, folders=[model.bundle, data])
    left_out: list[str] = []
    patients = {patient.id: patient for patient in scan_dataset(data, masks="required", tell=left_out.append)}
    for line in left_out:
        console.note(line)
    segmenter = model.load()
    info = segmenter.info
    console.note(f"{counted(len(patients), 'patient')}, {running(segmenter)}")
    begun = time.perf_counter()
    with console.progress("slices", sum(len(patient.slices) for patient in patients.values())) as advance:
        evaluation = score(
            dataset_cases(patients.values(), limits=info.limits),
            lambda images: predict_arrays(segmenter, images),
            threshold=info.provenance.threshold or 0.0,
            provider=info.provider,
            variant=info.variant,
            batch=min(BATCH, info.limits.max_batch),
            on_patient=lambda scores: advance(scores.n_slices),
        )
    seconds = time.perf_counter() - begun
    digest = info.provenance.bundle_digest
    ran = {"bundle": str(model.bundle), "digest": digest, "data": str(data), "seconds": round(seconds, 3)}
    recorded = {**ran, "left_out": left_out, "versions": dict(info.versions)}
    console.emit({**evaluation.to_json(), "run": recorded})
    if report is not None:
        chosen = chosen_patients(evaluation)
        pictures = [patient_picture(segmenter, patients[each.id], each, label) for label, each in chosen.items()]
        moment = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S %Z}"
        used = {"provider": info.provider, "variant": info.variant, **info.versions, "written": moment}
        title = f"Evaluation of {info.provenance.model}"
        write_page(report, evaluation_page(evaluation, pictures, {**ran, **used}, title=title))
    _tell_evaluation(console, evaluation)
    return DONE


def _tell_evaluation(console: Console, evaluation: Evaluation) -> None:
    """Shows the scores that most readers come for."""
    pooled = evaluation.pooled
    rows = [
        ("Dice, mean over patients' volumes", evaluation.volume_dice.mean, evaluation.volume_dice.ci95),
        ("Dice, mean over slices with tumour", evaluation.slice_dice_tumour.mean, evaluation.slice_dice_tumour.ci95),
        ("Dice, mean over all slices", evaluation.slice_dice_all.mean, evaluation.slice_dice_all.ci95),
        *(
            (f"{name}, all pixels", getattr(pooled, score), getattr(evaluation.pooled_ci95, score))
            for score, name in SCORES.items()
        ),
    ]
    shown = [
        (name, NOT_DEFINED if value is None else f"{value:.4f}", interval_text(*(ends or (None, None)), places=4))
        for name, value, ends in rows
    ]
    console.table(["score", "value", "95 % interval"], shown)
    console.say(
        f"{counted(evaluation.n_patients, 'patient')}, {counted(evaluation.n_slices, 'slice')}, "
        f"{evaluation.provider} {evaluation.variant}"
    )
