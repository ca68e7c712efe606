"""The `brainseg` command: predict, evaluate, bench, verify, doctor. Options are read here; `commands` does the work.

Annotations are evaluated where they stand, so that typer, an optional dependency, is imported where it is used; that is
why this file alone does not postpone them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from brainseg_runtime.errors import MissingExtraError
from brainseg_runtime.terminal.application import CODES, finished, make_application
from brainseg_runtime.terminal.start import run_command
from brainseg_runtime.version import __version__

if TYPE_CHECKING:
    import typer

_BUNDLE = "The model's folder, such as models/resunet."
_PROVIDER = "What runs the model: auto, cpu, openvino, cuda, ... Asking for one that is not available is an error."
_VARIANT = "auto, fp32, int8, ... as the bundle offers."
_THREADS = "Threads of one inference; default: the usable cores, at most 4. Masks do not depend on it."
_DIGEST = "Refuse any bundle but the one with this digest (SHA-256 of its manifest)."
_JSON = "Write the result as JSON to this file; - is standard output, where then nothing else goes."
_REPORT = "Write a page to read, in one self-contained HTML file."
_QUIET = "Tell warnings and faults alone; results go where --json, --report and -o say."
_PREDICT = {
    "input": "TIFF, PNG or JPEG files, patient folders or data sets.",
    "out": "Folder for the results, outside the inputs.",
    "probability": "Also <name>_probability.tif: float32 in [0, 1].",
    "overlay": "Also <name>_overlay.png: the outline on FLAIR.",
    "by_patient": "A folder in OUT for each patient, or all files side by side.",
    "resume": "Keep what an earlier run did, once its hashes are checked.",
    "overwrite": "Remove what a run of another model, threshold or layout left in OUT, and replace other files there.",
    "threshold": "Probability from which a pixel is tumour, in place of the bundle's own, validated one.",
    "strict": "Refuse slices that the input guard warns of.",
    "flair_only": "Images are FLAIR alone (grey); it stands in for the other channels.",
    "spacing": "Pixel width, pixel height and slice distance in mm, for volumes in mL.",
}
_ABOUT = {
    "predict": (
        "Segment slices: writes <name>_mask.tif (0 and 255) for each, and predictions.json, into the folder OUT.\n\n"
        "The JSON (predictions.json, and --json) has: schema, status, n_slices, n_done, n_failed, n_pending, "
        "bundle, provider, variant, threshold, validated_threshold, versions, layout, spacing_mm, warnings, "
        "patients (id, folder, n_slices, n_done, volume_px, volume_ml, areas, warnings), slices (name, input, patient, "
        "number, status, input_sha256, height, width, area_px, mask, probability, overlay, warnings, error), earlier "
        "(as slices)."
    ),
    "evaluate": (
        "Score a model, or masks that are there already, on patients whose true masks are known: Dice, IoU, precision, "
        "recall, F1, ROC-AUC, PR-AUC; by patient also HD95, ASSD, surface Dice, lesion-wise Dice and F1, and volume "
        "errors.\n\n"
        "The JSON has: n_patients, n_slices, threshold, provider, variant, predictions, pooled (dice, iou, precision, "
        "recall, f1, roc_auc, pr_auc), volume_dice (mean, median, min, ci95), slice_dice_tumour and slice_dice_all "
        "(mean, ci95), surface (hd95_px, assd_px, nsd_px, hd95_mm, assd_mm, nsd_mm), lesions (dice, f1, ...), "
        "volume_error (px, ml, relative), patients (id, n_slices, dice, iou, surface, lesions, volume, ...), missing "
        "(reason, figures), run (bundle, digest, data, seconds, left_out, versions), and more that docs/commands.md "
        "lists. What is undefined, or would rest on too few patients, is null, and missing says why."
    ),
    "bench": (
        "Time a model on this machine, each row in a process of its own.\n\n"
        "The JSON has: rows (provider, variant, batch, threads, side, calls, p50_ms, p95_ms, slices_per_s, "
        "load_ms, first_ms, peak_rss_mib; times are those of a call), refused (the rows that could not be had, "
        "with the error), bundle, machine."
    ),
    "verify": (
        "Check a bundle and this machine: hashes, contract, signature, and the golden answers of every variant.\n\n"
        "The JSON has: bundle, ok, digest, name, provider, providers, checks (name, status, detail); a status is "
        "PASS, FAIL, or SKIP where a check could not be made, which does not count against the bundle. The exit "
        "code is 1 on FAIL."
    ),
    "doctor": (
        "Tell what is installed, which providers can be had, what auto would choose and why, and what collides.\n\n"
        "The JSON has: ok, versions, system, python, processor (architecture, features, cores, name), "
        "exact_integers, default_threads, providers (name, available, reason), choice (provider, variant, "
        "reasons; null without a bundle), rule, problems (what, remedy). The exit code is 1 where there is a "
        "problem."
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and ends the process with its exit code.

    Args:
        arguments: What stands after `brainseg`; default: the process's own.
    """
    run_command("brainseg", application, arguments)


