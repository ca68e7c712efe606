"""From a request to an open study: the plan, its request and splits, and the study, new or resumed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from brainseg_runtime.inference.processor import usable_cores
from brainseg_runtime.safe_io.typed_json import to_json
from brainseg_train import models
from brainseg_train.config import Preset, TrainConfig, preset
from brainseg_train.data.persons import PersonRule
from brainseg_train.data.split import Split, SplitBy
from brainseg_train.data.split_file import SplitFile
from brainseg_train.data.splitting import make_folds, make_split
from brainseg_train.errors import ConfigError, StudyError
from brainseg_train.learning.device import place
from brainseg_train.learning.threads import requested_threads
from brainseg_train.runs import events
from brainseg_train.runs.differences import changed_settings, changed_slices, save_slices
from brainseg_train.runs.preflight import foresee
from brainseg_train.tuning import study
from brainseg_train.tuning.baseline import threshold_dice
from brainseg_train.tuning.file_lock import FileLock
from brainseg_train.tuning.launch import remember_study, remembered_study, restarted_blindly
from brainseg_train.tuning.search import PAPER_GRID, QUICK_GRID, Search, SearchKind, grid_search
from brainseg_train.tuning.study import Study
from brainseg_train.tuning.study_record import Kind, StudyRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brainseg_train.data.dataset import DataSet
    from brainseg_train.data.source import DataSource

PRUNE_AFTER = 3
"""A trial may be pruned once one third of its epochs are over, and not before the third epoch."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The command line's request, before the data is read.

    Attributes:
        kind: `all` or `fit`.
        models: Networks.
        preset: Where configurations start from.
        changes: Fields of `TrainConfig` that are set by hand.
        search: Grid or TPE; None trains the one configuration that preset and changes give.
        trials: Trials for each network, for TPE.
        seed: Of the split, the search and every run.
        split_by: By patient, or by slice for the leaky comparison.
        folds: Number of folds of a cross-validation; None for one split.
        test: Whether a test subset is held out; False gives it to training.
        rule: Whose a patient's folder is.
        split_file: The split that the user gives; None makes one.
        workers: Processes at once; None for one a core, or one where there is a GPU.
        threads: Threads of each process; None for OMP_NUM_THREADS, else for one where there are several, else all.
        tensorboard: Whether each run keeps a TensorBoard event file.

    Examples:
        >>> plan = Plan(kind="fit", models=("unet",), preset="paper", changes={"epochs": 5}, search=None)
        >>> plan.config("unet").epochs
        5
    """

    kind: Kind
    models: tuple[str, ...]
    preset: Preset
    changes: Mapping[str, object]
    search: SearchKind | None = "grid"
    trials: int | None = None
    seed: int = 0
    split_by: SplitBy = "patient"
    folds: int | None = None
    test: bool = True
    rule: PersonRule = field(default_factory=PersonRule)
    split_file: SplitFile | None = None
    workers: int | None = None
    threads: int | None = None
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Refuse what no study can do."""
        unknown = [name for name in self.models if name not in models.NAMES]
        if unknown or not self.models:
            raise ConfigError(
                "no network has that name",
                expected=f"some of {', '.join(models.NAMES)}",
                got=", ".join(unknown) or "none",
            )
        if len(set(self.models)) < len(self.models):
            raise ConfigError("a network is listed twice", expected="each once", got=", ".join(self.models))
        self._require_one_split()
        if self.folds is not None and self.changes.get("initial") is not None:
            raise ConfigError(
                "the initial weights were trained on patients that the folds are measured on",
                expected="--initial without --folds", got="both",
            )  # fmt: skip
        if self.trials is not None and self.search != "tpe":
            raise ConfigError("a grid has a fixed number of trials", expected="--search tpe with --trials", got="grid")
        for name in ("workers", "threads", "trials"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"--{name} is too small", expected="at least 1", got=str(value))

    def _require_one_split(self) -> None:
        """Refuse options for the split that contradict each other."""
        if self.folds is not None and self.split_by == "slice":
            raise ConfigError(
                "folds are made by patient", expected="--split-by patient with --folds", got="--split-by slice"
            )
        if self.split_file is not None and (self.folds is not None or self.split_by == "slice"):
            raise ConfigError(
                "--split-file already defines the split",
                expected="--split-file without --folds and --split-by slice",
                got="both",
            )
        if self.rule.text is not None and self.split_by == "slice":
            raise ConfigError(
                "a split by slice does not keep persons together",
                expected="--person-from with --split-by patient",
                got="--split-by slice",
            )
        if not self.test and (self.kind == "all" or self.folds is not None or self.split_by == "slice"):
            raise ConfigError(
                "no patients would be left to measure on",
                expected="--no-test only for one split by patient",
                got="--no-test",
            )

    def config(self, model: str) -> TrainConfig:
        """What the search for one network starts from.

        Raises:
            ConfigError: The plan's changes are not allowed.
        """
        config = dataclasses.replace(preset(self.preset, model), seed=self.seed, **self.changes)  # type: ignore[arg-type]
        return config.require_schedule()


