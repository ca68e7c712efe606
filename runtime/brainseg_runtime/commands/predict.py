"""`brainseg predict`: masks for files, patient folders and data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainseg_runtime.commands.options import BundleArgument, ModelOptions, SpacingOption
from brainseg_runtime.errors import UsageError
from brainseg_runtime.terminal.application import command
from brainseg_runtime.terminal.console import Console


def _probability(value: float | None) -> float | None:
    """Refuses a threshold at which every pixel, or none, is tumour."""
    if value is not None and not 0 < value <= 1:
        raise typer.BadParameter("expected a probability above 0 and at most 1")
    return value


@command("brainseg predict models/resunet data/kaggle_3m -o masks --overlay --resume")
def predict(  # noqa: PLR0913 - the command's options
    console: Console,
    *,
    bundle: BundleArgument,
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="TIFF, PNG or JPEG files, patient folders or data sets.")
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="OUT", help="Folder for the results, outside the inputs.")
    ],
    probability: Annotated[
        bool, typer.Option("--probability", help="Also write <name>_probability.tif: float32 in [0, 1].")
    ] = False,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Also write <name>_overlay.png: the outline on FLAIR.")
    ] = False,
    by_patient: Annotated[
        bool, typer.Option("--by-patient/--flat", help="A folder in OUT for each patient, or all files side by side.")
    ] = False,
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
        bool, typer.Option("--strict", help="Refuse slices that the input guard warns of; not with --flair-only.")
    ] = False,
    flair_only: Annotated[
        bool,
        typer.Option("--flair-only", help="The images are FLAIR alone (grey); it stands in for the other channels."),
    ] = False,
    spacing: SpacingOption = None,
    model: ModelOptions,
) -> int:
    """Segment slices: writes <name>_mask.tif (0 and 255) for each, and predictions.json, into the folder OUT.

    The JSON (predictions.json, and --json) has: schema, status, n_slices, n_done, n_failed, n_pending, bundle,
    provider, variant, threshold, validated_threshold, versions, layout, spacing_mm, warnings, patients (id, folder,
    n_slices, n_done, volume_px, volume_ml, areas, warnings), slices (name, input, patient, number, status,
    input_sha256, height, width, area_px, mask, probability, overlay, warnings, error), earlier (as slices).
    """
    if strict and flair_only:
        raise UsageError(
            "--strict and --flair-only exclude each other",
            expected="one of them",
            got="both: with FLAIR in all three channels two sequences are missing, and --strict refuses such slices",
            remedy="leave --strict out; the warnings are in predictions.json",
        )
    from brainseg_runtime.commands.predict_steps import run
    from brainseg_runtime.prediction.segment_files import PredictConfig

    config = PredictConfig(
        probability=probability,
        overlay=overlay,
        strict=strict,
        threshold=threshold,
        layout="by-patient" if by_patient else "flat",
        flair_only=flair_only,
    )
    return run(console, bundle, model, inputs, out, config, spacing, resume=resume, overwrite=overwrite)