def application() -> "typer.Typer":
    """The command with its sub-commands, as typer has it.

    Raises:
        MissingExtraError: The extra `cli` is not installed.
    """
    try:
        import rich  # noqa: F401 - asked for here so that one message names both
        import typer
    except ImportError as error:
        from brainseg_runtime.extras import install_remedy

        raise MissingExtraError(
            f"the brainseg command needs {error.name}, which is not installed", remedy=install_remedy("cli")
        ) from error

    app = make_application()

    def show_version(wanted: bool) -> None:
        if wanted:
            typer.echo(__version__)
            raise typer.Exit

    @app.callback()
    def root(
        version: Annotated[
            bool, typer.Option("--version", help="Show the version and exit.", callback=show_version, is_eager=True)
        ] = False,
    ) -> None:
        """Brain-tumour segmentation of MRI slices with a verified model. Research use; not a medical device."""

    for add in (_predict, _evaluate, _bench, _verify, _doctor):
        add(app)
    return finished(app)


def _predict(app: "typer.Typer") -> None:
    """Adds `brainseg predict`."""
    import typer

    from brainseg_runtime import commands

    example = "Example: brainseg predict models/resunet data/kaggle_3m -o masks --overlay --resume"

    @app.command(help=_ABOUT["predict"], short_help="Segment slices.", epilog=f"{example}\n\n{CODES}")
    def predict(  # noqa: PLR0913, PLR0917 - the command's options
        bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help=_BUNDLE)],
        inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help=_PREDICT["input"])],
        out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help=_PREDICT["out"])],
        probability: Annotated[bool, typer.Option("--probability", help=_PREDICT["probability"])] = False,
        overlay: Annotated[bool, typer.Option("--overlay", help=_PREDICT["overlay"])] = False,
        by_patient: Annotated[bool, typer.Option("--by-patient/--flat", help=_PREDICT["by_patient"])] = False,
        resume: Annotated[bool, typer.Option("--resume", help=_PREDICT["resume"])] = False,
        overwrite: Annotated[bool, typer.Option("--overwrite", help=_PREDICT["overwrite"])] = False,
        threshold: Annotated[float | None, typer.Option(metavar="T", help=_PREDICT["threshold"])] = None,
        strict: Annotated[bool, typer.Option("--strict", help=_PREDICT["strict"])] = False,
        flair_only: Annotated[bool, typer.Option("--flair-only", help=_PREDICT["flair_only"])] = False,
        spacing: Annotated[
            tuple[float, float, float] | None, typer.Option(metavar="X Y Z", help=_PREDICT["spacing"])
        ] = None,
        provider: Annotated[str, typer.Option(metavar="NAME", help=_PROVIDER)] = "auto",
        variant: Annotated[str, typer.Option(metavar="NAME", help=_VARIANT)] = "auto",
        threads: Annotated[int | None, typer.Option(metavar="N", min=1, max=256, help=_THREADS)] = None,
        digest: Annotated[str | None, typer.Option(metavar="HEX", help=_DIGEST)] = None,
        json: Annotated[str | None, typer.Option("--json", metavar="FILE", help=_JSON)] = None,
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help=_QUIET)] = False,
    ) -> None:
        """`brainseg predict`."""
        from brainseg_runtime.commands import predict as command

        if spacing is not None and not all(0 < value < 1000 for value in spacing):
            raise typer.BadParameter("expected three lengths in mm, above 0 and below 1000", param_hint="--spacing")
        if threshold is not None and not 0 < threshold <= 1:
            raise typer.BadParameter("expected a probability above 0 and at most 1", param_hint="--threshold")
        model = commands.Model(bundle=bundle, provider=provider, variant=variant, threads=threads, digest=digest)
        wanted = command.Prediction(
            inputs=inputs,
            out=out,
            probability=probability,
            overlay=overlay,
            resume=resume,
            overwrite=overwrite,
            by_patient=by_patient,
            threshold=threshold,
            strict=strict,
            flair_only=flair_only,
            spacing_mm=spacing,
        )
        raise typer.Exit(commands.run(json, lambda console: command.predict(console, model, wanted), quiet=quiet))