def make_request(plan: Plan, dataset: DataSet) -> tuple[StudyRequest, tuple[Split, ...]]:
    """The request of a plan for a data set, and its splits.

    Raises:
        ConfigError: The plan's values are not allowed.
        SplitError: The set cannot be split like that.
    """
    splits = _splits(plan, dataset)
    configs = {name: plan.config(name) for name in plan.models}
    baseline = round(threshold_dice(dataset, splits[0]), 6)
    request = StudyRequest(
        kind=plan.kind,
        models=plan.models,
        preset=plan.preset,
        seed=plan.seed,
        data_digest=dataset.digest,
        split_by=plan.split_by,
        splits=tuple(split.digest for split in splits),
        search=_search(plan, configs, baseline),
        baseline=baseline,
        configs=configs,
    )
    return request, splits


def open_study(
    plan: Plan, dataset: DataSet, runs: Path, *, resume: bool, source: DataSource | None = None
) -> tuple[Study, Literal["new", "resumed", "complete"]]:
    """The study to work on. Processes that torchrun started again go on with the study of their launch.

    Args:
        plan: What is asked for.
        dataset: The data.
        runs: The folder of runs.
        resume: Whether to go on with the newest unfinished study of the same request, or else to return the newest
            complete one.
        source: What is stated about where the data comes from, for a new study's record.

    Returns:
        The study, and whether it is new, resumed or already complete.

    Raises:
        BrainsegError: The plan does not fit the data, or a record is damaged.
    """
    request, splits = make_request(plan, dataset)
    if (name := remembered_study()) is not None:
        return _reopened(study.load(runs, name), request)
    runs.mkdir(parents=True, exist_ok=True)
    with FileLock(runs / ".open.lock"):  # of several that start at once, one begins and the others find it
        found, origin = _find_or_begin(
            plan, dataset, runs, request, splits, resume=resume or restarted_blindly(), source=source
        )
    remember_study(found.record.id)
    return found, origin


def _reopened(found: Study, request: StudyRequest) -> tuple[Study, Literal["resumed", "complete"]]:
    """The study that this launch of torchrun began or resumed before it started its processes again.

    Raises:
        StudyError: The data has changed meanwhile.
    """
    if found.request.digest != request.digest:
        told = changed_settings(*(cast("dict[str, Any]", to_json(one)) for one in (found.request, request)))
        raise StudyError(
            f"study {found.record.id}, which this launch works on, has another request now",
            expected="the arguments and data that it was started with",
            got="; ".join(told),
            remedy="restore the data and repeat the command with --resume, or start a new study",
        )
    return found, "complete" if found.record.status == "complete" else "resumed"


def _find_or_begin(
    plan: Plan,
    dataset: DataSet,
    runs: Path,
    request: StudyRequest,
    splits: tuple[Split, ...],
    *,
    resume: bool,
    source: DataSource | None,
) -> tuple[Study, Literal["new", "resumed", "complete"]]:
    """The study to resume, or a new one."""
    if resume:
        if (found := study.newest(runs, request=request, complete=False)) is not None:
            return _with_events(found) if plan.tensorboard else found, "resumed"
        if (found := study.newest(runs, request=request, complete=True)) is not None:
            return _with_events(found) if plan.tensorboard else found, "complete"
    for split in splits:
        for config in request.configs.values():
            foresee(dataset, split, config)
    _, threads = layout(plan, request)
    begun = study.begin(
        runs,
        request,
        splits,
        data=dataset.root,
        threads=threads,
        tensorboard=plan.tensorboard,
        source=source,
    )
    save_slices(runs, dataset)
    return begun, "new"


