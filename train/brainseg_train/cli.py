"""The `brainseg-train` command: all, fit, check, phantom, report. Options are read here; `commands` does the work.

PyTorch is imported only by the commands that train, so that `--help` and usage errors answer at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from brainseg_runtime.terminal.application import CODES, finished, make_application
from brainseg_runtime.terminal.start import run_command
from brainseg_runtime.version import __version__
from brainseg_train.commands import train
from brainseg_train.learning.threads import wait_asleep

if TYPE_CHECKING:
    from collections.abc import Sequence

DataOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIR|phantom",
        help="Folder of patient folders, or the word phantom for generated patients; default: data/kaggle_3m where it "
        "is, else phantom.",
    ),
]
RunsOption = Annotated[Path, typer.Option(metavar="DIR", help="Folder for runs and results.")]
PresetOption = Annotated[
    Literal["paper", "quick", "shipped"] | None,
    typer.Option(
        help="paper: full width, 40 epochs, six configurations, nothing pruned. quick: minutes on two cores. shipped: "
        "the recipe of the bundles in models/, 100 epochs. Default: paper on patients, quick on the phantom.",
    ),
]
EpochsOption = Annotated[int | None, typer.Option(min=1, help="Most epochs of a run; default: the preset's.")]
WidthOption = Annotated[
    int | None, typer.Option(min=1, help="Channels at half the input's resolution; default: the preset's.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Fixes the split, the search and every run.")]
ResumeOption = Annotated[
    bool,
    typer.Option("--resume", help="Go on with the newest unfinished study of the same arguments; without one, begin."),
]
SplitOption = Annotated[
    Literal["patient", "slice"],
    typer.Option(help="slice is the leaky split of much published code: for comparison only, and marked everywhere."),
]
FoldsOption = Annotated[int | None, typer.Option(min=3, metavar="K", help="Cross-validate over K folds of patients.")]
SplitFileOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A split of your own: JSON with train, validation and test, a CSV of patient and subset, or one of "
        "RUNS/splits.",
    ),
]
PersonOption = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX|FILE.csv",
        help="Whose a patient's folder is, so that no person lies in two parts: an expression with one group, such as "
        "'(sub-[0-9]+)', or a CSV of patient and person; default: TCGA_CS_4941 of TCGA_CS_4941_19960909.",
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, help="Runs at once, a process each; default: one a core, or one on a GPU.")
]
ThreadsOption = Annotated[
    int | None, typer.Option(min=1, help="Threads of each process; default: OMP_NUM_THREADS, else the cores shared.")
]
CacheOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder for resized slices; default: the user's cache folder.")
]
TensorboardOption = Annotated[
    bool,
    typer.Option(
        "--tensorboard", help="Keep a TensorBoard event file in each run's folder; needs the extra tensorboard."
    ),
]
DataNameOption = Annotated[
    str | None, typer.Option(metavar="TEXT", help="What the data set is called; default: as its dataset.json says.")
]
DataLicenceOption = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Its licence, an SPDX identifier or a short name; default: likewise.")
]
DataUrlOption = Annotated[
    str | None, typer.Option(metavar="URL", help="Where it can be read about or had; default: likewise.")
]
DataCitationOption = Annotated[str | None, typer.Option(metavar="TEXT", help="What to cite; default: likewise.")]
JsonOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Write the result as JSON to this file; - is standard output, where then nothing else goes.",
    ),
]

QuietOption = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Tell warnings and faults alone; results go where --json and --runs say."),
]

app = make_application()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and end the process with its exit code.

    Args:
        arguments: What stands after `brainseg-train`; default: the process's own.
    """
    wait_asleep()
    run_command("brainseg-train", lambda: finished(app), arguments)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Train, tune and compare networks that outline brain tumours in MRI slices. Research use; not a medical device."""


@app.command(
    "all",
    short_help="Train, tune and compare the networks.",
    epilog=f"Example: brainseg-train all --data data/kaggle_3m --preset quick --json leaderboard.json\n\n{CODES}",
)
def all_(  # noqa: PLR0913, PLR0917 - one parameter an option
    data: DataOption = None,
    runs: RunsOption = Path("runs"),
    models: Annotated[str, typer.Option(help="Networks, separated by commas.")] = "unet,resunet,deeplab",
    preset: PresetOption = None,
    epochs: EpochsOption = None,
    search: Annotated[
        Literal["grid", "tpe"], typer.Option(help="The preset's grid, or TPE over a wider space.")
    ] = "grid",
    trials: Annotated[int | None, typer.Option(min=1, help="Runs for each network with TPE; default: 12.")] = None,
    seed: SeedOption = 0,
    split_by: SplitOption = "patient",
    folds: FoldsOption = None,
    split_file: SplitFileOption = None,
    person_from: PersonOption = None,
    resume: ResumeOption = False,
    width: WidthOption = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
    cache: CacheOption = None,
    tensorboard: TensorboardOption = False,
    data_name: DataNameOption = None,
    data_licence: DataLicenceOption = None,
    data_url: DataUrlOption = None,
    data_citation: DataCitationOption = None,
    json: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Train and tune the networks, choose by validation Dice, look at the test part once, and rank.

    Writes leaderboard.json, leaderboard.md and report.html into the folder of runs. Ctrl-C keeps everything; the same
    command with --resume goes on, to the same bytes. Several such commands can work on one study.

    The JSON has, as leaderboard.json: rows (rank, model, config, validation, test, parameters, epochs, timing) by Dice,
    comparisons (first, second, difference, ci95, p_value, p_corrected, more_than_noise), verdict, trials, baseline,
    split_by, leaky, data_digest, split_digest.
    """
    stated = (data_name, data_licence, data_url, data_citation)
    work = train.Work(
        data=data, runs=runs, preset=preset, resume=resume, cache=cache, tensorboard=tensorboard, stated=stated
    )
    settings = train.Settings(
        seed=seed,
        split_by=split_by,
        folds=folds,
        split_file=split_file,
        person_from=person_from,
        epochs=epochs,
        width=width,
        device=device,
        workers=workers,
        threads=threads,
    )
    names = tuple(name.strip() for name in models.split(",") if name.strip())
    tuning = train.Tuning(search=search, trials=trials)
    code = train.run(
        json, lambda console: train.compare(console, work, settings, names, tuning), quiet=quiet, resumable=True
    )
    raise typer.Exit(code)


