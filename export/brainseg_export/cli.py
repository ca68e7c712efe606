"""The `brainseg-export` program: one command, its options and the way over every run that is to be exported.

PyTorch and onnx are imported only once there is something to export, so that `--help` and usage errors answer at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from brainseg_runtime.bundles.manifest import LABEL
from brainseg_runtime.errors import BrainsegError, UsageError
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.safe_io.strict_json import Json
from brainseg_runtime.terminal.application import command, single_application
from brainseg_runtime.terminal.command import DONE, FAULT, start
from brainseg_runtime.terminal.console import Console
from brainseg_runtime.version import __version__
from brainseg_train.data.source import DataSource

if TYPE_CHECKING:
    from brainseg_export.export import Options
    from brainseg_export.sources.run_choice import Chosen

_VARIANTS: Final = ("fp32", "int8", "fp16")
_DATA: Final = Path("data/kaggle_3m")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the program and ends the process with its exit code.

    Args:
        arguments: The command line after `brainseg-export`; default: the process's own.
    """
    start("brainseg-export", lambda: single_application(export), arguments)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChoiceOptions:
    """Which run to export; one of the first four says it."""

    best: Annotated[bool, typer.Option("--best", help="The best run of the newest finished study of all networks.")] = (
        False
    )
    all_: Annotated[bool, typer.Option("--all", help="The best run of each network of that study.")] = False
    run: Annotated[str | None, typer.Option(metavar="ID", help="A run by its name.")] = None
    checkpoint: Annotated[Path | None, typer.Option(metavar="FILE", help="A weights file within its run's folder.")] = (
        None
    )
    runs: Annotated[Path, typer.Option(metavar="DIR", help="Folder of runs, from brainseg-train.")] = Path("runs")

    def require_one(self) -> None:
        """Refuses none, or several.

        Raises:
            UsageError: Not exactly one is given.
        """
        given = {"--best": self.best, "--all": self.all_, "--run": self.run, "--checkpoint": self.checkpoint}
        named = [name for name, value in given.items() if value]
        if len(named) != 1:
            raise UsageError(
                "exactly one run selection is needed",
                expected="one of --best, --all, --run and --checkpoint",
                got=" and ".join(named) or "none",
            )

    def chosen(self) -> tuple[Chosen, ...]:
        """The runs.

        Raises:
            BrainsegError: There is no such run, or it cannot be exported.
        """
        from brainseg_export.sources import run_choice

        if self.all_:
            return run_choice.best_of_each(self.runs)
        if self.run is not None:
            return (run_choice.by_id(self.runs, self.run),)
        return (run_choice.by_checkpoint(self.checkpoint) if self.checkpoint else run_choice.best(self.runs),)


@command("brainseg-export --best --runs runs --out bundles --require int8")
def export(  # noqa: PLR0913 - the command's options
    console: Console,
    *,
    choice: ChoiceOptions,
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
    stress: Annotated[
        bool, typer.Option("--stress", help="Score the network under perturbations too; manifest and card show it.")
    ] = False,
    require_stress: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="Lowest allowed values by perturbation: no bundle below them. Implies --stress.",
        ),
    ] = None,
    notes: Annotated[
        Path | None,
        typer.Option(metavar="FILE.md", help="Markdown for the card: what is known of the network beyond this export."),
    ] = None,
    sign: Annotated[
        Path | None, typer.Option(metavar="KEY.pem", help="Sign the bundle with this elliptic-curve private key.")
    ] = None,
    model_version: Annotated[str, typer.Option(metavar="TEXT", help="Version of the model.")] = __version__,
    data_name: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="The data set's name; default: as stated in training, or in the dataset.json beside it.",
        ),
    ] = None,
    data_licence: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Its licence, an SPDX identifier or a short name; default: likewise."),
    ] = None,
    data_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where to read about it or get it; default: likewise.")
    ] = None,
    data_citation: Annotated[str | None, typer.Option(metavar="TEXT", help="What to cite; default: likewise.")] = None,
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of resized slices; default: the user's cache folder.")
    ] = None,
) -> int:
    """Make sealed bundles from trained runs, proven to compute the same.

    Converts the network to ONNX, compares it with PyTorch on every validation slice, quantises it, keeps what passes
    its gate, and seals graph, evidence, golden vectors and model card. Prints a table; the last line is the path.

    The JSON has bundles: [model, path, digest, run, reason, calibration, files, variants, tried, left_out, latency_ms,
    stress], and faults: [model, kind, what, expected, got, remedy].
    """
    choice.require_one()
    _require_possible(require or [], model_version, fp16=fp16)
    stated = DataSource(name=data_name, licence=data_licence, url=data_url, citation=data_citation)

    from brainseg_export.evidence.stress import read_lowest
    from brainseg_export.export import Options
    from brainseg_export.sealing.notes import read_notes
    from brainseg_export.sealing.sign import require_signer
    from brainseg_export.sources.provenance import require_no_paths

    require_no_paths(stated)
    chosen = choice.chosen()
    if sign is not None:
        require_signer(sign)
    options = Options(
        version=model_version,
        require=tuple(require or ()),
        private_key=sign,
        fp16=fp16,
        qat=qat,
        stress=stress,
        lowest={} if require_stress is None else read_lowest(require_stress),
        stated=stated,
        notes="" if notes is None else read_notes(notes),
    )
    return _export_all([(item, _data_of(item, data)) for item in chosen], out, cache, options, console)