def _evaluate(app: "typer.Typer") -> None:
    """Adds `brainseg evaluate`."""
    import typer

    from brainseg_runtime import commands
    from brainseg_runtime.metrics.surface import TOLERANCE

    example = (
        "Example: brainseg evaluate models/resunet data/kaggle_3m --json scores.json --report scores.html\n\n"
        "Example: brainseg evaluate --predictions masks data/kaggle_3m --spacing 0.94 0.94 5"
    )

    @app.command(
        help=_ABOUT["evaluate"],
        short_help="Score a model, or masks, on patients whose true masks are known.",
        epilog=f"{example}\n\n{CODES}",
    )
    def evaluate(  # noqa: PLR0913, PLR0917 - the command's options
        paths: Annotated[
            list[Path],
            typer.Argument(metavar="[BUNDLE] DATA", help="The model's folder, and patients' folders with masks."),
        ],
        predictions: Annotated[
            Path | None,
            typer.Option(metavar="FOLDER", help="Score the masks in this folder, of any program; no BUNDLE then."),
        ] = None,
        report: Annotated[Path | None, typer.Option(metavar="FILE.html", help=_REPORT)] = None,
        spacing: Annotated[
            tuple[float, float, float] | None,
            typer.Option(
                metavar="X Y Z", help="Pixel width, pixel height and slice distance in mm, for scores in mm and mL."
            ),
        ] = None,
        tolerance: Annotated[
            float,
            typer.Option(metavar="X", min=0.0, max=1000.0, help="Of the surface Dice: pixels, and mm with --spacing."),
        ] = TOLERANCE,
        provider: Annotated[str, typer.Option(metavar="NAME", help=_PROVIDER)] = "auto",
        variant: Annotated[str, typer.Option(metavar="NAME", help=_VARIANT)] = "auto",
        threads: Annotated[int | None, typer.Option(metavar="N", min=1, max=256, help=_THREADS)] = None,
        digest: Annotated[str | None, typer.Option(metavar="HEX", help=_DIGEST)] = None,
        json: Annotated[str | None, typer.Option("--json", metavar="FILE", help=_JSON)] = None,
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help=_QUIET)] = False,
    ) -> None:
        """`brainseg evaluate`."""
        from brainseg_runtime.commands import evaluate as command

        if spacing is not None and not all(0 < value < 1000 for value in spacing):
            raise typer.BadParameter("expected three lengths in mm, above 0 and below 1000", param_hint="--spacing")
        of_a_model = (provider, variant, threads, digest) != ("auto", "auto", None, None)
        if fault := _scoring_fault(len(paths), predictions, of_a_model=of_a_model):
            raise typer.BadParameter(fault, param_hint="paths" if predictions is None else "--predictions")
        wanted = command.Scoring(data=paths[-1], report=report, spacing_mm=spacing, tolerance=tolerance)
        if predictions is not None:
            folder = predictions
            work = lambda console: command.evaluate_predictions(console, folder, wanted)  # noqa: E731
            raise typer.Exit(commands.run(json, work, quiet=quiet))
        model = commands.Model(bundle=paths[0], provider=provider, variant=variant, threads=threads, digest=digest)
        raise typer.Exit(commands.run(json, lambda console: command.evaluate(console, model, wanted), quiet=quiet))


def _scoring_fault(n_paths: int, predictions: Path | None, *, of_a_model: bool) -> str:
    """What is wrong with what `evaluate` was given; empty if nothing is."""
    if predictions is None:
        return "" if n_paths == 2 else f"expected BUNDLE and DATA, or --predictions FOLDER and DATA; got {n_paths}"
    if n_paths == 1 and not of_a_model:
        return ""
    return (
        "scores masks that are there already: give DATA alone, without BUNDLE, --provider, --variant, --threads and "
        "--digest"
    )


