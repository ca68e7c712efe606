"""`brainseg archive`: every study of a folder, a list or an address, once, on as many workers as there are."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

import typer

from brainseg_runtime.archive.results.summary import Archive
from brainseg_runtime.archive.results.tables import QUARANTINE
from brainseg_runtime.archive.run import Asked, Told, run_archive
from brainseg_runtime.archive.working.job import KINDS, Settings, check_write
from brainseg_runtime.archive.working.rows import Entry
from brainseg_runtime.commands.options import BundleArgument, ModelOptions, SpacingOption
from brainseg_runtime.errors import ArgumentError, InputError, UsageError
from brainseg_runtime.plurals import counted
from brainseg_runtime.problems import printable
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.safe_io.typed_json import to_json
from brainseg_runtime.terminal.application import command
from brainseg_runtime.terminal.command import DONE, FAULT, INTERRUPTED
from brainseg_runtime.terminal.console import Console, one_line
from brainseg_runtime.terminal.interrupts import stoppable
from brainseg_runtime.terminal.streams import stdout_kept_for_results

_SHOWN = 10  # failed studies that are shown; quarantine.csv has all


def _kinds(value: str | None) -> str | None:
    """Refuses what cannot be written."""
    try:
        check_write(value)
    except ArgumentError as fault:
        raise typer.BadParameter(f"{fault.got}: expected some of {fault.expected}, with commas between") from None
    return value


@command(
    "brainseg archive models/resunet data/kaggle_3m -o results",
    "brainseg archive models/resunet studies.csv -o results --write seg,sr --engine ray",
)
def archive(  # noqa: PLR0913 - the command's options
    console: Console,
    *,
    bundle: BundleArgument,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A folder of studies or patients, a list of paths (.csv, .parquet), or an address."
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="Folder for the results, outside SOURCE.")],
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="Processes of this machine, or actors of Ray.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="With --engine ray: a cluster; default: this machine.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=4096, help="How many; default: as many as pay here.")
    ] = None,
    write: Annotated[
        str | None,
        typer.Option(
            metavar="KIND,...",
            help=f"Objects to write for each study, of those that fit it: {', '.join(KINDS)}; default: rows alone.",
            callback=_kinds,
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try studies again that failed in an earlier run.")
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(metavar="T", min=1e-6, max=1.0, help="In place of the bundle's own, validated threshold."),
    ] = None,
    no_register: Annotated[
        bool, typer.Option("--no-register", help="Bring a study's T1s onto FLAIR by their headers alone.")
    ] = False,
    spacing: SpacingOption = None,
    deadline: Annotated[
        float, typer.Option(metavar="S", min=1.0, max=86400.0, help="Seconds that one study may take.")
    ] = 1800.0,
    memory: Annotated[
        int | None, typer.Option(metavar="MIB", min=64, help="Most memory of a worker; default: no cap.")
    ] = None,
    no_previews: Annotated[
        bool, typer.Option("--no-previews", help="Leave out the pictures of the studies to look at.")
    ] = False,
    model: ModelOptions,
) -> int:
    """Segment every study of SOURCE once, and start again where an earlier run ended.

    OUT gets rows.jsonl while it runs, and at the end studies.parquet (studies.csv without pyarrow), quarantine.csv,
    archive.json and archive.html; objects/<id>/ what --write names.

    The JSON (archive.json, and --json) has: schema, status, n_in, n_done, n_failed, n_skipped, n_known, n_duplicates,
    n_rows, n_slices, bundle, provider, variant, threshold, settings, engine, workers, seconds, first_seconds, table,
    left_out, volume_unit, volume, area, confidence, warnings, errors, sites, scanners, outliers (id, source, name,
    score, reasons, volume_px, volume_ml, confidence, slice, preview), fault.
    """
    if address is not None and engine != "ray":
        raise UsageError("--address is for --engine ray", expected="both, or neither", got=f"--engine {engine}")
    if address is not None and workers is None:
        raise UsageError(
            "--address needs --workers",
            expected="the cluster's cores that may be used",
            got="no --workers",
            remedy=None,
        )
    _refuse_overwritten_inputs(console.json_target, bundle, source, out)
    asked = Asked(
        bundle=bundle,
        source=source,
        out=out,
        settings=Settings(write=check_write(write), threshold=threshold, register=not no_register, spacing_mm=spacing),
        engine=engine,
        address=address,
        workers=workers,
        threads=model.threads,
        provider=model.provider,
        variant=model.variant,
        digest=model.digest,
        deadline=deadline,
        memory_mib=memory,
        retry_failed=retry_failed,
        previews=not no_previews,
    )
    with stoppable() as stopped, console.progress("studies", None) as advance:

        def taken(entry: Entry) -> None:
            advance(len(entry.rows) + len(entry.duplicates))

        # Ray prints notices of its own on stdout.
        with stdout_kept_for_results() if engine == "ray" else nullcontext():
            made = run_archive(asked, cancelled=stopped, told=Told(begun=console.note, taken=taken))
    console.emit(to_json(made))
    return _show(console, made, out)


def _refuse_overwritten_inputs(json_target: str | None, bundle: Path, source: str, out: Path) -> None:
    """Refuses a `--json` file that would overwrite an input, the bundle or the rows; SOURCE itself is not listed."""
    given = Path(source)
    check_outputs(
        {"--json": json_target, "-o": out / "rows.jsonl"},
        files=[given] if given.is_file() else [],
        folders=[bundle],
    )
    target = None if json_target in {None, "-"} else Path(str(json_target)).resolve()
    if target is not None and given.is_dir() and given.resolve() in target.parents:
        raise InputError(
            f"--json {json_target} would be written among the studies",
            expected=f"a place outside {source}",
            remedy="give --json another name",
        )


def _show(console: Console, made: Archive, out: Path) -> int:
    """Shows the counts and what to look at; returns the exit code."""
    console.table(
        ["in", "done", "failed", "skipped", "slices", "seconds"],
        [[str(each) for each in (made.n_in, made.n_done, made.n_failed, made.n_skipped, made.n_slices, made.seconds)]],
    )
    for text in made.left_out:
        console.note(f"left out: {text}")
    for each in made.errors[:_SHOWN]:
        console.error(f"{counted(each.n, 'study', 'studies')}: {printable(each.kind)}")
    if made.n_failed and made.status != "stopped":
        console.note(f"which studies failed, and why: {out / QUARANTINE}; --retry-failed tries them again")
    if made.outliers:
        console.note(f"{counted(len(made.outliers), 'study', 'studies')} to look at first: {out / 'archive.html'}")
    before = f", {made.n_known} of them in an earlier run" if made.n_known else ""
    console.say(f"{made.n_done + made.n_known} of {counted(made.n_in, 'study', 'studies')} done{before}: {out}")
    if made.fault is not None:
        console.error(one_line(made.fault))
        return FAULT
    if made.status == "interrupted":
        console.note("interrupted; finished studies are kept, start again to go on")
        return INTERRUPTED
    return DONE if made.status == "complete" else FAULT