def _require_possible(require: Sequence[str], model_version: str, *, fp16: bool) -> None:
    """Refuses variants that are not made, and a version that no manifest can hold.

    Raises:
        UsageError: An unknown variant or an unusable version was given.
    """
    if unknown := sorted(set(require) - set(_VARIANTS)):
        raise UsageError("--require names no variant", expected=" or ".join(_VARIANTS), got=", ".join(unknown))
    if "fp16" in require and not fp16:
        raise UsageError("--require fp16 needs --fp16", expected="both", got="--require fp16 alone")
    if not LABEL.fullmatch(model_version):
        raise UsageError(
            "--model-version cannot be written into a manifest",
            expected="letters, digits and . _ + -",
            got=repr(model_version),
        )


def _export_all(
    chosen: Sequence[tuple[Chosen, Path]], out: Path, cache: Path | None, options: Options, console: Console
) -> int:
    """Exports one run after another, each with its data; a fault in one does not keep the others from their bundles."""
    from brainseg_export import preflight, summary
    from brainseg_export.export import export as export_run
    from brainseg_export.sources import patients

    targets = {path for item, data in chosen for path in (data, item.folder, out / item.model)}
    check_outputs({"--json": console.json_target}, folders=[path for path in targets if path.is_dir()])
    results: list[Json] = []
    faults: list[Json] = []
    paths: list[str] = []

    def refuse(item: Chosen, error: BrainsegError) -> None:
        console.fault(error, about=f"{item.model}: ")
        faults.append({"model": item.model, **_fault(error)})

    possible: list[tuple[Chosen, Path]] = []
    for item, data in chosen:  # every place is looked at before the first bundle is made
        try:
            preflight.require_data(data)
            preflight.require_place(out / item.model, item, data)
            possible.append((item, data))
        except BrainsegError as error:
            refuse(item, error)
    for item, data in possible:
        console.note(f"exporting {item.model}: run {item.run}, {item.reason}")
        try:
            dataset = patients.open_dataset(data, digest=item.info.data_digest, cache=cache)
            result = export_run(item, dataset, out / item.model, options, console)
        except BrainsegError as error:
            refuse(item, error)
            continue
        for line in summary.sentences(result):
            console.say(line)
        console.table(summary.HEADERS, summary.rows(result))
        results.append(summary.to_json(result))
        paths.append(str(result.path))
    console.emit({"bundles": results, "faults": faults})
    for path in paths:
        console.say(path)
    return FAULT if faults else DONE


def _fault(error: BrainsegError) -> dict[str, Json]:
    """An error's parts; one that is not known is null, a list of problems stays a list."""
    parts: dict[str, Json] = {}
    for key, part in error.to_json().items():
        parts[key] = [*map(str, part)] if isinstance(part, list) else None if part is None else str(part)
    return parts


def _data_of(chosen: Chosen, data: Path | None) -> Path:
    """The data set's folder: as given, else where it was when the study began, else the usual place."""
    if data is not None:
        return data
    return Path(chosen.study.record.data) if chosen.study else _DATA
