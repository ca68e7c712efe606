"""Which configurations are tried: the grid or a wider space, as Optuna studies in one journal that processes share.

A trial belongs to whoever holds the lock of its run; a process that dies lets go of it, and the next one takes the same
trial on where it stopped. A trial is hopeless, and is pruned, when a third of the way in it still does worse on the
validation part than one threshold on FLAIR: that depends on the trial alone, never on which other trials happened to
run beside it, so that the same study always prunes the same trials.

Source: Akiba et al., Optuna, 2019; Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011 (TPE).
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.pruners import BasePruner, NopPruner, ThresholdPruner
from optuna.samplers import BaseSampler, GridSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from brainseg_train.config import LossConfig, TrainConfig
from brainseg_train.errors import ConfigError
from brainseg_train.tuning.file_lock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from optuna.study import Study

Value: TypeAlias = "str | int | float"
Params: TypeAlias = "dict[str, Value]"
SearchKind = Literal["grid", "tpe"]
Outcome = Literal["complete", "pruned", "failed"]

PAPER_GRID: Mapping[str, tuple[Value, ...]] = {"rate": ("3e-4", "1e-6", "3e-4 to 1e-6"), "batch": (16, 32)}
"""The six configurations: constant 3e-4, constant 1e-6, a cosine from one to the other; each at two batch sizes."""

QUICK_GRID: Mapping[str, tuple[Value, ...]] = {"rate": ("2e-3 to 1e-5",), "batch": (16,)}
"""One configuration that gets somewhere in a dozen epochs, which 3e-4 does not."""

TPE_SPACE: Mapping[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-4, 5e-3, log=True),
    "schedule": CategoricalDistribution(("constant", "cosine")),
    "batch": CategoricalDistribution((8, 16, 32)),
    "width": CategoricalDistribution((0.5, 0.75, 1.0)),
    "augmentation": FloatDistribution(0.0, 1.5),
    "dice_share": FloatDistribution(0.1, 0.9),
}
"""The wider space; `width` is a share of the preset's, `augmentation` a strength, `dice_share` soft Dice's part."""

TPE_STARTUP = 6
"""Trials drawn at random before the estimator has anything to estimate from."""

_STATES: Mapping[Outcome, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """What is tried for each network.

    Attributes:
        kind: A grid, every point once, or TPE over `TPE_SPACE`.
        trials: Trials for each network; a grid's points where it is one.
        grid: Parameter names to values; empty for TPE.
        prune_below: Validation Dice in [0, 1] under which a trial is hopeless; None never prunes.
        prune_from: First epoch at which a trial may be hopeless.
    """

    kind: SearchKind = "grid"
    trials: int = 6
    grid: dict[str, tuple[Any, ...]] = field(default_factory=lambda: dict(PAPER_GRID))
    prune_below: float | None = None
    prune_from: int = 1

    def __post_init__(self) -> None:
        """Refuse a search that tries nothing."""
        if self.trials < 1:
            raise ConfigError("a search tries nothing", expected="--trials of at least 1", got=str(self.trials))


def grid_search(grid: Mapping[str, Sequence[Value]]) -> Search:
    """A search of every point of a grid."""
    points = 1
    for values in grid.values():
        points *= len(values)
    return Search(kind="grid", trials=points, grid={name: tuple(values) for name, values in grid.items()})


def configure(base: TrainConfig, params: Mapping[str, Value]) -> TrainConfig:
    """A trial's configuration: the preset's, with the trial's parameters in place.

    Args:
        base: What stays the same.
        params: Values of the grid or of `TPE_SPACE`; see there.

    Raises:
        ConfigError: A parameter is unknown or its value not allowed.
    """
    changes: dict[str, Any] = {}
    for name, value in params.items():
        if name not in _SETTERS:
            raise ConfigError("a trial has an unknown parameter", expected=f"one of {', '.join(_SETTERS)}", got=name)
        changes |= _SETTERS[name](base, value)
    return dataclasses.replace(base, **changes)


def read_rate(value: Value) -> dict[str, Any]:
    """The configuration's fields that a rate in words sets.

    Args:
        value: A number leaves the schedule as it is; `3e-4` is constant; `3e-4 to 1e-6` is a cosine from one to the
            other.

    Raises:
        ConfigError: It cannot be read.
    """
    if not isinstance(value, str):
        return {"rate": float(value)}
    try:
        rates = [float(part) for part in value.split(" to ")]
    except ValueError:
        rates = []
    if len(rates) == 1:
        return {"schedule": "constant", "rate": rates[0]}
    if len(rates) == 2:
        return {"schedule": "cosine", "rate": rates[0], "final_rate": rates[1]}
    raise ConfigError("a rate cannot be read", expected="3e-4, or 3e-4 to 1e-6", got=value)


def describe(params: Mapping[str, Value]) -> str:
    """A trial's parameters in words: `rate 3e-4 to 1e-6, batch 16`."""
    return ", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in params.items())


