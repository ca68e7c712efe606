"""`brainseg-train phantom`: generated patients in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.terminal.application import command
from brainseg_runtime.terminal.command import DONE
from brainseg_runtime.terminal.console import Console
from brainseg_train.commands.patients import PHANTOM_PATIENTS, generate_patients


@command(
    "brainseg-train phantom patients --patients 20 --seed 7", "brainseg-train phantom studies --patients 3 --as-dicom"
)
def phantom(
    console: Console,
    *,
    out: Annotated[Path, typer.Argument(help="Folder to write; an older phantom there is replaced.")],
    patients: Annotated[int, typer.Option(min=1, help="How many patients.")] = PHANTOM_PATIENTS,
    seed: Annotated[int, typer.Option(min=0, help="Which phantom: the same seed gives the same bytes.")] = 0,
    as_dicom: Annotated[
        bool, typer.Option("--as-dicom", help="Write DICOM studies, a folder a patient, instead of slices and masks.")
    ] = False,
) -> int:
    """Generate patients with brain tumours, in the layout of kaggle_3m or as DICOM studies.

    The JSON has: data, patients, seed.
    """
    check_outputs({"--json": console.json_target}, folders=[out])
    generate_patients(console, out, patients, seed, as_dicom=as_dicom)
    console.say(f"{out}: {counted(patients, 'generated patient')}")
    console.emit({"data": str(out), "patients": patients, "seed": seed})
    return DONE
