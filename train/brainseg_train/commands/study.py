"""The part shared by `all` and `fit`: refuse impossible requests before the data is read, then carry out the study."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from brainseg_runtime.errors import UsageError
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.safe_io.system_faults import require_writable
from brainseg_train.commands.patients import DEFAULT_DATA, PHANTOM, find_patients, slices_read
from brainseg_train.commands.results import tell_differences, tell_layout, tell_start
from brainseg_train.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brainseg_runtime.terminal.console import Console
    from brainseg_train.commands.options import StudyOptions
    from brainseg_train.data.source import DataSource
    from brainseg_train.tuning.plan import Plan
    from brainseg_train.tuning.study import Study

KEPT = "interrupted; everything is kept, continue by adding --resume to the same command"
"""What is said when a study is interrupted."""


@contextlib.contextmanager
def as_usage() -> Iterator[None]:
    """Turns a `ConfigError` into wrong usage while the command line is being read.

    Raises:
        UsageError: In place of the `ConfigError`.
    """
    try:
        yield
    except ConfigError as error:
        raise UsageError(error.what, expected=error.expected, got=error.got, remedy=error.remedy) from error


def ready(console: Console, options: StudyOptions, asked: Plan) -> tuple[Path, Plan]:
    """The folder of patients, and the plan with the preset that suits them.

    Whatever no data could make possible is refused first, before patients are generated or read.

    Raises:
        UsageError: The options do not go together.
        BrainsegError: The device, the folder of runs or the data is not available.
    """
    from brainseg_train.learning.device import place
    from brainseg_train.phantom.patients import MARK
    from brainseg_train.runs.events import require_writer

    data = DEFAULT_DATA if options.data is None else Path(options.data)
    refuse_json_in_runs(console, options.runs, *([data] if options.data != PHANTOM and data.is_dir() else []))
    with as_usage():
        configs = [asked.config(name) for name in asked.models]
    place(configs[0])
    if asked.tensorboard:
        require_writer()
    require_writable(options.runs, option="--runs")
    root = find_patients(console, options.data, options.cache)
    suited = options.preset or ("quick" if (root / MARK).is_file() else "paper")
    return root, dataclasses.replace(asked, preset=suited)


def source_of(options: StudyOptions, root: Path) -> DataSource:
    """What options and the data set's own `dataset.json` state about its origin; options come first.

    Raises:
        ConfigError: A statement is not allowed.
    """
    from brainseg_train.data.source import stated_beside

    return options.stated().over(stated_beside(root))


def carry_out(console: Console, options: StudyOptions, plan: Plan, root: Path) -> Study:
    """Opens the data, finds or starts the study, and completes it.

    Raises:
        BrainsegError: The data is faulty, the plan does not fit it, or a record is damaged.
    """
    from brainseg_train.comparison import conduct
    from brainseg_train.data.dataset import load_dataset
    from brainseg_train.tuning.plan import differences, layout, oddities, open_study
    from brainseg_train.tuning.progress import display

    source = source_of(options, root)
    console.note(f"{root}: reading every slice; the first time they are resized into the cache")
    with slices_read(console) as on_slice:
        dataset = load_dataset(root, cache=options.cache, on_slice=on_slice)
    study, origin = open_study(plan, dataset, options.runs, resume=options.resume, source=source)
    tell_start(study, origin, dataset, console)
    if options.resume and origin == "new" and (other := differences(study, dataset)):
        tell_differences(*other, console)
    if origin == "complete":
        return study
    for sentence in oddities(study, dataset):
        console.note(f"warning: {sentence}")
    workers, _ = layout(dataclasses.replace(plan, threads=study.record.threads), study.request)
    tell_layout(study, plan.threads, workers, console)
    with display(conduct.epochs_left(study), quiet=console.quiet) as shown:
        return conduct.carry_out(study, dataset, workers=workers, cache=options.cache, display=shown)


def refuse_json_in_runs(console: Console, runs: Path, *inputs: Path) -> None:
    """Refuses to write `--json` into a run, a study or an input, or over the other results of a comparison.

    Raises:
        InputError: It would be.
    """
    if console.json_target is not None:
        results = {f"{name} of --runs": runs / name for name in ("leaderboard.md", "report.html")}
        inside = [path for path in (*runs.glob("*/"), *inputs) if path.is_dir()]
        check_outputs({**results, "--json": console.json_target}, folders=inside)
