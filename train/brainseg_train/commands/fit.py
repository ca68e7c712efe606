"""`brainseg-train fit`: train one network."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainseg_runtime.terminal.application import command
from brainseg_runtime.terminal.command import DONE
from brainseg_runtime.terminal.console import Console
from brainseg_train.commands.options import StudyOptions
from brainseg_train.commands.results import tell_runs
from brainseg_train.commands.study import KEPT, as_usage, carry_out, ready, source_of
from brainseg_train.errors import ConfigError
from brainseg_train.models import NAMES

if TYPE_CHECKING:
    from brainseg_train.data.dataset import DataSet
    from brainseg_train.tuning.plan import Plan


@command("brainseg-train fit resunet --data data/kaggle_3m --rate 3e-4:1e-6 --batch 16", interrupted=KEPT)
def fit(
    console: Console,
    *,
    model: Annotated[str, typer.Argument(help=f"{', '.join(NAMES[:-1])} or {NAMES[-1]}.")],
    rate: Annotated[
        str | None,
        typer.Option(help="Learning rate: constant as 3e-4, or a cosine as 3e-4:1e-6; default: the preset's."),
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Slices a step; default: the preset's.")] = None,
    initial: Annotated[
        Path | None, typer.Option(metavar="RUN", help="A run's folder whose weights to start from, or models/deeplab.")
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
            "--test/--no-test",
            help="Hold out a test subset, or train on it too, for the final weights once the method has been tested.",
        ),
    ] = True,
    options: StudyOptions,
) -> int:
    """Train one network with one configuration. The test subset is not looked at.

    With --folds K it is trained K times, and every patient is measured once, by the run that has not seen them.
    torchrun --nproc-per-node N -m brainseg_train.cli fit ... trains one network in N processes.

    The JSON has: study, runs (each run's record), and with folds also row, as a row of leaderboard.json.
    """
    from brainseg_train.tuning import torchrun

    with as_usage():
        plan = options.plan("fit", (model,))
        changes = {**_from_file(config, model, options.seed), **plan.changes, **_by_hand(rate, batch, initial)}
        asked = dataclasses.replace(plan, changes=changes, search=None, test=test)
    root, plan = ready(console, options, asked)
    if torchrun.launched():
        _fit_together(console, options, plan, root)
    else:
        tell_runs(carry_out(console, options, plan, root), console)
    return DONE


def _from_file(config: Path | None, model: str, seed: int) -> dict[str, object]:
    """Fields of the run's configuration that the file of `--config` sets.

    Raises:
        ConfigError: The file is missing or no configuration, or is for another network or seed than requested.
    """
    from brainseg_train.config import read_changes

    changes = {} if config is None else read_changes(config)
    for name, wanted in (("model", model), ("seed", seed)):
        if (found := changes.pop(name, wanted)) != wanted:
            raise ConfigError(
                f"{config} is for another {name}", expected=repr(wanted), got=repr(found),
                remedy=f"request {found}, or remove {name} from the file",
            )  # fmt: skip
    return changes


def _by_hand(rate: str | None, batch: int | None, initial: Path | None) -> dict[str, object]:
    """Fields of the run's configuration that options set.

    Raises:
        ConfigError: The rate cannot be read, or the run to start from does not exist.
    """
    from brainseg_train.tuning.search import read_learning_rate

    changes: dict[str, object] = {} if rate is None else read_learning_rate(rate.replace(":", " to "))
    if batch is not None:
        changes["batch"] = batch
    if initial is not None:
        if not initial.with_suffix(".json").is_file() and not (initial / "best.json").is_file():
            raise ConfigError(
                "the run to start from does not exist",
                expected="--initial with a run's folder, which holds best.json and best.safetensors, or a bundle "
                "with NAME.json and NAME.safetensors beside it",
                got=str(initial),
            )
        changes["initial"] = str(initial)
    return changes


def _fit_together(console: Console, options: StudyOptions, plan: Plan, root: Path) -> None:
    """Trains under torchrun; the process of rank 0 alone speaks."""
    from brainseg_train.comparison.conduct import finish
    from brainseg_train.data.dataset import load_dataset
    from brainseg_train.tuning import torchrun
    from brainseg_train.tuning.progress import display

    def open_data() -> DataSet:
        return load_dataset(root, cache=options.cache)

    runs, resume = options.runs, options.resume
    if not torchrun.leads():
        torchrun.fit_together(plan, open_data, runs, resume=resume, emit=lambda _event: None, finish=finish)
        return
    source = source_of(options, root)
    with display(plan.config(plan.models[0]).epochs, quiet=console.quiet) as shown:
        study = torchrun.fit_together(
            plan, open_data, runs, resume=resume, emit=shown.show, finish=finish, source=source
        )
    if study is not None:
        tell_runs(study, console)