@app.command(
    short_help="Train one network.",
    epilog=f"Example: brainseg-train fit resunet --data data/kaggle_3m --rate 3e-4:1e-6 --batch 16\n\n{CODES}",
)
def fit(  # noqa: PLR0913, PLR0917 - one parameter an option
    model: Annotated[str, typer.Argument(help="unet, resunet or deeplab.")],
    data: DataOption = None,
    runs: RunsOption = Path("runs"),
    preset: PresetOption = None,
    epochs: EpochsOption = None,
    rate: Annotated[
        str | None,
        typer.Option(help="Learning rate: constant as 3e-4, or a cosine as 3e-4:1e-6; default: the preset's."),
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Slices a step; default: the preset's.")] = None,
    initial: Annotated[
        Path | None, typer.Option(metavar="RUN", help="A run's folder whose best weights to start from.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON of settings in place of the preset's, as the config of a run.json has them; options come first.",
        ),
    ] = None,
    test: Annotated[
        bool,
        typer.Option(
            "--test/--no-test", help="Hold a test part out, or train on it too: for weights that ship once judged."
        ),
    ] = True,
    seed: SeedOption = 0,
    split_by: SplitOption = "patient",
    folds: FoldsOption = None,
    split_file: SplitFileOption = None,
    person_from: PersonOption = None,
    resume: ResumeOption = False,
    width: WidthOption = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    threads: ThreadsOption = None,
    cache: CacheOption = None,
    tensorboard: TensorboardOption = False,
    data_name: DataNameOption = None,
    data_licence: DataLicenceOption = None,
    data_url: DataUrlOption = None,
    data_citation: DataCitationOption = None,
    json: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Train one network with one configuration. The test part is not looked at.

    With --folds K it is trained K times, and every patient is measured once, by the run that has not seen them.
    torchrun --nproc-per-node N -m brainseg_train.cli fit ... trains one network in N processes.

    The JSON has: study, runs (each run's record), and with folds also row, as a row of leaderboard.json.
    """
    stated = (data_name, data_licence, data_url, data_citation)
    work = train.Work(
        data=data, runs=runs, preset=preset, resume=resume, cache=cache, tensorboard=tensorboard, stated=stated
    )
    settings = train.Settings(
        seed=seed,
        split_by=split_by,
        folds=folds,
        split_file=split_file,
        person_from=person_from,
        epochs=epochs,
        width=width,
        device=device,
        workers=workers,
        threads=threads,
    )
    training = train.Training(rate=rate, batch=batch, initial=initial, config=config, test=test)
    code = train.run(
        json, lambda console: train.fit(console, work, settings, model, training), quiet=quiet, resumable=True
    )
    raise typer.Exit(code)


@app.command(
    short_help="Check a data set and tell what it holds.",
    epilog=f"Example: brainseg-train check data/kaggle_3m --json check.json\n\n{CODES}",
)
def check(
    data: Annotated[Path, typer.Argument(help="Folder of patient folders.")],
    person_from: PersonOption = None,
    json: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Check a data set and tell what it holds. Everything that is wrong is listed at once, with the file's name.

    The JSON has: data, digest, size, n_patients, n_slices, n_tumour_slices, burden (mean, median, min, max), sites,
    patients, n_persons, persons, persons_with_several, missing_sequences, repeated_slices, duplicates, left_out. Of a
    faulty set: data, fault (what, problems, remedy).
    """
    about = {"data": str(data)}
    work = lambda console: train.check(console, data, person_from)  # noqa: E731 - as the other commands have it
    raise typer.Exit(train.run(json, work, quiet=quiet, about=about))


@app.command(
    short_help="Generate patients with brain tumours.",
    epilog=f"Example: brainseg-train phantom patients --patients 20 --seed 7\n\n{CODES}",
)
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder to write; an older phantom there is replaced.")],
    patients: Annotated[int, typer.Option(min=1, help="How many patients.")] = train.PHANTOM_PATIENTS,
    seed: Annotated[int, typer.Option(min=0, help="Which phantom: the same seed gives the same bytes.")] = 0,
    json: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Generate patients with brain tumours, in the layout of kaggle_3m.

    The JSON has: data, patients, seed.
    """
    raise typer.Exit(train.run(json, lambda console: train.phantom(console, out, patients, seed), quiet=quiet))


@app.command(
    short_help="Make leaderboard and report again from records.",
    epilog=f"Example: brainseg-train report runs\n\n{CODES}",
)
def report(
    runs: Annotated[Path, typer.Argument(help="Folder of runs.")],
    study: Annotated[
        str | None, typer.Option(metavar="ID", help="Which study; default: the newest comparison that is complete.")
    ] = None,
    json: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Make leaderboard and report again from the records alone: neither data nor weights are read.

    The JSON is that of all.
    """
    raise typer.Exit(train.run(json, lambda console: train.report(console, runs, study), quiet=quiet))


if __name__ == "__main__":
    main()
