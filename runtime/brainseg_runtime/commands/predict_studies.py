"""`brainseg predict` on studies: a folder in OUT for each, and `studies.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from brainseg_runtime.commands.options import ModelOptions, running
from brainseg_runtime.commands.predict_options import StudyOptions
from brainseg_runtime.errors import InputError, UsageError
from brainseg_runtime.html.page import NOT_DEFINED
from brainseg_runtime.plurals import counted
from brainseg_runtime.prediction.record import FILE as OF_SLICES
from brainseg_runtime.prediction.study_inputs import StudyItem, collect_studies
from brainseg_runtime.prediction.study_record import FILE, StudyEntry, StudyPredictions, is_place, read_studies
from brainseg_runtime.problems import printable
from brainseg_runtime.safe_io.files import make_folder
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.safe_io.typed_json import to_json
from brainseg_runtime.segmentation.results import threshold_warnings
from brainseg_runtime.terminal.command import DONE, FAULT, INTERRUPTED
from brainseg_runtime.terminal.console import Console, one_line
from brainseg_runtime.terminal.interrupts import stoppable

if TYPE_CHECKING:
    from brainseg_runtime.prediction.segment_studies import StudyConfig
    from brainseg_runtime.segmenter import Segmenter


def predict_studies(  # noqa: PLR0913 - what the command was given
    console: Console,
    *,
    bundle: Path,
    inputs: Sequence[Path],
    out: Path,
    options: StudyOptions,
    config: StudyConfig,
    model: ModelOptions,
    resume: bool,
    overwrite: bool,
    told: Sequence[str] = (),
) -> int:
    """Segments studies.

    Args:
        console: The streams.
        bundle: The model's folder.
        inputs: Folders, files and archives; none if `options` name the files.
        out: Where the results go.
        options: Which series are named by hand.
        config: What to write.
        model: How to run the model.
        resume: Whether to keep what an earlier run finished.
        overwrite: Whether to remove what a run of another model or with other settings left.
        told: What was left out among the inputs.

    Returns:
        The exit code.
    """
    _refuse_overwritten_inputs(console.json_target, bundle, inputs, out, options)
    for text in told:
        console.warn(text)
    items = collect_studies(inputs, out, options.by_hand)
    segmenter = model.load(bundle)
    begun = StudyPredictions.begun(bundle, segmenter.info, config.threshold, config.settings)
    earlier = _made_ready(out, begun, items, overwrite=overwrite)
    done = {each.name: each for each in earlier if each.status == "done"}
    here = {item.name for item in items}
    of_the_run = threshold_warnings(begun.validated_threshold, begun.threshold)
    for text in of_the_run:
        console.warn(text)
    known = {name: each for name, each in done.items() if name in here} if resume else {}
    if resume:
        console.note(f"resume: {counted(len(known), 'study', 'studies')} of an earlier run to check")
    console.note(f"{counted(len(items), 'study', 'studies')}, {running(segmenter)}")
    begun = replace(
        begun,
        warnings=(*of_the_run, *told),
        earlier=tuple(each for name, each in done.items() if name not in here),
    )
    record = _segment(console, segmenter, items, out, config, begun, known)
    console.emit(to_json(record))
    return _show(console, record, out)


def _refuse_overwritten_inputs(
    json_target: str | None, bundle: Path, inputs: Sequence[Path], out: Path, options: StudyOptions
) -> None:
    """Refuses an OUT or a `--json` file that would overwrite an input, the bundle or each other."""
    named = [Path(each) for each in (options.flair, options.pre, options.post) if each is not None]
    given = [*inputs, *(each for each in named if each.exists())]
    check_outputs(
        {"--json": json_target, "-o": out / FILE},
        files=[each for each in given if each.is_file()],
        folders=[bundle, *(each for each in given if each.is_dir())],
    )
    if json_target not in {None, "-"}:
        target, there = Path(str(json_target)).resolve(), out.resolve()
        if target.is_relative_to(there) and len(target.relative_to(there).parts) > 1:
            raise InputError(
                f"--json would be written into a study's folder, {json_target}",
                expected="a file in OUT itself or outside it",
                remedy="give --json another name",
            )


def _made_ready(
    out: Path, begun: StudyPredictions, items: Sequence[StudyItem], *, overwrite: bool
) -> tuple[StudyEntry, ...]:
    """Prepares OUT: refuses what was made in another way, or removes it with --overwrite; gives earlier entries."""
    from brainseg_runtime.prediction.segment_studies import remove_outputs, require_ours, require_same_studies

    make_folder(out)
    if (out / OF_SLICES).exists():
        raise InputError(
            f"{out} holds the results of a run on slices ({OF_SLICES})",
            expected="a folder for studies alone",
            remedy="give another folder with -o",
        )
    strange = [item.name for item in items if not is_place(item.name)]
    if strange:
        raise InputError("a study's name cannot be a folder's", expected="letters, digits, . _ -", got=repr(strange[0]))
    try:
        found = read_studies(out)
    except InputError:
        if not overwrite:
            raise
        found = None
    entries = () if found is None else (*found.earlier, *found.studies)
    if found is not None and (differences := _differences(found, begun)):
        if not overwrite:
            raise InputError(
                f"{out} holds the results of another run: {'; '.join(differences)}",
                expected="the same model, threshold and settings, because one record cannot describe results of two",
                remedy="give another folder with -o, or --overwrite, which removes that run's results first",
            )
        for each in entries:
            remove_outputs(each, out)
        entries = ()
    if not overwrite:
        known = {each.name: each for each in entries}
        require_ours(items, known, out)
        require_same_studies(items, known)
    return entries


def _differences(found: StudyPredictions, begun: StudyPredictions) -> list[str]:
    """What keeps a new run from going on beside an earlier one's results, in words."""
    (before, settings), (now, wanted) = found.origin, begun.origin
    pairs: dict[str, tuple[object, object]] = {
        "bundle": (before.digest[:12], now.digest[:12]),
        "variant": (before.variant, now.variant),
        "provider": (before.provider, now.provider),
        "threshold": (before.threshold or "the bundle's own", now.threshold or "the bundle's own"),
        **{name: (before.versions.get(name), now.versions.get(name)) for name in now.versions},
        **{name: (settings.in_words[name], value) for name, value in wanted.in_words.items()},
    }
    return [f"{name} {old}, now {new}" for name, (old, new) in pairs.items() if old != new]


