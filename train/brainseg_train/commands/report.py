"""`brainseg-train report`: leaderboard and report once more, from the records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainseg_runtime.terminal.application import command
from brainseg_runtime.terminal.command import DONE
from brainseg_runtime.terminal.console import Console
from brainseg_train.commands.results import tell_leaderboard
from brainseg_train.commands.study import refuse_json_in_runs


@command("brainseg-train report runs")
def report(
    console: Console,
    *,
    runs: Annotated[Path, typer.Argument(help="Folder of runs.")],
    study: Annotated[
        str | None, typer.Option(metavar="ID", help="Which study; default: the newest comparison that is complete.")
    ] = None,
) -> int:
    """Make leaderboard and report again from the records alone: neither data nor weights are read.

    The JSON is that of all.
    """
    from brainseg_train.tuning.study import newest_complete

    refuse_json_in_runs(console, runs)
    tell_leaderboard(newest_complete(runs, study), console)
    return DONE
