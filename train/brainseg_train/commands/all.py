"""`brainseg-train all`: train, tune and compare the networks."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import typer

from brainseg_runtime.errors import UsageError
from brainseg_runtime.terminal.application import command
from brainseg_runtime.terminal.command import DONE
from brainseg_runtime.terminal.console import Console
from brainseg_train.commands.options import StudyOptions
from brainseg_train.commands.results import tell_leaderboard
from brainseg_train.commands.study import KEPT, as_usage, carry_out, ready
from brainseg_train.models import NAMES


@command("brainseg-train all --data data/kaggle_3m --preset quick --json leaderboard.json", interrupted=KEPT)
def all_(
    console: Console,
    *,
    models: Annotated[str, typer.Option(help="Networks, separated by commas.")] = ",".join(NAMES),
    search: Annotated[
        Literal["grid", "tpe"], typer.Option(help="The preset's grid, or TPE over a wider space.")
    ] = "grid",
    trials: Annotated[int | None, typer.Option(min=1, help="Runs for each network with TPE; default: 12.")] = None,
    options: StudyOptions,
) -> int:
    """Train and tune the networks, choose by validation Dice, look at the test subset once, and rank.

    Writes leaderboard.json, leaderboard.md and report.html into the folder of runs. Ctrl-C keeps everything; the same
    command with --resume continues, and ends with the same bytes. Several such commands can work on one study.

    The JSON has, as leaderboard.json: rows (rank, model, config, validation, test, parameters, epochs, timing) by Dice,
    comparisons (first, second, difference, ci95, p_value, p_corrected, more_than_noise), verdict, trials, baseline,
    split_by, leaky, data_digest, split_digest.
    """
    from brainseg_train.tuning import torchrun

    if torchrun.launched():
        if not torchrun.leads():
            return DONE  # the process of rank 0 speaks; torchrun would stop it if this one failed first
        raise UsageError(
            "the networks are not compared under torchrun",
            expected="brainseg-train all without torchrun (--workers trains trials in parallel), or torchrun with fit",
            got="all, started by torchrun",
            remedy="run it without torchrun; other machines that share the folder of runs can join with --resume",
        )
    names = tuple(name.strip() for name in models.split(",") if name.strip())
    with as_usage():
        asked = dataclasses.replace(options.plan("all", names), search=search, trials=trials)
    root, plan = ready(console, options, asked)
    tell_leaderboard(carry_out(console, options, plan, root), console)
    return DONE
