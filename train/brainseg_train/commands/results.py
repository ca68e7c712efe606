"""Messages of `brainseg-train` about a study, before it starts and after its runs have ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainseg_runtime.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brainseg_runtime.terminal.console import Console
    from brainseg_train.data.dataset import DataSet
    from brainseg_train.tuning.study import Study


def tell_start(study: Study, origin: str, dataset: DataSet, console: Console) -> None:
    """Shows which study starts and with what."""
    from brainseg_train.comparison.leaderboard import LEAK
    from brainseg_train.data.persons import some_of

    request = study.request
    words = {
        "new": "begins",
        "resumed": "resumed",
        "complete": "is complete: nothing is trained or measured again",
    }
    trials = request.search.trials
    parts = f"{counted(trials, 'run')} each of {', '.join(request.models)}"
    if len(request.splits) > 1:
        parts += f" on each of {len(request.splits)} folds"
    console.note(
        f"{dataset.root}: {counted(len(dataset.patients), 'patient')}, {counted(len(dataset.slices), 'slice')}"
    )
    console.note(f"study {study.record.id} {words[origin]}: {parts}, preset {request.preset}")
    split = study.split()
    if split.persons:
        count = len(split.persons)
        console.note(
            f"{count} person{'s have' if count > 1 else ' has'} several patients' folders, which stay in one subset: "
            f"{some_of(split.persons)}"
        )
    if request.leaky:
        console.warn(LEAK)


def tell_layout(study: Study, threads: int | None, workers: int, console: Console) -> None:
    """Notes where processes and threads differ from the command line."""
    begun = study.record.threads
    if threads is not None and threads != begun:
        console.note(
            f"--threads is ignored: the study keeps the {begun} threads per process that it started with, since "
            "results depend on them"
        )
    if study.request.search.kind == "tpe" and workers > 1:
        console.note(
            f"with {workers} workers, TPE's choice of trials depends on which others have ended by then; --workers 1 "
            "gives the same ones every time"
        )


def tell_differences(other: str, differences: Sequence[str], console: Console) -> None:
    """Says why `--resume` started a new study: the newest unfinished one has other arguments or data."""
    console.note(f"study {other} is unfinished but cannot be resumed here: it was started with other arguments or data")
    for line in differences:
        console.note(f"  {line}")


def tell_leaderboard(study: Study, console: Console) -> None:
    """Writes a complete study's leaderboard and report, and shows the table."""
    from brainseg_train.comparison import leaderboard
    from brainseg_train.comparison.page import write_report

    board = leaderboard.make_leaderboard(study)
    leaderboard.write(study, board)
    page = write_report(study, board)
    head, *rows = leaderboard.summary(board)
    console.table(head, rows)
    if board["leaky"]:
        console.say(f"LEAKY: {leaderboard.LEAK}")
    for trial in board["trials"]:
        if trial["status"] == "failed":
            console.note(
                _diverged(f"{trial['model']} with {trial['configuration']}", trial["stopped"], trial["best_epoch"])
            )
    console.say(board["verdict"])
    console.say(f"leaderboard: {study.runs / 'leaderboard.md'}")
    console.say(f"report: {page}")
    console.emit(board)


def tell_runs(study: Study, console: Console) -> None:
    """Shows the runs of a fit and, with folds, the scores of all patients."""
    from brainseg_train.comparison import leaderboard

    records = [run for unit in study.request.units for run in study.run_records(unit).values()]
    rows = [
        [
            run.id,
            str(run.epochs),
            str(run.best.epoch) if run.best else "-",
            f"{run.best.validation['dice']:.3f}" if run.best else "-",
        ]
        for run in records
    ]
    console.table(["run", "epochs", "epoch kept", "validation Dice"], rows)
    for run in records:
        if run.status == "failed":
            console.note(_diverged(run.id, run.stopped, run.best.epoch if run.best else None))
    result: dict[str, object] = {"study": study.record.id, "runs": [run.to_json() for run in records]}
    if study.record.selected and len(study.request.splits) > 1:
        board = leaderboard.make_leaderboard(study)
        head, *lines = leaderboard.summary(board)
        console.table(head, lines)
        result["row"] = board["rows"][0]
    for run in records:
        console.say(str(study.runs / run.id))
    console.emit(result)


def _diverged(name: str, stopped: str | None, best_epoch: int | None) -> str:
    """A warning that a run diverged."""
    reason = (stopped or "").partition("; remedy")[0]
    kept = "it has no weights" if best_epoch is None else f"the weights of epoch {best_epoch} are kept"
    return f"warning: {name} diverged ({reason}); {kept}"
