"""`brainseg evaluate`: scores on patients whose masks are known, of a model or of masks that are there already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainseg_runtime.commands.options import ModelOptions, ReportOption, SpacingOption
from brainseg_runtime.errors import UsageError
from brainseg_runtime.metrics.lengths import TOLERANCE
from brainseg_runtime.metrics.scores import keys_text, names_text, table
from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.terminal.application import command
from brainseg_runtime.terminal.command import DONE
from brainseg_runtime.terminal.console import Console


def _scores() -> dict[str, str]:
    """The table of scores, for the help."""
    keys = {"pooled": keys_text(table().pooled), **{name: keys_text(of) for name, of in table().of_volumes.items()}}
    return {"names": names_text(), **keys}


@command(
    "brainseg evaluate models/resunet data/kaggle_3m --json scores.json --report scores.html",
    "brainseg evaluate --predictions masks data/kaggle_3m --spacing 0.94 0.94 5",
    words=_scores,
)
def evaluate(
    console: Console,
    *,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="[BUNDLE] DATA", help="The model's folder, and patients' folders with masks."),
    ],
    predictions: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Score the masks in this folder, of any program; no BUNDLE then."),
    ] = None,
    report: ReportOption = None,
    spacing: SpacingOption = None,
    tolerance: Annotated[
        float,
        typer.Option(metavar="X", min=0.0, max=1000.0, help="Of the surface Dice: pixels, and mm with --spacing."),
    ] = TOLERANCE,
    model: ModelOptions,
) -> int:
    """Score a model, or masks that are there already, on patients whose true masks are known.

    Scores: {names}, and volume errors.

    The JSON has: n_patients, n_slices, threshold, provider, variant, predictions, pooled ({pooled}), volume_dice (mean,
    median, min, ci95), slice_dice_tumour and slice_dice_all (mean, ci95), surface ({surface}), lesions ({lesions},
    ...), volume_error (px, ml, relative), patients (id, n_slices, dice, iou, surface, lesions, volume, ...), missing
    (reason, figures), run (bundle, digest, data, seconds, left_out, versions), and more that docs/commands.md lists. A
    figure that is undefined, or would rest on too few patients, is null, and missing says why.
    """
    from brainseg_runtime.commands.evaluate_steps import data_set, of_masks, of_model, show, write_report

    _require_one_source(len(paths), predictions, model)
    data, source = paths[-1], paths[0] if predictions is None else predictions
    check_outputs({"--json": console.json_target, "--report": report}, folders=[source, data])
    left_out: list[str] = []
    patients = data_set(console, data, left_out)
    if predictions is None:
        scored = of_model(console, source, model, patients, spacing, tolerance)
    else:
        scored = of_masks(console, predictions, patients, spacing, tolerance)
    ran = {**scored.source, "data": str(data), "seconds": round(scored.seconds, 3)}
    run = {**ran, "left_out": left_out, "versions": dict(scored.versions)}
    console.emit({**scored.evaluation.to_json(), "run": run})
    if report is not None:
        write_report(report, scored, patients, ran)
    show(console, scored.evaluation)
    return DONE


def _require_one_source(n_paths: int, predictions: Path | None, model: ModelOptions) -> None:
    """Refuses anything but BUNDLE and DATA, or masks and DATA alone.

    Raises:
        UsageError: Something is missing, or given beside what excludes it.
    """
    if predictions is None and n_paths != 2:
        raise UsageError(
            "evaluate scores a model or masks",
            expected="BUNDLE and DATA, or --predictions FOLDER and DATA",
            got=counted(n_paths, "path"),
        )
    if predictions is not None and (n_paths != 1 or model != ModelOptions()):
        raise UsageError(
            "--predictions scores masks that are there already, and no model runs",
            expected="DATA alone, without BUNDLE, --provider, --variant, --threads and --digest",
            got=f"{counted(n_paths, 'path')}{' and options for a model' if model != ModelOptions() else ''}",
        )