def _segment(
    console: Console,
    segmenter: Segmenter,
    items: Sequence[StudyItem],
    out: Path,
    config: StudyConfig,
    begun: StudyPredictions,
    known: Mapping[str, StudyEntry],
) -> StudyPredictions:
    """Segments the studies, and saves the record after each."""
    from brainseg_runtime.prediction.segment_studies import pending, segment_studies

    entries = [known.get(item.name, pending(item)) for item in items]
    done = 0

    def so_far() -> StudyPredictions:
        return begun.holding(entries, stopped=done < len(items))

    try:
        so_far().save(out)
        with stoppable() as stopped, console.progress("studies", len(items)) as advance:
            for entry in segment_studies(segmenter, items, out, config, known=known, cancelled=stopped):
                entries[done] = entry
                done += 1
                so_far().save(out)
                advance()
    finally:
        so_far().save(out)
    return so_far()


def _show(console: Console, made: StudyPredictions, out: Path) -> int:
    """Shows the results by study; returns the exit code."""
    console.table(
        ["study", "FLAIR abnormality", "warnings", "pre", "post", "result"], [_row(entry) for entry in made.studies]
    )
    for entry in made.studies:
        for text in entry.warnings:
            console.warn(f"{entry.name}: {printable(text)}")
        if entry.error is not None:
            console.error(f"{entry.name} in {printable(entry.input)}: {printable(one_line(entry.error))}")
    rest = {"failed": made.n_failed, "pending": made.n_pending}
    left_out = ", ".join(f"{number} {kind}" for kind, number in rest.items() if number)
    of_all = counted(made.n_studies, "study", "studies")
    console.say(f"{made.n_done} of {of_all} done{f' ({left_out})' if left_out else ''}: {out}")
    if made.status == "interrupted":
        console.note("interrupted; finished studies are kept, continue with --resume")
        return INTERRUPTED
    return DONE if made.status == "complete" else FAULT


def _row(entry: StudyEntry) -> tuple[str, ...]:
    """A study's row of the table."""
    volume = NOT_DEFINED if entry.volume_ml is None else f"{entry.volume_ml:.2f} mL"
    how = dict.fromkeys(("pre", "post"), NOT_DEFINED)
    if entry.series is not None and entry.registration is not None:
        for role in how:
            found = getattr(entry.registration, role)
            if found is None:
                how[role] = "missing" if getattr(entry.series, role) is None else "as FLAIR"
            elif found.applied:
                how[role] = f"moved {found.translation_mm:.1f} mm, {found.rotation_deg:.1f}°"
            else:
                how[role] = "by header"
    result = entry.name if entry.status == "done" else entry.status
    warned = str(len(entry.warnings)) if entry.status == "done" else NOT_DEFINED
    return (entry.name, volume, warned, *how.values(), result)


def require_inputs(inputs: Sequence[Path], options: StudyOptions) -> None:
    """Refuse a command line that names nothing to segment.

    Raises:
        UsageError: There is no INPUT, and no --flair.
    """
    if not inputs and options.flair is None:
        raise UsageError(
            "there is nothing to segment",
            expected="an INPUT, or a file with --flair",
            got="neither",
            remedy="name a folder of slices or a study, or FLAIR's file with --flair",
        )
