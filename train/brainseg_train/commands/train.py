"""What each sub-command of `brainseg-train` does once its options are read: works, tells, returns the exit code."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from brainseg_runtime.errors import BrainsegError, DataError, UsageError
from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.terminal.console import Console
from brainseg_runtime.terminal.interrupts import interruptible
from brainseg_runtime.terminal.start import DONE, FAULT, INTERRUPTED, USAGE
from brainseg_runtime.version import __version__
from brainseg_train.commands.results import tell_differences, tell_layout, tell_leaderboard, tell_runs, tell_start
from brainseg_train.errors import ConfigError
from brainseg_train.system_faults import as_fault, require_writable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from brainseg_runtime.terminal.console import Advance
    from brainseg_train.data.dataset import DataSet
    from brainseg_train.data.persons import PersonRule
    from brainseg_train.data.source import DataSource
    from brainseg_train.data.split_file import SplitFile
    from brainseg_train.tuning.plan import Plan
    from brainseg_train.tuning.study import Study

DEFAULT_DATA: Final = Path("data/kaggle_3m")
"""Where the real set is looked for."""

PHANTOM: Final = "phantom"
"""The word that stands for generated patients."""

PHANTOM_PATIENTS: Final = 40
"""Six of them validate and six test; with thirty, four of each, one odd patient decides the order."""

PresetName = Literal["paper", "quick", "shipped"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """On what, and where results go; see the options of `all`."""

    data: str | None
    runs: Path
    preset: PresetName | None
    resume: bool
    cache: Path | None
    tensorboard: bool = False
    stated: tuple[str | None, str | None, str | None, str | None] = (None, None, None, None)
    """What options say about where the data comes from: name, licence, address, citation."""

    def source(self, root: Path) -> DataSource:
        """What options and the data set's own `dataset.json` state; options come first.

        Raises:
            ConfigError: A statement cannot be taken.
        """
        from brainseg_train.data.source import DataSource, stated_beside

        name, licence, url, citation = self.stated
        return DataSource(name=name, licence=licence, url=url, citation=citation).over(stated_beside(root))


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How to split and how to compute; None leaves it to the preset or the machine."""

    seed: int
    split_by: Literal["patient", "slice"]
    folds: int | None
    split_file: Path | None
    person_from: str | None
    epochs: int | None
    width: int | None
    device: str
    workers: int | None
    threads: int | None

    def changes(self) -> dict[str, object]:
        """Fields of a run's configuration that were set by hand."""
        device = None if self.device == "auto" else self.device
        given = {"epochs": self.epochs, "width": self.width, "device": device}
        return {name: value for name, value in given.items() if value is not None}

    def rule(self) -> PersonRule:
        """Whose a patient's folder is.

        Raises:
            ConfigError: `--person-from` cannot be read.
        """
        from brainseg_train.data.persons import PersonRule

        return PersonRule.read(self.person_from)

    def given_split(self) -> SplitFile | None:
        """The split that the user gives, if any.

        Raises:
            SplitError: The file cannot be read.
        """
        from brainseg_train.data.split_file import SplitFile

        return None if self.split_file is None else SplitFile.read(self.split_file)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuning:
    """What `all` tries."""

    search: Literal["grid", "tpe"]
    trials: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """What `fit` trains with; None leaves it to the preset."""

    rate: str | None
    batch: int | None
    initial: Path | None
    config: Path | None
    test: bool

    def from_file(self, model: str, seed: int) -> dict[str, object]:
        """Fields of the run's configuration that the file of `--config` sets.

        Raises:
            ConfigError: The file is missing or no configuration, or is of another network or seed than asked for.
        """
        from brainseg_train.config import read_changes

        changes = {} if self.config is None else read_changes(self.config)
        for name, wanted in (("model", model), ("seed", seed)):
            if (found := changes.pop(name, wanted)) != wanted:
                raise ConfigError(
                    f"{self.config} is of another {name}", expected=repr(wanted), got=repr(found),
                    remedy=f"ask for {found}, or take {name} out of the file",
                )  # fmt: skip
        return changes

    def changes(self) -> dict[str, object]:
        """Fields of the run's configuration that were set by hand.

        Raises:
            ConfigError: The rate cannot be read, or there is no run to start from.
        """
        from brainseg_train.tuning.search import read_learning_rate

        changes: dict[str, object] = {} if self.rate is None else read_learning_rate(self.rate.replace(":", " to "))
        if self.batch is not None:
            changes["batch"] = self.batch
        if self.initial is not None:
            if not self.initial.with_suffix(".json").is_file() and not (self.initial / "best.json").is_file():
                raise ConfigError(
                    "there is no run to start from",
                    expected="--initial with a run's folder, which holds best.json and best.safetensors",
                    got=str(self.initial),
                )
            changes["initial"] = str(self.initial)
        return changes


