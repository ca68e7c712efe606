"""Carries out a study: train and tune, choose, measure once on the test subset.

Each step leaves a record and is skipped where its record exists, so an interrupted study continues where it stopped,
and a complete one is never measured again.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

from brainseg_train.comparison.test_scores import look_once
from brainseg_train.errors import StudyError
from brainseg_train.tuning import study
from brainseg_train.tuning.file_lock import FileLock, is_held
from brainseg_train.tuning.search import best_of
from brainseg_train.tuning.worker import work
from brainseg_train.tuning.worker_pool import run_workers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brainseg_train.data.dataset import DataSet
    from brainseg_train.runs.records import RunRecord
    from brainseg_train.tuning.progress import Display
    from brainseg_train.tuning.study import Study

WAIT_SECONDS = 1.0
"""Seconds between looks at trials that another process works on."""


def carry_out(current: Study, dataset: DataSet, *, workers: int, cache: Path | None, display: Display) -> Study:
    """Carry out the rest of a study.

    The first process leads: it chooses and measures once every trial has ended. Others help, and stay until the study
    is complete: they take up the trials of a process that dies, and one of them leads if it was the leader.

    Returns:
        The complete study, whichever process led it.

    Raises:
        StudyError: No trial of a network left weights, or a process failed.
        KeyboardInterrupt: Interrupted; everything is kept.
    """

    def train() -> None:
        """Work on trials until none is left to take."""
        if not _free(current):
            return
        if workers == 1:
            work(current, dataset, display.show)
        else:
            run_workers(current, data=dataset.root, cache=cache, count=workers, show=display.show)

    lead = FileLock(current.folder / "lead.lock")
    while not lead.acquire(wait=False):
        train()
        if (done := _complete_by_now(current)) is not None:
            return done
        time.sleep(WAIT_SECONDS)  # another process works on it, and may die: before the last trial ends, or after it
    try:
        if (done := _complete_by_now(current)) is not None:
            return done
        began = time.monotonic()
        train()
        while _unfinished(current):
            time.sleep(WAIT_SECONDS)
            train()
        return finish(current, dataset, display, seconds=time.monotonic() - began)
    finally:
        lead.release()


def finish(current: Study, dataset: DataSet, display: Display | None = None, *, seconds: float = 0.0) -> Study:
    """Choose runs once every trial has ended, measure them on the test subset if the study does, and record.

    Args:
        current: The study.
        dataset: Its data.
        display: Shows the progress.
        seconds: That this process spent on the trials; for the record.

    Returns:
        The study, complete.

    Raises:
        StudyError: No trial of a network left weights.
    """
    began = time.monotonic()
    chosen = _select(current)
    if current.request.kind == "all" or len(current.request.splits) > 1:
        for model in current.request.models:
            if display is not None:
                display.say(f"{model}: measured on the test subset, once")
            look_once(current, model, chosen[model], dataset)
    return _complete(current, chosen, seconds=seconds + time.monotonic() - began)


def epochs_left(current: Study) -> int:
    """Epochs that a study has left if no trial ends early."""
    left = 0
    for unit in current.request.units:
        runs = current.run_records(unit).values()
        open_runs = sum(run.config.epochs - run.epochs for run in runs if run.status in ("running", "interrupted"))
        fresh = current.request.search.trials - len(runs)
        left += open_runs + fresh * current.request.configs[unit.model].epochs
    return left


def _complete_by_now(current: Study) -> Study | None:
    """The study as its record has it now, if another process has completed it."""
    latest = study.load(current.runs, current.record.id)
    return latest if latest.record.status == "complete" else None


def _unfinished(current: Study) -> bool:
    """Whether a trial has not ended."""
    return any(current.tuner(unit).unfinished() for unit in current.request.units)


def _free(current: Study) -> bool:
    """Whether a trial can be taken: it has not started, or its process has ended."""
    for unit in current.request.units:
        tuner = current.tuner(unit)
        trials = tuner.trials()
        if len(trials) < current.request.search.trials:
            return True
        if any(not trial.state.is_finished() and not is_held(tuner.lock_of(trial.number)) for trial in trials):
            return True
    return False


def _select(current: Study) -> dict[str, tuple[str, ...]]:
    """For each network the run with the best validation Dice on each split; the first of equals."""
    chosen: dict[str, tuple[str, ...]] = {}
    for unit in current.request.units:
        runs = current.run_records(unit)
        scores = ((trial, run.best.validation["dice"] if run.best else None) for trial, run in runs.items())
        best = best_of((trial, dice) for trial, dice in scores if runs[trial].status == "complete")
        if best is None:
            # Every trial was pruned: the best of them still makes a row, and the table shows its scores.
            best = best_of((trial, run.best.validation["dice"] if run.best else None) for trial, run in runs.items())
        if best is None:
            raise _nothing_left(unit.name, list(runs.values()))
        chosen[unit.model] = (*chosen.get(unit.model, ()), runs[best].id)
    return chosen


def _nothing_left(name: str, runs: Sequence[RunRecord]) -> StudyError:
    """Why a network has no weights to choose from: its runs diverged, or none has started."""
    reasons = [f"{run.id} {run.status}: {(run.stopped or 'nothing').partition('; remedy')[0]}" for run in runs]
    diverged = bool(runs) and all(run.status == "failed" for run in runs)
    return StudyError(
        f"every trial of {name} diverged" if diverged else f"no trial of {name} produced weights",
        expected="at least one trial that ends with finite numbers",
        got="; ".join(reasons) or "none",
        remedy="lower the learning rate with --rate, or set precision to fp32 in --config; --resume would diverge again"
        if diverged
        else "train again, with another learning rate or --runs folder",
    )


def _complete(current: Study, chosen: dict[str, tuple[str, ...]], *, seconds: float) -> Study:
    """Record that a study is complete."""
    runs = tuple(run.id for unit in current.request.units for run in current.run_records(unit).values())
    timing = current.record.timing
    record = dataclasses.replace(
        current.record,
        status="complete",
        runs=runs,
        selected=chosen,
        timing={**timing, "ended": time.time(), "seconds": timing.get("seconds", 0.0) + seconds},
    )
    done = current.with_record(record)
    done.save()
    return done