@dataclass(kw_only=True)
class Claim:
    """A trial that this process works on, and nobody else.

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
            Whether the trial is hopeless.
        """
        if epoch not in self._study.trials[self.number].intermediate_values:
            self._trial.report(dice, epoch)
        return self._trial.should_prune()

    def finish(self, outcome: Outcome, dice: float | None) -> None:
        """Record how the trial ended and let go of it.

        Args:
            outcome: How.
            dice: Best validation Dice in [0, 1], or None where there is none; ignored where the trial failed.
        """
        values = None if outcome == "failed" else dice
        if outcome == "pruned":
            values = None  # Optuna keeps a pruned trial's last reported value itself
        self._study.tell(self.number, values, state=_STATES[outcome])
        self._lock.release()

    def leave(self) -> None:
        """Let go of the trial unfinished, for whoever goes on with it."""
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
        """Take the next trial that nobody works on: one left unfinished, else a new one.

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
    """Optuna's grid for trials that are asked for one by one, where no loop of Optuna's runs that it could stop."""

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Nothing: `Tuner.claim` counts the points itself."""


class JournalLock(JournalFileOpenLock):
    """The journal's lock, by the operating system: a process that was killed leaves none behind."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._held = FileLock(path.with_suffix(".lock"))

    def acquire(self) -> bool:
        """Wait for the lock."""
        return self._held.acquire()

    def release(self) -> None:
        """Let it go."""
        self._held.release()


def _storage(path: Path) -> JournalStorage:
    """The journal, cut back to its last whole line if a power failure tore one."""
    lock = JournalLock(path)
    if path.exists():
        lock.acquire()
        try:
            content = path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole != len(content):
                os.truncate(path, whole)
        finally:
            lock.release()
    return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


def _count(storage: JournalStorage, name: str) -> int:
    """Trials of a study that may not exist yet."""
    for study in storage.get_all_studies():
        if study.study_name == name:
            return storage.get_n_trials(study._study_id)
    return 0


_SETTERS: Mapping[str, Callable[[TrainConfig, Any], dict[str, Any]]] = {
    "rate": lambda _, value: read_rate(value),
    "schedule": lambda _, value: {"schedule": value},
    "batch": lambda _, value: {"batch": int(value)},
    "width": lambda base, value: {"width": max(1, round(base.width * value))},
    "augmentation": lambda base, value: {"augment": base.augment.scaled(value)},
    "dice_share": lambda _, value: {"loss": LossConfig(bce=2 * (1 - value), dice=2 * value)},
}


def _short(value: Value) -> str:
    """A number with three digits, anything else as it is."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def best_of(values: Iterable[tuple[int, float | None]]) -> int | None:
    """The trial with the highest validation Dice, the first of equals; None where no trial has any.

    Args:
        values: Trial numbers with their Dice in [0, 1], None for a trial without.
    """
    scored = [(-dice, number) for number, dice in values if dice is not None]
    return min(scored)[1] if scored else None
