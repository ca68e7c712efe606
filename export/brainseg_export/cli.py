"""The `brainseg-export` command. Options are read here; `export` does the work.

PyTorch and onnx are imported only once there is something to export, so that `--help` and usage errors answer at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainseg_runtime import commands
from brainseg_runtime.bundles.manifest import LABEL
from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.safe_io.strict_json import Json
from brainseg_runtime.terminal.application import CODES, finished, make_application
from brainseg_runtime.terminal.console import Console
from brainseg_runtime.terminal.start import run_command
from brainseg_runtime.version import __version__

if TYPE_CHECKING:
    from brainseg_export.export import Options
    from brainseg_export.sources.run_choice import Chosen

_VARIANTS = ("fp32", "int8", "fp16")
_DATA = Path("data/kaggle_3m")

app = make_application()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and end the process with its exit code.

    Args:
        arguments: What stands after `brainseg-export`; default: the process's own.
    """
    run_command("brainseg-export", lambda: finished(app), arguments)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.command(epilog=f"Example: brainseg-export --best --runs runs --out bundles --require int8\n\n{CODES}")
def export(  # noqa: PLR0913, PLR0917 - one parameter an option
    best: Annotated[
        bool, typer.Option("--best", help="The best run of the newest finished study of all networks.")
    ] = False,
    all_: Annotated[bool, typer.Option("--all", help="The best run of each network of that study.")] = False,
    run: Annotated[str | None, typer.Option(metavar="ID", help="A run by its name.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A weights file within its run's folder.")
    ] = None,
    runs: Annotated[Path, typer.Option(metavar="DIR", help="Folder of runs, from brainseg-train.")] = Path("runs"),
    out: Annotated[Path, typer.Option(metavar="DIR", help="Bundles go to DIR/<model>.")] = Path("bundles"),
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The data set of the run; default: where it was when training.")
    ] = None,
    require: Annotated[
        list[str] | None, typer.Option(metavar="VARIANT", help="int8 or fp16: no bundle without it. May be repeated.")
    ] = None,
    fp16: Annotated[bool, typer.Option("--fp16", help="Make a float16 variant for GPUs too.")] = False,
    qat: Annotated[
        bool, typer.Option("--qat", help="Fine-tune the int8 variant even where calibration alone passes its gate.")
    ] = False,
    sign: Annotated[
        Path | None, typer.Option(metavar="KEY.pem", help="Sign the bundle with this elliptic private key.")
    ] = None,
    model_version: Annotated[str, typer.Option(metavar="TEXT", help="Version of the model.")] = __version__,
    data_name: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="What the data set is called; default: as stated in training, or in the dataset.json beside it.",
        ),
    ] = None,
    data_licence: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Its licence, an SPDX identifier or a short name; default: likewise."),
    ] = None,
    data_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where it can be read about or had; default: likewise.")
    ] = None,
    data_citation: Annotated[str | None, typer.Option(metavar="TEXT", help="What to cite; default: likewise.")] = None,
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of resized slices; default: the user's cache folder.")
    ] = None,
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the result as JSON to this file; - is standard output.")
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Tell warnings and faults alone; results go where --json and --out say."),
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Make sealed bundles from trained runs, proven to compute the same.

    Converts the network to ONNX, compares it with PyTorch on every validation slice, quantises it, keeps what passes
    its gate, and seals graph, evidence, golden vectors and model card. Prints a table; the last line is the path.

    The JSON has bundles: [model, path, digest, run, reason, calibration, files, variants, tried, left_out, latency_ms],
    and faults: [model, kind, what, expected, got, remedy].
    """
    del version
    if sum((best, all_, run is not None, checkpoint is not None)) != 1:
        raise typer.BadParameter("give one of --best, --all, --run and --checkpoint")
    if unknown := sorted(set(require or ()) - set(_VARIANTS)):
        raise typer.BadParameter(f"--require takes {' or '.join(_VARIANTS)}, not {', '.join(unknown)}")
    if "fp16" in (require or ()) and not fp16:
        raise typer.BadParameter("--require fp16 needs --fp16")
    if not LABEL.fullmatch(model_version):
        raise typer.BadParameter(f"--model-version takes letters, digits and . _ + -, not {model_version!r}")

    def work(console: Console) -> int:
        from brainseg_export.export import Options
        from brainseg_export.sources import run_choice
        from brainseg_export.sources.provenance import require_no_paths
        from brainseg_train.data.source import DataSource

        stated = DataSource(name=data_name, licence=data_licence, url=data_url, citation=data_citation)
        require_no_paths(stated)
        if all_:
            chosen = run_choice.best_of_each(runs)
        elif run is not None:
            chosen = (run_choice.by_id(runs, run),)
        else:
            chosen = (run_choice.by_checkpoint(checkpoint) if checkpoint is not None else run_choice.best(runs),)
        options = Options(
            version=model_version,
            require=tuple(require or ()),
            private_key=sign,
            fp16=fp16,
            qat=qat,
            stated=stated,
        )
        return _export_all(chosen, out, data, cache, options, console)

    raise typer.Exit(commands.run(json, work, quiet=quiet))


def _export_all(
    chosen: Sequence[Chosen], out: Path, data: Path | None, cache: Path | None, options: Options, console: Console
) -> int:
    """Export one run after another; a fault in one does not keep the others from their bundles."""
    from brainseg_export import preflight, summary
    from brainseg_export.export import export
    from brainseg_export.sealing.sign import require_signer
    from brainseg_export.sources import patients

    if options.private_key is not None:
        require_signer(options.private_key)
    targets = (
        {_data_of(item, data) for item in chosen}
        | {item.folder for item in chosen}
        | {out / item.model for item in chosen}
    )
    check_outputs({"--json": console.json_target}, folders=[path for path in targets if path.is_dir()])
    bundles: list[Json] = []
    faults: list[Json] = []
    paths: list[str] = []

    def refused(item: Chosen, error: BrainsegError) -> None:
        console.fault(error, about=f"{item.model}: ")
        faults.append({"model": item.model, **_fault(error)})

    fit: list[Chosen] = []
    for item in chosen:  # every place is looked at before the first bundle is made
        try:
            preflight.require_data(_data_of(item, data))
            preflight.require_place(out / item.model, item, _data_of(item, data))
            fit.append(item)
        except BrainsegError as error:
            refused(item, error)
    for item in fit:
        console.note(f"exporting {item.model}: run {item.run}, {item.reason}")
        try:
            dataset = patients.open_dataset(_data_of(item, data), digest=item.info.data_digest, cache=cache)
            result = export(item, dataset, out / item.model, options, console)
        except BrainsegError as error:
            refused(item, error)
            continue
        for line in summary.sentences(result):
            console.say(line)
        console.table(summary.HEADERS, summary.rows(result))
        bundles.append(summary.to_json(result))
        paths.append(str(result.path))
    console.emit({"bundles": bundles, "faults": faults})
    for path in paths:
        console.say(path)
    return commands.FAULT if faults else commands.DONE


def _fault(error: BrainsegError) -> dict[str, Json]:
    """An error's parts; what it leaves open is null, a list of problems stays a list."""
    told: dict[str, Json] = {}
    for key, part in error.to_json().items():
        told[key] = [*map(str, part)] if isinstance(part, list) else None if part is None else str(part)
    return told


def _data_of(chosen: Chosen, data: Path | None) -> Path:
    """The data set's folder: as told, else where it was when the study began, else the usual place."""
    if data is not None:
        return data
    return Path(chosen.study.record.data) if chosen.study else _DATA