def run(
    json_target: str | None,
    work: Callable[[Console], int],
    *,
    quiet: bool = False,
    resumable: bool = False,
    about: Mapping[str, object] | None = None,
) -> int:
    """Do a command's work, and turn faults and interrupts into messages and exit codes.

    Args:
        json_target: What `--json` was given, if it was.
        work: The command.
        quiet: Whether only warnings and faults are told.
        resumable: Whether the command can go on after an interrupt.
        about: What the JSON of a faulty data set holds besides the fault.

    Returns:
        0 done, 1 a fault in the input or the result, 2 options that do not go together, 130 interrupted.
    """
    console = Console(json_target, quiet=quiet)
    try:
        with interruptible():
            return work(console)
    except BrainsegError as error:
        console.fault(error)
        console.record_problems(error, about)
        return USAGE if isinstance(error, UsageError) else FAULT
    except (OSError, MemoryError, RuntimeError) as error:
        if (fault := as_fault(error)) is None:
            raise
        console.fault(fault)
        return FAULT
    except KeyboardInterrupt:
        kept = "; everything is kept, the same command with --resume goes on" if resumable else ""
        console.note(f"interrupted{kept}")
        return INTERRUPTED


def compare(console: Console, work: Work, settings: Settings, models: tuple[str, ...], tuning: Tuning) -> int:
    """Train, tune, choose, look once, rank; see `brainseg-train all --help`."""
    from brainseg_train.tuning import torchrun
    from brainseg_train.tuning.plan import Plan

    if torchrun.launched():
        if not torchrun.leads():
            return USAGE  # the process of rank 0 speaks
        raise UsageError(
            "the networks are not compared under torchrun",
            expected="brainseg-train all by itself, which trains trials side by side (--workers), or torchrun with fit",
            got="all, started by torchrun",
            remedy="leave torchrun out; other machines that see the folder of runs can join with --resume",
        )
    with _usage():
        asked = Plan(
            kind="all",
            models=models,
            preset=work.preset or "paper",
            changes=settings.changes(),
            search=tuning.search,
            trials=tuning.trials,
            seed=settings.seed,
            split_by=settings.split_by,
            folds=settings.folds,
            rule=settings.rule(),
            split_file=settings.given_split(),
            workers=settings.workers,
            threads=settings.threads,
            tensorboard=work.tensorboard,
        )
    _check_json(console, work)
    root, plan = _settle(asked, work, console)
    tell_leaderboard(_carry_out(plan, root, work, console), console)
    return DONE


def fit(console: Console, work: Work, settings: Settings, model: str, training: Training) -> int:
    """Train one network; see `brainseg-train fit --help`."""
    from brainseg_train.tuning import torchrun
    from brainseg_train.tuning.plan import Plan

    with _usage():
        asked = Plan(
            kind="fit",
            models=(model,),
            preset=work.preset or "paper",
            changes=training.from_file(model, settings.seed) | settings.changes() | training.changes(),
            search=None,
            seed=settings.seed,
            split_by=settings.split_by,
            folds=settings.folds,
            rule=settings.rule(),
            split_file=settings.given_split(),
            test=training.test,
            workers=settings.workers,
            threads=settings.threads,
            tensorboard=work.tensorboard,
        )
    _check_json(console, work)
    root, plan = _settle(asked, work, console)
    if torchrun.launched():
        return _fit_together(plan, root, work, console)
    tell_runs(_carry_out(plan, root, work, console), console)
    return DONE


def check(console: Console, data: Path, person_from: str | None) -> int:
    """Tell what a data set holds; see `brainseg-train check --help`."""
    from brainseg_train.data.check import check as check_data
    from brainseg_train.data.persons import PersonRule

    check_outputs({"--json": console.json_target}, folders=[data])
    with _usage():
        rule = PersonRule.read(person_from)
    with _slices_read(console) as on_slice:
        found = check_data(data, rule=rule, on_slice=on_slice)
    console.say(found.to_text())
    console.emit(found.to_json())
    return DONE


def phantom(console: Console, out: Path, patients: int, seed: int) -> int:
    """Generate patients; see `brainseg-train phantom --help`."""
    check_outputs({"--json": console.json_target}, folders=[out])
    _write_phantom(console, out, patients, seed)
    console.say(f"{out}: {counted(patients, 'generated patient')}")
    console.emit({"data": str(out), "patients": patients, "seed": seed})
    return DONE


def report(console: Console, runs: Path, study_id: str | None) -> int:
    """Make leaderboard and report again; see `brainseg-train report --help`."""
    from brainseg_train.tuning.study import newest_complete

    _check_in_runs(console, runs)
    tell_leaderboard(newest_complete(runs, study_id), console)
    return DONE


def _check_json(console: Console, work: Work) -> None:
    """Refuses to write JSON over the data set, a record or a result of another kind."""
    data = DEFAULT_DATA if work.data is None else Path(work.data)
    _check_in_runs(console, work.runs, *([data] if work.data != PHANTOM and data.is_dir() else []))


def _check_in_runs(console: Console, runs: Path, *inputs: Path) -> None:
    """Refuses to write JSON into a run, a study or an input, or over the other results of a comparison."""
    results = {name: runs / name for name in ("leaderboard.md", "report.html")}
    inside = [path for path in (*runs.glob("*/"), *inputs) if path.is_dir()]
    check_outputs({"--json": console.json_target, **results}, folders=inside)


