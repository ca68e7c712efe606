"""`brainseg predict`: masks for files, patient folders and data sets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from brainseg_runtime.commands import DONE, FAULT, INTERRUPTED, Model, running
from brainseg_runtime.errors import InputError
from brainseg_runtime.html.page import NOT_DEFINED
from brainseg_runtime.images.formats import SUFFIXES
from brainseg_runtime.plurals import counted
from brainseg_runtime.prediction.inputs import Item, collect_all
from brainseg_runtime.prediction.layout import OUTPUTS, Layout, file_name, place
from brainseg_runtime.prediction.record import DECISIVE, FILE, Origin, PatientEntry, Predictions, SliceEntry
from brainseg_runtime.prediction.resume import (
    Earlier,
    read_earlier,
    remove_earlier,
    remove_outputs,
    remove_unfinished,
    require_ours,
    require_same,
    taken_over,
)
from brainseg_runtime.prediction.segment_files import PredictConfig, make_folder, predict_files
from brainseg_runtime.problems import printable
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.segmentation.results import threshold_warnings
from brainseg_runtime.terminal.console import Console
from brainseg_runtime.terminal.interrupts import stoppable

if TYPE_CHECKING:
    from brainseg_runtime.segmenter import Segmenter

_SAVE_SECONDS = 0.5  # between two writes of predictions.json, at least: what a power cut can cost
_ALIKE = 10  # more lines than these that say the same become one


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What `predict` is to do; see its options."""

    inputs: Sequence[Path]
    out: Path
    probability: bool = False
    overlay: bool = False
    resume: bool = False
    overwrite: bool = False
    by_patient: bool = False
    threshold: float | None = None
    strict: bool = False
    flair_only: bool = False
    spacing_mm: tuple[float, float, float] | None = None

    @property
    def layout(self) -> Layout:
        """Where files lie in OUT."""
        return "by-patient" if self.by_patient else "flat"

    def places(self, items: Sequence[Item]) -> list[str]:
        """What each slice's files are called after, from OUT on."""
        return [place(item.name, item.patient, self.layout) for item in items]


def predict(console: Console, model: Model, wanted: Prediction) -> int:
    """Segments every input; see `brainseg predict --help`."""
    _check_outputs(console.json_target, model, wanted)
    collected = collect_all(wanted.inputs, wanted.out, wanted.layout)
    items, places = collected.items, wanted.places(collected.items)
    _refuse_result(console.json_target, wanted.out, places)
    for line in collected.warnings:
        found = line.removeprefix("warning: ")
        console.note(line) if found == line else console.warn(found)
    segmenter = model.load()
    info = segmenter.info
    own = info.provenance.threshold
    origin = Origin(
        digest=info.provenance.bundle_digest or "",
        provider=info.provider,
        variant=info.variant,
        versions={name: info.versions[name] for name in DECISIVE},
        threshold=None if wanted.threshold == own else wanted.threshold,
    )
    earlier = _settle(console, wanted, origin, places)
    here, done = set(places), {} if earlier is None else earlier.done
    resumed = wanted.resume and earlier is not None and earlier.origin == origin
    known = {where: entry for where, entry in done.items() if where in here and resumed}
    others = [entry for where, entry in done.items() if where not in here]
    told = threshold_warnings(own, origin.threshold)
    for text in told:
        console.warn(text)
    warnings = (*(f"warning: {text}" for text in told), *collected.warnings)
    if wanted.resume:
        console.note(f"resume: {counted(len(known), 'slice')} of an earlier run by the same model to check")
    console.note(f"{counted(len(items), 'slice')}, {running(segmenter)}")
    made = _segment(console, segmenter, items, wanted, _Frame(origin, str(model.bundle), known, others, warnings))
    console.emit(made.to_json())
    return _tell_predictions(console, made, wanted.out)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What a run's record says beside its slices.

    Attributes:
        origin: What makes the masks.
        bundle: The bundle's path as it was given.
        known: What an earlier run did of these slices, by place.
        others: What it did of others, whose files stay.
        warnings: What holds for the whole run.
    """

    origin: Origin
    bundle: str
    known: Mapping[str, SliceEntry]
    others: Sequence[SliceEntry]
    warnings: tuple[str, ...]


def _check_outputs(json_target: str | None, model: Model, wanted: Prediction) -> None:
    """Refuses a folder for results, or a file for `--json`, that would replace an input, the bundle or each other."""
    check_outputs(
        {"--json": json_target, "-o": wanted.out / FILE},
        files=_beside(wanted.inputs),
        folders=[model.bundle, *(Path(given) for given in wanted.inputs if Path(given).is_dir())],
    )


def _refuse_result(json_target: str | None, out: Path, places: Sequence[str]) -> None:
    """Refuses a file for `--json` that a slice's result is to be."""
    target, out = Path(json_target or "-").resolve(), out.resolve()
    if target.is_relative_to(out):
        name = target.relative_to(out).as_posix().casefold()
        if name in {file_name(where, kind).casefold() for where in places for kind in OUTPUTS}:
            raise InputError(
                f"--json and a slice's result are one file, {json_target}",
                expected="a file for each",
                remedy="give --json another name",
            )