def oddities(current: Study, dataset: DataSet) -> tuple[str, ...]:
    """Warnings about a study that is about to train, each once."""
    told = [
        sentence
        for fold in range(len(current.request.splits))
        for config in current.request.configs.values()
        for sentence in foresee(dataset, current.split(fold), config)
    ]
    return tuple(dict.fromkeys(told))


def differences(current: Study, dataset: DataSet) -> tuple[str, tuple[str, ...]] | None:
    """The newest unfinished study of the same kind that was not resumed, and how its request differs.

    Returns:
        The other study's name, and each setting, split or slice that differs; None where there is no such study.
    """
    other = study.newest(current.runs, kind=current.request.kind, complete=False, besides=current.record.id)
    if other is None:
        return None
    old, new = (cast("dict[str, Any]", to_json(one.request)) for one in (other, current))
    told = []
    if old.pop("data_digest") != new.pop("data_digest"):
        told.append(f"the data set: {changed_slices(current.runs, other.request.data_digest, dataset)}")
        for consequence in ("splits", "baseline"):
            del old[consequence], new[consequence]
        old["search"].pop("prune_below", None), new["search"].pop("prune_below", None)
    return other.record.id, (*told, *changed_settings(old, new))


def _with_events(found: Study) -> Study:
    """An older study, with event files from now on; runs that have ended get theirs at once."""
    ended = [found.runs / run.id for unit in found.request.units for run in found.run_records(unit).values()]
    events.add_missing(ended)
    if found.record.tensorboard:
        return found
    changed = found.with_record(dataclasses.replace(found.record, tensorboard=True))
    changed.save()
    return changed


def layout(plan: Plan, request: StudyRequest) -> tuple[int, int]:
    """How many processes work at once and how many threads each has.

    By default a process a core with one thread each, but no more processes than trials; one process with all cores
    where the work is on a GPU. OMP_NUM_THREADS is the number of threads where the plan says none. The cores are those
    that affinity and control group leave.
    """
    cores = usable_cores()
    wanted = plan.threads or requested_threads()
    trials = request.search.trials * len(request.units)
    device = place(next(iter(request.configs.values()))).device.type
    most = 1 if device != "cpu" else max(1, cores // (wanted or 1))
    workers = plan.workers or min(trials, most)
    return workers, wanted or max(1, cores // workers)


def _splits(plan: Plan, dataset: DataSet) -> tuple[Split, ...]:
    """One split, or one a fold."""
    if plan.folds is not None:
        return make_folds(dataset, plan.folds, plan.seed, rule=plan.rule)
    if plan.split_file is not None:
        return (plan.split_file.for_dataset(dataset, rule=plan.rule, test=plan.test),)
    return (make_split(dataset, plan.seed, split_by=plan.split_by, test=plan.test, rule=plan.rule),)


def _search(plan: Plan, configs: Mapping[str, TrainConfig], baseline: float) -> Search:
    """The search of a plan, and when it prunes trials: never under the paper preset."""
    if plan.search is None or (plan.search == "grid" and plan.preset == "shipped"):
        return grid_search({"rate": (_rate_text(next(iter(configs.values()))),)})
    if plan.search == "tpe":
        search = Search(kind="tpe", trials=plan.trials or 12, grid={})
    else:
        search = grid_search(PAPER_GRID if plan.preset == "paper" else QUICK_GRID)
    if plan.preset == "paper":
        return search
    epochs = max(config.epochs for config in configs.values())
    prune_from = max(PRUNE_AFTER, -(-epochs // 3))
    if prune_from >= epochs:
        return search  # pruning would save nothing
    return dataclasses.replace(search, prune_below=baseline, prune_from=prune_from)


def _rate_text(config: TrainConfig) -> str:
    """The configuration's own learning rate as a grid's only point."""
    rate = f"{config.rate:g}"
    return f"{rate} to {config.final_rate:g}" if config.schedule == "cosine" else rate