@contextlib.contextmanager
def _usage() -> Iterator[None]:
    """What cannot be asked for is wrong usage in here, where it comes from the command line."""
    try:
        yield
    except ConfigError as error:
        raise UsageError(error.what, expected=error.expected, got=error.got, remedy=error.remedy) from error


def _settle(asked: Plan, work: Work, console: Console) -> tuple[Path, Plan]:
    """The data's folder, and the plan with the preset that suits the data.

    Whatever no data could make possible is refused first, before patients are generated or read.
    """
    from brainseg_train.learning.device import place
    from brainseg_train.runs.events import require_writer

    with _usage():
        configs = [asked.config(name) for name in asked.models]
    place(configs[0])
    if asked.tensorboard:
        require_writer()
    require_writable(work.runs, option="--runs")
    root, preset = _find(work, console)
    return root, dataclasses.replace(asked, preset=preset)


def _find(work: Work, console: Console) -> tuple[Path, PresetName]:
    """The data's folder, generated where need be, and the preset that suits it."""
    from brainseg_train.phantom.patients import MARK

    if work.data is not None and work.data != PHANTOM:
        root = Path(work.data)
        if not root.is_dir():
            raise DataError(f"{root} is not there", expected="a folder of patient folders", got="none")
    elif work.data is None and DEFAULT_DATA.is_dir():
        root = DEFAULT_DATA
    else:
        if work.data is None:
            console.note(
                f"{DEFAULT_DATA} is not there: generated patients (the phantom) stand in for it. Name a folder of "
                "patients with --data."
            )
        root = _phantom_folder(work, console)
    return root, work.preset or ("quick" if (root / MARK).is_file() else "paper")


def _phantom_folder(work: Work, console: Console) -> Path:
    """The phantom in the cache folder, generated the first time."""
    from brainseg_train.data.dataset import default_cache_folder

    folder = (work.cache or default_cache_folder()) / f"phantom-{__version__}-{PHANTOM_PATIENTS}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        _write_phantom(console, folder, PHANTOM_PATIENTS, 0)
    return folder


def _write_phantom(console: Console, out: Path, patients: int, seed: int) -> None:
    """Generate patients with progress."""
    from brainseg_train.phantom.patients import write_phantom

    with console.progress("patients generated", patients) as advance:
        write_phantom(out, patients=patients, seed=seed, on_patient=lambda _done, _all: advance())


def _carry_out(plan: Plan, root: Path, work: Work, console: Console) -> Study:
    """Open the data, find or begin the study, and do what it has left to do."""
    from brainseg_train.comparison import conduct
    from brainseg_train.tuning.plan import differences, layout, oddities, open_study
    from brainseg_train.tuning.progress import display

    source = work.source(root)
    console.note(f"{root}: reading every slice; the first time they are resized into the cache")
    with _slices_read(console) as on_slice:
        dataset = _open(root, work, on_slice)
    study, origin = open_study(plan, dataset, work.runs, resume=work.resume, source=source)
    tell_start(study, origin, dataset, console)
    if work.resume and origin == "new" and (other := differences(study, dataset)):
        tell_differences(*other, console)
    for sentence in oddities(study, dataset) if origin != "complete" else ():
        console.note(f"warning: {sentence}")
    if origin == "complete":
        return study
    workers, _ = layout(dataclasses.replace(plan, threads=study.record.threads), study.request)
    tell_layout(study, plan.threads, workers, console)
    with display(conduct.epochs_left(study), quiet=console.quiet) as shown:
        return conduct.carry_out(study, dataset, workers=workers, cache=work.cache, display=shown)


def _fit_together(plan: Plan, root: Path, work: Work, console: Console) -> int:
    """Train under torchrun; the process of rank 0 alone speaks."""
    from brainseg_train.comparison.conduct import finish
    from brainseg_train.tuning import torchrun
    from brainseg_train.tuning.progress import display

    def open_data() -> DataSet:
        return _open(root, work)

    if not torchrun.leads():
        torchrun.fit_together(plan, open_data, work.runs, resume=work.resume, emit=lambda _event: None, finish=finish)
        return DONE
    with display(plan.config(plan.models[0]).epochs, quiet=console.quiet) as shown:
        study = torchrun.fit_together(
            plan,
            open_data,
            work.runs,
            resume=work.resume,
            emit=shown.show,
            finish=finish,
            source=work.source(root),
        )
    if study is not None:
        tell_runs(study, console)
    return DONE


def _open(root: Path, work: Work, on_slice: Callable[[int, int], None] | None = None) -> DataSet:
    """The data set, resized into the cache if need be."""
    from brainseg_train.data.dataset import load_dataset

    return load_dataset(root, cache=work.cache, on_slice=on_slice)


@contextlib.contextmanager
def _slices_read(console: Console) -> Iterator[Callable[[int, int], None]]:
    """A function to tell how many slices of how many are read; the progress display begins with the first."""
    with contextlib.ExitStack() as shown:
        advance: Advance | None = None

        def on_slice(_done: int, total: int) -> None:
            nonlocal advance
            if advance is None:
                advance = shown.enter_context(console.progress("slices read", total))
            advance()

        yield on_slice