def _settle(console: Console, wanted: Prediction, origin: Origin, places: Sequence[str]) -> Earlier | None:
    """Makes OUT ready: what another model left there is refused, or removed where that was asked for."""
    make_folder(wanted.out)
    try:
        earlier = read_earlier(wanted.out)
    except InputError:
        if not wanted.overwrite:
            raise
        console.warn(f"{wanted.out / FILE} cannot be read, so that other files of that run may stay in {wanted.out}")
        remove_earlier(None, wanted.out)
        return None
    told = [] if earlier is None else earlier.differences(origin, wanted.layout, places)
    if not wanted.overwrite:
        require_same(told, wanted.out)
        require_ours(places, earlier, wanted.out)
    remove_unfinished([*places, *(earlier.places if earlier is not None else ())], wanted.out)
    if earlier is not None and told:
        console.note(f"removing the results of another run in {wanted.out}: {counted(len(earlier.places), 'slice')}")
        remove_earlier(earlier, wanted.out)
        return None
    if earlier is not None:
        for where in earlier.places - set(places) - set(earlier.done):
            remove_outputs(where, wanted.out)  # begun and never finished: nothing will tell of them any more
    return earlier


def _segment(
    console: Console, segmenter: Segmenter, items: Sequence[Item], wanted: Prediction, frame: _Frame
) -> Predictions:
    """Segments the slices, and keeps the record up to date on the way."""
    info, known = segmenter.info, frame.known
    config = PredictConfig(
        probability=wanted.probability,
        overlay=wanted.overlay,
        strict=wanted.strict,
        threshold=frame.origin.threshold,
        layout=wanted.layout,
        flair_only=wanted.flair_only,
    )
    places = wanted.places(items)
    # What an earlier run did stays on record until its turn comes, so that a second interruption does not forget it.
    entries = {where: taken_over(known.get(where), item) for where, item in zip(places, items, strict=True)}
    told = 0

    def record() -> Predictions:
        return Predictions(
            origin=frame.origin,
            bundle=frame.bundle,
            versions=info.versions,
            entries=tuple(entries.values()),
            spacing_mm=wanted.spacing_mm,
            validated_threshold=info.provenance.threshold,
            layout=wanted.layout,
            warnings=frame.warnings,
            earlier=frame.others,
            interrupted=told < len(items),
        )

    try:
        with stoppable() as stopped, console.progress("slices", len(items)) as advance:
            coming = predict_files(segmenter, items, wanted.out, config, known=known, cancelled=stopped)
            saved = _saved_now_and_then(coming, lambda: record().save(wanted.out))
            for where, entry in zip(places, saved, strict=False):
                entries[where] = entry
                told += 1
                advance()
    finally:
        record().save(wanted.out)
    return record()


def _beside(inputs: Sequence[Path]) -> Iterator[Path]:
    """Files that are given by name, and the images and masks beside them."""
    for folder in {given.parent for given in map(Path, inputs) if given.is_file()}:
        yield from (each for each in folder.iterdir() if each.suffix.lower() in SUFFIXES)


def _saved_now_and_then(entries: Iterator[SliceEntry], save: Callable[[], None]) -> Iterator[SliceEntry]:
    """Passes entries on and saves the record now and then, so that a killed run can be resumed.

    Saving a long record takes longer, so it is done less often: about a twentieth of the time goes into it at most.
    """
    due = time.monotonic()  # at once, so that no mask lies there for long without a record that tells of it
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
    for line in alike((entry.input, text) for entry in made.entries for text in entry.warnings):
        console.warn(line)
    for line in alike((entry.input, _one_line(entry)) for entry in made.entries if entry.error is not None):
        console.error(line)
    for line in alike((patient.folder, text) for patient in patients for text in patient.warnings):
        console.warn(line)
    counts = made.counts()
    left_out = ", ".join(f"{number} {kind}" for kind, number in counts.items() if kind != "done" and number)
    of_all = counted(len(made.entries), "slice")
    console.say(f"{counts['done']} of {of_all} done{f' ({left_out})' if left_out else ''}: {out}")
    if made.status == "interrupted":
        console.note("interrupted; what is done is kept, --resume goes on from there")
        return INTERRUPTED
    return DONE if made.status == "complete" else FAULT


def _patient_row(patient: PatientEntry, in_ml: bool) -> tuple[str, ...]:
    """A patient's line of the table."""
    volume = NOT_DEFINED if patient.volume_px is None else f"{patient.volume_px}"
    ml = NOT_DEFINED if patient.volume_ml is None else f"{patient.volume_ml:.2f}"
    return (patient.id, str(len(patient.slices)), str(patient.n_done), volume, *([ml] if in_ml else []))


def _one_line(entry: SliceEntry) -> str:
    """What went wrong with a slice, in one line; its path is left to the line's beginning."""
    error = entry.error or {}
    parts = {"expected": "expected", "got": "got", "remedy": "remedy:"}
    named = (f"{word} {error[part]}" for part, word in parts.items() if error.get(part) is not None)
    what = str(error.get("what", "")).removeprefix(f"{entry.input}: ").removeprefix(f"{entry.input} ")
    return "; ".join([what, *named])


def alike(told: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Lines that each begin with what they are about; what is said of many alike is one line that counts them.

    Args:
        told: What it is about, such as a slice's path, and the text.
    """
    lines = [(printable(each), printable(text)) for each, text in told]
    about: dict[str, list[str]] = {}
    for each, text in lines:
        about.setdefault(text, []).append(each)
    for each, text in lines:
        names = about[text]
        if len(names) <= _ALIKE:
            yield f"{each}: {text}"
        elif each == names[0]:
            yield f"{', '.join(names[:3])} and {len(names) - 3:,} more: {text}"
