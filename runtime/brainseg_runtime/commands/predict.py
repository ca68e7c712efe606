"""`brainseg predict`: masks for files, patient folders and data sets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainseg_runtime.commands.options import BundleArgument, ModelOptions, running
from brainseg_runtime.commands.predict_options import SliceOptions, StudyOptions, refuse_options_of
from brainseg_runtime.commands.predict_studies import predict_studies, require_inputs
from brainseg_runtime.errors import InputError, UsageError
from brainseg_runtime.html.page import NOT_DEFINED
from brainseg_runtime.images.formats import is_image_name
from brainseg_runtime.metrics.lengths import SpacingXYZ
from brainseg_runtime.plurals import counted
from brainseg_runtime.prediction.inputs import Item, collect
from brainseg_runtime.prediction.kinds import Told, told_kind
from brainseg_runtime.prediction.layout import OUTPUTS, Layout, file_name, place
from brainseg_runtime.prediction.record import FILE, Origin, PatientEntry, Predictions, SliceEntry
from brainseg_runtime.prediction.resume import (
    Earlier,
    read_earlier,
    remove_abandoned,
    remove_earlier,
    remove_unfinished,
    require_ours,
    require_same,
    taken_over,
)
from brainseg_runtime.prediction.segment_files import PredictConfig, predict_files
from brainseg_runtime.problems import printable
from brainseg_runtime.safe_io.files import make_folder
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.safe_io.typed_json import to_json
from brainseg_runtime.segmentation.results import threshold_warnings
from brainseg_runtime.terminal.application import command
from brainseg_runtime.terminal.command import DONE, FAULT, INTERRUPTED
from brainseg_runtime.terminal.console import Console, one_line
from brainseg_runtime.terminal.interrupts import stoppable

if TYPE_CHECKING:
    from brainseg_runtime.segmenter import Segmenter

_SAVE_SECONDS = 0.5  # between two writes of predictions.json, at least: what a power cut can cost
_ALIKE = 10  # more lines than these that say the same become one


def _probability(value: float | None) -> float | None:
    """Refuses a threshold outside (0, 1]."""
    if value is not None and not 0 < value <= 1:
        raise typer.BadParameter("expected a probability above 0 and at most 1")
    return value


@command(
    "brainseg predict models/resunet data/kaggle_3m -o masks --overlay --resume",
    "brainseg predict models/resunet STUDY -o results --write seg,sr,preview",
)
def predict(  # noqa: PLR0913 - the command's options
    console: Console,
    *,
    bundle: BundleArgument,
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="INPUT...",
            help="Slices: TIFF, PNG or JPEG files, patient folders or data sets. "
            "Studies: DICOM or NIfTI files, folders of them, or zips.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="OUT", help="Folder for the results, outside the inputs.")
    ],
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep what an earlier run finished, if all hashes still agree.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Remove what a run of another model, threshold or layout left in OUT, and replace other files there.",
        ),
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="T",
            help="Probability from which a pixel is tumour, in place of the bundle's own, validated one.",
            callback=_probability,
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse what the input guard warns of; not with --flair-only.")
    ] = False,
    slices: SliceOptions,
    studies: StudyOptions,
    model: ModelOptions,
) -> int:
    """Segment slices or studies into the folder OUT; which of the two the inputs are is seen from them.

    Slices: <name>_mask.tif (0 and 255) for each, and predictions.json. The JSON (that file, and --json) has:
    schema, status, n_slices, n_done, n_failed, n_pending, bundle, provider, variant, threshold,
    validated_threshold, versions, layout, spacing_mm, warnings, patients (id, folder, n_slices, n_done, volume_px,
    volume_ml, areas, warnings), slices (name, input, patient, number, status, input_sha256, height, width, area_px,
    mask, probability, overlay, warnings, error), earlier (as slices).

    Studies: a folder OUT/<study> with what --write names, and studies.json. The JSON (that file, and --json) has:
    schema, status, n_studies, n_done, n_failed, n_pending, bundle, provider, variant, threshold,
    validated_threshold, versions, settings, warnings, studies (study_uid, name, input, source, status,
    input_sha256, series, volume_ml, registration, warnings, outputs, seconds, error), earlier (as studies).
    """
    given = inputs or []
    require_inputs(given, studies)
    told = Told(kind="studies") if studies.by_hand.any else told_kind(given)
    if told.kind == "studies":
        refuse_options_of(slices, "studies")
        return predict_studies(
            console,
            bundle=bundle,
            inputs=given,
            out=out,
            options=studies,
            config=studies.config(threshold=threshold, strict=strict),
            model=model,
            resume=resume,
            overwrite=overwrite,
            told=told.warnings,
        )
    refuse_options_of(studies, "slices")
    if strict and slices.flair_only:
        raise UsageError(
            "--strict and --flair-only exclude each other",
            expected="one of them",
            got="both: with FLAIR in all three channels two sequences are missing, and --strict refuses such slices",
            remedy="leave --strict out; the warnings are in predictions.json",
        )
    config = PredictConfig(
        probability=slices.probability,
        overlay=slices.overlay,
        strict=strict,
        threshold=threshold,
        layout="by-patient" if slices.by_patient else "flat",
        flair_only=slices.flair_only,
    )
    return _predict_slices(
        console, bundle, given, out, config, slices.spacing, model, resume=resume, overwrite=overwrite
    )


def _predict_slices(  # noqa: PLR0913 - what the command was given
    console: Console,
    bundle: Path,
    inputs: Sequence[Path],
    out: Path,
    config: PredictConfig,
    spacing: SpacingXYZ | None,
    model: ModelOptions,
    *,
    resume: bool,
    overwrite: bool,
) -> int:
    """Segments slices."""
    _refuse_overwritten_inputs(console.json_target, bundle, inputs, out)
    collected = collect(inputs, out, config.layout)
    items = collected.items
    places = [place(item.name, item.patient, config.layout) for item in items]
    _refuse_overwritten_result(console.json_target, out, places)
    for line in collected.warnings:
        found = line.removeprefix("warning: ")
        console.note(line) if found == line else console.warn(found)
    segmenter = model.load(bundle)
    begun = Predictions.begun(bundle, segmenter.info, config.threshold, config.layout)
    earlier = _made_ready(console, out, begun.origin, config.layout, places, overwrite=overwrite)
    done, here = {} if earlier is None else earlier.done, set(places)
    kept = resume and earlier is not None and earlier.origin == begun.origin
    known = {where: entry for where, entry in done.items() if where in here and kept}
    of_the_run = threshold_warnings(begun.validated_threshold, begun.threshold)
    for text in of_the_run:
        console.warn(text)
    if resume:
        console.note(f"resume: {counted(len(known), 'slice')} of an earlier run by the same model to check")
    console.note(f"{counted(len(items), 'slice')}, {running(segmenter)}")
    begun = replace(
        begun,
        spacing_mm=spacing,
        warnings=(*(f"warning: {text}" for text in of_the_run), *collected.warnings),
        earlier=tuple(entry for where, entry in done.items() if where not in here),
    )
    record = _segment(console, segmenter, items, out, config, begun, known)
    console.emit(to_json(record))
    return _show(console, record, out)


def _refuse_overwritten_inputs(json_target: str | None, bundle: Path, inputs: Sequence[Path], out: Path) -> None:
    """Refuses an OUT or a `--json` file that would overwrite an input, the bundle or each other."""
    check_outputs(
        {"--json": json_target, "-o": out / FILE},
        files=_beside(inputs),
        folders=[bundle, *(given for given in inputs if given.is_dir())],
    )


def _beside(inputs: Sequence[Path]) -> Iterator[Path]:
    """The input files, and the images and masks beside them."""
    for folder in {given.parent for given in inputs if given.is_file()}:
        yield from (each for each in folder.iterdir() if is_image_name(each.name))


def _refuse_overwritten_result(json_target: str | None, out: Path, places: Sequence[str]) -> None:
    """Refuses a `--json` file that is also the result of a slice."""
    target, out = Path(json_target or "-").resolve(), out.resolve()
    if target.is_relative_to(out):
        name = target.relative_to(out).as_posix().casefold()
        if name in {file_name(where, kind).casefold() for where in places for kind in OUTPUTS}:
            raise InputError(
                f"--json and a slice's result are one file, {json_target}",
                expected="a file for each",
                remedy="give --json another name",
            )


def _made_ready(
    console: Console, out: Path, origin: Origin, layout: Layout, places: Sequence[str], *, overwrite: bool
) -> Earlier | None:
    """Prepares OUT: refuses results of another model, or removes them with --overwrite."""
    make_folder(out)
    try:
        earlier = read_earlier(out)
    except InputError:
        if not overwrite:
            raise
        console.warn(f"{out / FILE} cannot be read, so other files of that run may stay in {out}")
        remove_earlier(None, out)
        return None
    differences = [] if earlier is None else earlier.differences(origin, layout, places)
    if not overwrite:
        require_same(differences, out)
        require_ours(places, earlier, out)
    remove_unfinished([*places, *(earlier.places if earlier is not None else ())], out)
    if earlier is not None and differences:
        console.note(f"removing the results of another run in {out}: {counted(len(earlier.places), 'slice')}")
        remove_earlier(earlier, out)
        return None
    if earlier is not None:
        remove_abandoned(earlier, places, out)
    return earlier


def _segment(
    console: Console,
    segmenter: Segmenter,
    items: Sequence[Item],
    out: Path,
    config: PredictConfig,
    begun: Predictions,
    known: Mapping[str, SliceEntry],
) -> Predictions:
    """Segments the slices, and keeps the record up to date on the way.

    What an earlier run did stays on record until its turn comes, so that a second interruption does not forget it.
    """
    places = (place(item.name, item.patient, config.layout) for item in items)
    entries = [taken_over(known.get(where), item) for where, item in zip(places, items, strict=True)]
    done = 0

    def so_far() -> Predictions:
        return begun.holding(entries, [item.patient for item in items], stopped=done < len(items))

    try:
        with stoppable() as stopped, console.progress("slices", len(items)) as advance:
            coming = predict_files(segmenter, items, out, config, known=known, cancelled=stopped)
            for entry in _saved_now_and_then(coming, lambda: so_far().save(out)):
                entries[done] = entry
                done += 1
                advance()
    finally:
        so_far().save(out)
    return so_far()


def _saved_now_and_then(entries: Iterator[SliceEntry], save: Callable[[], None]) -> Iterator[SliceEntry]:
    """Passes entries on and saves the record at intervals, so that a killed run can be resumed.

    Saving a long record takes longer, so it is done less often: about a twentieth of the time goes into it at most.
    """
    due = time.monotonic()  # at once, so that no mask is on disk for long without an entry in the record
    for entry in entries:
        yield entry
        if time.monotonic() >= due:
            begun = time.monotonic()
            save()
            now = time.monotonic()
            due = now + max(_SAVE_SECONDS, 20 * (now - begun))


def _show(console: Console, made: Predictions, out: Path) -> int:
    """Shows the results by slice and patient; returns the exit code."""
    if made.patients:
        headers = ["patient", "slices", "done", "tumour pixels", *(["mL"] if made.spacing_mm else [])]
        console.table(headers, [_patient_row(patient, made.spacing_mm is not None) for patient in made.patients])
    for line in alike((entry.input, text) for entry in made.slices for text in entry.warnings):
        console.warn(line)
    for line in alike(
        (entry.input, one_line(entry.error, entry.input)) for entry in made.slices if entry.error is not None
    ):
        console.error(line)
    for line in alike((patient.folder, text) for patient in made.patients for text in patient.warnings):
        console.warn(line)
    rest = {"failed": made.n_failed, "pending": made.n_pending}
    left_out = ", ".join(f"{number} {kind}" for kind, number in rest.items() if number)
    of_all = counted(len(made.slices), "slice")
    console.say(f"{made.n_done} of {of_all} done{f' ({left_out})' if left_out else ''}: {out}")
    if made.status == "interrupted":
        console.note("interrupted; finished slices are kept, continue with --resume")
        return INTERRUPTED
    return DONE if made.status == "complete" else FAULT


def _patient_row(patient: PatientEntry, in_ml: bool) -> tuple[str, ...]:
    """A patient's row of the table."""
    volume = NOT_DEFINED if patient.volume_px is None else f"{patient.volume_px}"
    ml = NOT_DEFINED if patient.volume_ml is None else f"{patient.volume_ml:.2f}"
    return (patient.id, str(patient.n_slices), str(patient.n_done), volume, *([ml] if in_ml else []))


def alike(told: Iterable[tuple[str, str]]) -> Iterator[str]:
    """One line for each name and text; a text that several names share becomes one line with their number.

    Args:
        told: What a line is about, such as a slice's path, and its text.

    >>> list(alike([("a.tif", "is blank"), ("b.tif", "is cut off")]))
    ['a.tif: is blank', 'b.tif: is cut off']
    >>> list(alike((f"{number}.tif", "is blank") for number in range(12)))
    ['0.tif, 1.tif, 2.tif and 9 more: is blank']
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