def _bench(app: "typer.Typer") -> None:
    """Adds `brainseg bench`."""
    import typer

    from brainseg_runtime import commands

    example = "Example: brainseg bench models/resunet --provider cpu --batch 1 --batch 8 --threads 2 --json bench.json"

    @app.command(help=_ABOUT["bench"], short_help="Time a model on this machine.", epilog=f"{example}\n\n{CODES}")
    def bench(  # noqa: PLR0913, PLR0917 - the command's options
        bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help=_BUNDLE)],
        provider: Annotated[
            list[str] | None,
            typer.Option(metavar="NAME", help="Provider to time; may be repeated; default: all that can be had."),
        ] = None,
        variant: Annotated[
            list[str] | None,
            typer.Option(metavar="NAME", help="Variant to time; may be repeated; default: all of the bundle."),
        ] = None,
        batch: Annotated[
            list[int] | None,
            typer.Option(metavar="N", min=1, max=64, help="Slices a call; may be repeated; default: 1 and 8."),
        ] = None,
        threads: Annotated[
            list[int] | None, typer.Option(metavar="N", min=1, max=256, help=f"{_THREADS} May be repeated.")
        ] = None,
        side: Annotated[
            int, typer.Option(metavar="N", min=16, max=2048, help="Height and width of a slice, in pixels.")
        ] = 256,
        seconds: Annotated[
            float, typer.Option(metavar="S", min=0.0, max=600.0, help="How long to time each row.")
        ] = 3.0,
        digest: Annotated[str | None, typer.Option(metavar="HEX", help=_DIGEST)] = None,
        json: Annotated[str | None, typer.Option("--json", metavar="FILE", help=_JSON)] = None,
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help=_QUIET)] = False,
    ) -> None:
        """`brainseg bench`."""
        from brainseg_runtime.commands import bench as command

        wanted = command.Timing(
            bundle=bundle,
            providers=tuple(provider or ()),
            variants=tuple(variant or ()),
            batches=tuple(batch or (1, 8)),
            threads=tuple(threads or (None,)),
            side=side,
            seconds=seconds,
            digest=digest,
        )
        raise typer.Exit(commands.run(json, lambda console: command.bench(console, wanted), quiet=quiet))


def _verify(app: "typer.Typer") -> None:
    """Adds `brainseg verify`."""
    import typer

    from brainseg_runtime import commands

    example = "Example: brainseg verify models/resunet --digest 1f0c... --report installation.html"

    @app.command(
        help=_ABOUT["verify"],
        short_help="Check a bundle and this machine: PASS or FAIL.",
        epilog=f"{example}\n\n{CODES}",
    )
    def verify(
        bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help=_BUNDLE)],
        digest: Annotated[str | None, typer.Option(metavar="HEX", help=_DIGEST)] = None,
        public_key: Annotated[
            Path | None, typer.Option(metavar="FILE", help="PEM public key that model.sig must be signed with.")
        ] = None,
        provider: Annotated[str, typer.Option(metavar="NAME", help=_PROVIDER)] = "auto",
        report: Annotated[Path | None, typer.Option(metavar="FILE.html", help=_REPORT)] = None,
        json: Annotated[str | None, typer.Option("--json", metavar="FILE", help=_JSON)] = None,
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help=_QUIET)] = False,
    ) -> None:
        """`brainseg verify`."""
        from brainseg_runtime.commands.verify import verify as work

        raise typer.Exit(
            commands.run(
                json,
                lambda console: work(
                    console, bundle, digest=digest, public_key=public_key, provider=provider, report=report
                ),
                quiet=quiet,
            )
        )


def _doctor(app: "typer.Typer") -> None:
    """Adds `brainseg doctor`."""
    import typer

    from brainseg_runtime import commands

    @app.command(
        help=_ABOUT["doctor"],
        short_help="Tell what is installed and what would run.",
        epilog=f"Example: brainseg doctor models/resunet --json doctor.json\n\n{CODES}",
    )
    def doctor(
        bundle: Annotated[
            Path | None, typer.Argument(metavar="BUNDLE", help="Also tell what would run this model.")
        ] = None,
        json: Annotated[str | None, typer.Option("--json", metavar="FILE", help=_JSON)] = None,
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help=_QUIET)] = False,
    ) -> None:
        """`brainseg doctor`."""
        from brainseg_runtime.commands.doctor import doctor as work

        raise typer.Exit(commands.run(json, lambda console: work(console, bundle), quiet=quiet))
