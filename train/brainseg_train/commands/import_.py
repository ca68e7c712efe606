"""`brainseg-train import`: studies with masks made into a data set."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainseg_runtime.errors import UsageError
from brainseg_runtime.plurals import counted
from brainseg_runtime.prediction.study_inputs import RolesByHand
from brainseg_runtime.problems import printable
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.terminal.application import command
from brainseg_runtime.terminal.command import DONE, FAULT, INTERRUPTED
from brainseg_runtime.terminal.console import Console, one_line
from brainseg_runtime.terminal.interrupts import stoppable
from brainseg_train.commands.study import as_usage
from brainseg_train.data.source import DataSource

if TYPE_CHECKING:
    from brainseg_train.importing.studies import Outcome


def _labels(text: str | None) -> tuple[int, ...] | None:
    """Labels out of "1,2,4"."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 0 < int(part) < 65536 for part in parts):
        raise UsageError("--labels is not usable", expected="whole numbers from 1, such as 1,2,4", got=ascii(text[:60]))
    return tuple(sorted({int(part) for part in parts}))


@command("brainseg-train import BRATS data/own", "brainseg-train import STUDY data/own --mask STUDY-mask.nii.gz")
def import_(  # noqa: PLR0913 - the command's options
    console: Console,
    *,
    studies: Annotated[
        list[Path], typer.Argument(metavar="STUDIES...", help="Folders, zips or files: DICOM or NIfTI, with masks.")
    ],
    dest: Annotated[Path, typer.Argument(help="Folder of the data set, outside STUDIES.")],
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="The study's mask, or a folder of masks: DICOM SEG, or NIfTI named after the study; "
            "default: beside the images.",
        ),
    ] = None,
    flair: Annotated[
        str | None, typer.Option(metavar="SERIES", help="Of one study, the series that is FLAIR: UID, number or path.")
    ] = None,
    pre: Annotated[
        str | None, typer.Option(metavar="SERIES", help="The T1 before contrast; none: there is none.")
    ] = None,
    post: Annotated[
        str | None, typer.Option(metavar="SERIES", help="The T1 after contrast; none: there is none.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="N,...", help="Labels or segments that are the lesion; default: all labels, the only segment."
        ),
    ] = None,
    keep_names: Annotated[
        bool, typer.Option("--keep-names", help="Name folders after the studies, not by pseudonyms.")
    ] = False,
    site: Annotated[str, typer.Option(metavar="WORD", help="The site in the pseudonyms.")] = "LOCAL",
    no_register: Annotated[
        bool, typer.Option("--no-register", help="Take the T1s' place from their headers alone.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep what an earlier run imported, and add what is missing.")
    ] = False,
    data_name: Annotated[str | None, typer.Option(metavar="TEXT", help="The data set's name.")] = None,
    data_licence: Annotated[str | None, typer.Option(metavar="TEXT", help="Its licence.")] = None,
    data_url: Annotated[str | None, typer.Option(metavar="URL", help="Where it is described.")] = None,
    data_citation: Annotated[str | None, typer.Option(metavar="TEXT", help="What to cite.")] = None,
) -> int:
    """Make studies with masks into a data set: slices as `brainseg predict` shows them to the network.

    The JSON has: data, n_studies, n_imported, n_kept, n_failed, patients (input, name, status, warnings, error, and of
    those imported what import.json has: source, input_sha256, sha256, n_slices, n_tumour_slices, volume_ml, mask_on,
    mask_values, missing, registration).
    """
    from brainseg_train.importing.record import FILE, ImportSettings
    from brainseg_train.importing.studies import collect, import_studies, prepare, remove_strays

    given = [*studies, *([] if mask is None else [mask])]
    check_outputs(
        {"--json": console.json_target, "DEST": dest / FILE},
        files=[each for each in given if each.is_file()],
        folders=[each for each in given if each.is_dir()],
    )
    settings = ImportSettings(register=not no_register, labels=_labels(labels), keep_names=keep_names, site=site)
    with as_usage():
        source = DataSource(name=data_name, licence=data_licence, url=data_url, citation=data_citation)
    by_hand = RolesByHand(flair=flair, pre=pre, post=post)
    items = collect(studies, mask)
    record = prepare(dest, settings, source, resume=resume)
    remove_strays(dest, record)
    outcomes = []
    with stoppable() as stopped, console.progress("studies", len(items)) as advance:
        for outcome in import_studies(items, dest, record, by_hand=by_hand, cancelled=stopped):
            outcomes.append(outcome)
            advance()
    console.emit(_as_json(dest, len(items), outcomes))
    return _show(console, dest, len(items), outcomes)


def _as_json(dest: Path, total: int, outcomes: list[Outcome]) -> dict[str, object]:
    """What `--json` gets."""
    counts = {
        f"n_{status}": sum(each.status == status for each in outcomes) for status in ("imported", "kept", "failed")
    }
    patients = [
        {
            "input": each.input,
            **({} if each.entry is None else asdict(each.entry)),
            "name": each.name,
            "status": each.status,
            "warnings": list(each.warnings),
            "error": None if each.error is None else each.error.to_json(),
        }
        for each in outcomes
    ]
    return {"data": str(dest), "n_studies": total, **counts, "patients": patients}


def _show(console: Console, dest: Path, total: int, outcomes: list[Outcome]) -> int:
    """Shows what became of each study; returns the exit code."""
    rows = [
        (each.name, f"{each.entry.n_slices}", f"{each.entry.n_tumour_slices}", f"{each.entry.volume_ml:.2f} mL")
        for each in outcomes
        if each.entry is not None
    ]
    console.table(["patient", "slices", "with tumour", "volume"], rows)
    for each in outcomes:
        for text in each.warnings:
            console.warn(f"{each.name}: {printable(text)}")
        if each.error is not None:
            console.error(f"{each.input}: {printable(one_line(each.error.to_json()))}")
    kept = sum(each.status == "kept" for each in outcomes)
    done = f" ({kept} from before)" if kept else ""
    console.say(f"{len(rows)} of {counted(total, 'study', 'studies')} imported{done}: {dest}")
    if len(outcomes) < total:
        console.note("interrupted; go on with --resume")
        return INTERRUPTED
    return DONE if len(rows) == total else FAULT
