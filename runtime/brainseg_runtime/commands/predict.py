"""`brainseg predict`: masks for files, patient folders and data sets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from brainseg_runtime.commands import DONE, FAULT, INTERRUPTED, Model, running
from brainseg_runtime.console import Console
from brainseg_runtime.errors import FileWriteError
from brainseg_runtime.inputs import collect_all
from brainseg_runtime.interrupt import stoppable
from brainseg_runtime.predict import PredictConfig, predict_files
from brainseg_runtime.predictions import DECISIVE, Origin, PatientEntry, Predictions, SliceEntry
from brainseg_runtime.report import NOT_DEFINED
from brainseg_runtime.resume import read_previous, taken_over

_SAVE_SECONDS = 0.5  # between two writes of predictions.json, at least: what a power cut can cost


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What `predict` is to do; see its options."""

    inputs: Sequence[Path]
    out: Path
    probability: bool = False
    overlay: bool = False
    resume: bool = False
    strict: bool = False
    flair_only: bool = False
    spacing_mm: tuple[float, float, float] | None = None


def predict(console: Console, model: Model, wanted: Prediction) -> int:
    """Segments every input; see `brainseg predict --help`."""
    collected = collect_all(wanted.inputs, wanted.out)
    items = collected.items
    for line in collected.warnings:
        console.note(line)
    segmenter = model.load()
    info = segmenter.info
    origin = Origin(
        digest=info.provenance.bundle_digest or "",
        provider=info.provider,
        variant=info.variant,
        versions={name: info.versions[name] for name in DECISIVE},
    )
    _make_folder(wanted.out)
    known = read_previous(wanted.out, origin) if wanted.resume else {}
    if wanted.resume:
        console.note(f"resume: {len(known)} slices of an earlier run by the same model to check")
    console.note(f"{len(items)} slice{'' if len(items) == 1 else 's'}, {running(segmenter)}")
    config = PredictConfig(
        probability=wanted.probability,
        overlay=wanted.overlay,
        strict=wanted.strict,
        flair_only=wanted.flair_only,
    )
    # What an earlier run did stays on record until its turn comes, so that a second interruption does not forget it.
    entries = {item.name: taken_over(known.get(item.name), item) for item in items}
    told = 0

    def record() -> Predictions:
        return Predictions(
            origin=origin,
            bundle=str(model.bundle),
            versions=info.versions,
            entries=tuple(entries.values()),
            spacing_mm=wanted.spacing_mm,
            warnings=collected.warnings,
            interrupted=told < len(items),
        )

    try:
        with stoppable() as stopped, console.progress("slices", len(items)) as advance:
            coming = predict_files(segmenter, items, wanted.out, config, known=known, cancelled=stopped)
            for item, entry in zip(items, _saved_now_and_then(coming, lambda: record().save(wanted.out)), strict=False):
                entries[item.name] = entry
                told += 1
                advance()
    finally:
        record().save(wanted.out)
    made = record()
    console.emit(made.to_json())
    return _tell_predictions(console, made, wanted.out)


def _saved_now_and_then(entries: Iterator[SliceEntry], save: Callable[[], None]) -> Iterator[SliceEntry]:
    """Passes entries on and saves the record now and then, so that a killed run can be resumed.

    Saving a long record takes longer, so it is done less often: about a twentieth of the time goes into it at most.
    """
    due = time.monotonic() + _SAVE_SECONDS
    for entry in entries:
        yield entry
        if time.monotonic() >= due:
            begun = time.monotonic()
            save()
            now = time.monotonic()
            due = now + max(_SAVE_SECONDS, 20 * (now - begun))


def _tell_predictions(console: Console, made: Predictions, out: Path) -> int:
    """Shows what became of the slices and of the patients."""
    patients = made.patients()
    if patients:
        headers = ["patient", "slices", "done", "tumour pixels", *(["mL"] if made.spacing_mm else [])]
        console.table(headers, [_patient_row(patient, made.spacing_mm is not None) for patient in patients])
    for entry in made.entries:
        for warning in entry.warnings:
            console.note(f"warning: {entry.input}: {warning}")
        if entry.error is not None:
            console.note(f"error: {_one_line(entry.error)}")
    for patient in patients:
        for warning in patient.warnings:
            console.note(f"warning: {patient.folder}: {warning}")
    counts = made.counts()
    left_out = ", ".join(f"{number} {kind}" for kind, number in counts.items() if kind != "done" and number)
    console.say(f"{counts['done']} of {len(made.entries)} slices done{f' ({left_out})' if left_out else ''}: {out}")
    if made.status == "interrupted":
        console.note("interrupted; what is done is kept, --resume goes on from there")
        return INTERRUPTED
    return DONE if made.status == "complete" else FAULT


def _patient_row(patient: PatientEntry, in_ml: bool) -> tuple[str, ...]:
    """A patient's line of the table."""
    volume = NOT_DEFINED if patient.volume_px is None else f"{patient.volume_px}"
    ml = NOT_DEFINED if patient.volume_ml is None else f"{patient.volume_ml:.2f}"
    return (patient.id, str(len(patient.slices)), str(patient.n_done), volume, *([ml] if in_ml else []))


def _one_line(error: Mapping[str, object]) -> str:
    """An error's record, in one line."""
    named = (f"{part} {error[part]}" for part in ("expected", "got", "remedy") if error.get(part) is not None)
    return "; ".join([str(error["what"]), *named])


def _make_folder(path: Path) -> None:
    """Makes a folder for results.

    Raises:
        FileWriteError: The system refused, or a file stands there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileWriteError(
            f"{path} cannot be made", expected="a folder for the results", got=error.strerror
        ) from error
