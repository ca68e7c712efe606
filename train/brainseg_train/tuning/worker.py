"""One process that trains a study's trials until none is left: `python -m brainseg_train.tuning.worker`."""

from __future__ import annotations

import _thread
import argparse
import dataclasses
import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.safe_io.system_faults import as_fault
from brainseg_train.data.dataset import DataSet, load_dataset
from brainseg_train.errors import DivergedError
from brainseg_train.runs import fit, records
from brainseg_train.runs.callbacks import Progress
from brainseg_train.tuning import study
from brainseg_train.tuning.progress import Event
from brainseg_train.tuning.search import configure, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from brainseg_train.runs.callbacks import ProgressCallback, PruneCallback
    from brainseg_train.runs.records import RunRecord
    from brainseg_train.tuning.search import Params
    from brainseg_train.tuning.study import Study
    from brainseg_train.tuning.study_record import Unit
    from brainseg_train.tuning.tuner import Claim


def work(current: Study, dataset: DataSet, emit: Callable[[Event], None]) -> None:
    """Train trials of a study until none is left.

    Raises:
        BrainsegError: A fault that other trials would meet too.
        KeyboardInterrupt: Interrupted; the trial's state is kept, and another process can take it.
    """
    for unit in current.request.units:
        tuner = current.tuner(unit)
        while (claim := tuner.claim()) is not None:
            train(current, unit, claim, dataset, emit)


def train(current: Study, unit: Unit, claim: Claim, dataset: DataSet, emit: Callable[[Event], None]) -> None:
    """Train one trial, from wherever it stands to its end.

    Raises:
        BrainsegError: A fault that other trials would meet too.
        KeyboardInterrupt: Interrupted; the trial's state is kept, and another process can take it.
    """
    epochs = configure(current.request.configs[unit.model], claim.params).epochs
    run_dir = current.run_dir(unit, claim.number)
    trial = f"{unit.name} {claim.number + 1}/{current.request.search.trials}"
    shown = Event(kind="begin", trial=trial, label=describe(claim.params), epochs=epochs, epoch=_epochs_done(run_dir))
    emit(shown)

    def progress(now: Progress) -> None:
        if now.validation is not None:
            epoch = dataclasses.replace(shown, kind="epoch", epoch=now.epoch, dice=now.validation["dice"])
            emit(dataclasses.replace(epoch, images_per_second=now.images_per_s))

    try:
        run = fit_trial(current, unit, claim.number, claim.params, dataset, progress=progress, prune=claim.report)
    except DivergedError as error:
        claim.finish("failed", None)
        ended = dataclasses.replace(shown, kind="end", epoch=_epochs_done(run_dir), status="failed")
        emit(dataclasses.replace(ended, reason=f"{error.what} ({error.got})"))
        return
    except BaseException:
        claim.leave()
        raise
    dice = run.best.validation["dice"] if run.best else None
    emit(dataclasses.replace(shown, kind="end", epoch=run.epochs, dice=dice, status=run.status))
    if run.status == "interrupted":
        claim.leave()
        raise KeyboardInterrupt
    claim.finish("pruned" if run.status == "pruned" else "complete", dice)


def fit_trial(
    current: Study,
    unit: Unit,
    number: int,
    params: Params,
    dataset: DataSet,
    *,
    progress: ProgressCallback | None = None,
    prune: PruneCallback | None = None,
) -> RunRecord:
    """Start or resume the run of a trial.

    Raises:
        BrainsegError: As for `fit`.
    """
    return fit.fit(
        configure(current.request.configs[unit.model], params),
        dataset,
        current.split(unit.fold),
        current.run_dir(unit, number),
        resume=True,
        study=current.record.id,
        threads=current.record.threads,
        progress=progress,
        prune=prune,
        tensorboard=current.record.tensorboard,
    )


def _epochs_done(run_dir: Path) -> int:
    """Epochs that a run has finished; 0 if it has not started."""
    return records.load_record(run_dir).epochs if (run_dir / records.RECORD).exists() else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker process.

    Returns:
        0 when no trial is left, 1 after a fault, 130 when told to stop.
    """
    parser = argparse.ArgumentParser(prog="python -m brainseg_train.tuning.worker", description=__doc__)
    parser.add_argument("runs", type=Path, help="folder of runs")
    parser.add_argument("study", help="the study's name")
    parser.add_argument("data", type=Path, help="the data set's folder")
    parser.add_argument("--cache", type=Path, default=None, help="cache folder of the data set")
    options = parser.parse_args(arguments)
    threading.Thread(target=_stop_with_input, daemon=True).start()
    try:
        current = study.load(options.runs, options.study)
        work(current, load_dataset(options.data, cache=options.cache), _emit)
    except BrainsegError as error:
        _write({"fault": error.to_json()})
        return 1
    except (OSError, MemoryError, RuntimeError) as error:
        if (fault := as_fault(error)) is None:
            raise
        _write({"fault": fault.to_json()})
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _stop_with_input() -> None:
    """Interrupt the main thread once standard input ends; read past Python's buffer, whose lock would outlive it."""
    while os.read(0, 1024):
        pass
    _thread.interrupt_main()


def _emit(event: Event) -> None:
    sys.stdout.write(event.to_line() + "\n")
    sys.stdout.flush()


def _write(value: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
