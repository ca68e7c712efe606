"""One network's trials, as an Optuna study in a journal that several processes share.

A trial belongs to the process that holds the lock of its run. A process that dies releases it, and the next one resumes
the same trial where it stopped.

Source: Akiba et al., Optuna, 2019; Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011 (TPE).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.pruners import BasePruner, NopPruner, ThresholdPruner
from optuna.samplers import BaseSampler, GridSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from brainseg_train.tuning.file_lock import FileLock
from brainseg_train.tuning.search import TPE_SPACE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from optuna.study import Study

    from brainseg_train.tuning.search import Params, Search

Outcome = Literal["complete", "pruned", "failed"]

TPE_STARTUP = 6
"""Trials drawn at random before the estimator has anything to estimate from."""

_STATES: Mapping[Outcome, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@dataclass(kw_only=True)
class Claim:
    """A trial that this process alone works on.

    Attributes:
        number: The trial's place in its study, from 0.
        params: Its parameters.
    """

    number: int
    params: Params
    _trial: optuna.Trial
    _study: Study
    _lock: FileLock

    def report(self, epoch: int, dice: float) -> bool:
        """Record an epoch's validation Dice.

        Args:
            epoch: Epochs finished, from 1.
            dice: In [0, 1].

        Returns:
            Whether the trial is to be pruned.
        """
        if epoch not in self._study.trials[self.number].intermediate_values:
            self._trial.report(dice, epoch)
        return self._trial.should_prune()

    def finish(self, outcome: Outcome, dice: float | None) -> None:
        """Record how the trial ended and release it.

        Args:
            outcome: How.
            dice: Best validation Dice in [0, 1], or None if no epoch was validated; used only if it completed.
        """
        value = dice if outcome == "complete" else None  # Optuna keeps a pruned trial's last reported value itself
        self._study.tell(self.number, value, state=_STATES[outcome])
        self._lock.release()

    def leave(self) -> None:
        """Release the trial unfinished, for the next process that takes it."""
        self._lock.release()


@dataclass(frozen=True, kw_only=True)
class Tuner:
    """One network's Optuna study within a study folder.

    Attributes:
        folder: The study's folder, with `journal.log`.
        name: The Optuna study: the network's name, with the fold where there are several.
        search: What is tried.
        seed: Fixes the order of a grid and the draws of TPE.
        lock_of: The lock file of the run of a trial's number.
    """

    folder: Path
    name: str
    search: Search
    seed: int
    lock_of: Callable[[int], Path]

    def claim(self) -> Claim | None:
        """Take the next trial that no process works on: one left unfinished, else a new one.

        Returns:
            The trial, or None where all have been given out.
        """
        with FileLock(self.folder / "claim.lock"):
            study = self._open()
            trials = study.get_trials(deepcopy=False)
            for trial in trials:
                if not trial.state.is_finished():
                    lock = self._lock(trial.number)
                    if lock.acquire(wait=False):
                        return self._claim(study, optuna.Trial(study, trial._trial_id), lock)
            if len(trials) >= self.search.trials:
                return None
            lock = self._lock(len(trials))
            lock.acquire()
            return self._claim(study, study.ask(dict(self._distributions())), lock)

    def trials(self) -> list[FrozenTrial]:
        """Every trial so far, in order."""
        return self._open().get_trials(deepcopy=False)

    def unfinished(self) -> int:
        """How many of the search's trials have not ended."""
        ended = sum(trial.state.is_finished() for trial in self.trials())
        return self.search.trials - ended

    def _claim(self, study: Study, trial: optuna.Trial, lock: FileLock) -> Claim:
        params = {name: trial.params[name] for name in self._distributions()}
        return Claim(number=trial.number, params=params, _trial=trial, _study=study, _lock=lock)

    def _lock(self, number: int) -> FileLock:
        path = self.lock_of(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path)

    def _open(self) -> Study:
        """The Optuna study as it stands now."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = _storage(self.folder / "journal.log")
        count = _count(storage, self.name)
        return optuna.create_study(
            storage=storage,
            study_name=self.name,
            direction="maximize",
            sampler=self._sampler(count),
            pruner=self._pruner(),
            load_if_exists=True,
        )

    def _sampler(self, count: int) -> BaseSampler:
        """The sampler of the next trial, its draws fixed by the seed and by how many trials there are."""
        if self.search.kind == "grid":
            return Grid({name: list(values) for name, values in self.search.grid.items()}, seed=self.seed)
        return TPESampler(seed=self.seed * 100_003 + count, n_startup_trials=TPE_STARTUP, constant_liar=True)

    def _pruner(self) -> BasePruner:
        if self.search.prune_below is None:
            return NopPruner()
        return ThresholdPruner(lower=self.search.prune_below, n_warmup_steps=self.search.prune_from)

    def _distributions(self) -> Mapping[str, BaseDistribution]:
        if self.search.kind == "grid":
            return {name: CategoricalDistribution(values) for name, values in self.search.grid.items()}
        return TPE_SPACE


class Grid(GridSampler):
    """Optuna's grid for trials claimed one at a time; Optuna's own ends its `optimize` loop, which is not running."""

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Do nothing: `Tuner.claim` counts the points itself."""


class JournalLock(JournalFileOpenLock):
    """The journal's lock, held by the operating system: a process that is killed leaves none behind."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._held = FileLock(path.with_suffix(".lock"))

    def acquire(self) -> bool:
        """Wait for the lock."""
        return self._held.acquire()

    def release(self) -> None:
        """Release it."""
        self._held.release()


def _storage(path: Path) -> JournalStorage:
    """The journal, cut back to its last whole line if a power failure damaged the last one."""
    if path.exists():
        with FileLock(path.with_suffix(".lock")):
            content = path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole != len(content):
                os.truncate(path, whole)
    return JournalStorage(JournalFileBackend(str(path), lock_obj=JournalLock(path)))


def _count(storage: JournalStorage, name: str) -> int:
    """Trials of a study that may not exist yet."""
    for study in storage.get_all_studies():
        if study.study_name == name:
            return storage.get_n_trials(study._study_id)
    return 0
