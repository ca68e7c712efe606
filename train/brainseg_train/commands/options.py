"""Options of `brainseg-train`: those that several commands take, and all that `all` and `fit` share.

PyTorch is imported inside functions, here and in the commands, so that `--help` and usage errors answer at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from brainseg_train.data.persons import PersonRule
from brainseg_train.data.source import DataSource
from brainseg_train.data.split_file import SplitFile

if TYPE_CHECKING:
    from brainseg_train.tuning.plan import Plan
    from brainseg_train.tuning.study_record import Kind

PersonOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX|FILE.csv",
        help="Which person a patient's folder belongs to, so that no person is in two subsets: a regular expression "
        "with one group, such as '(sub-[0-9]+)', or a CSV of patient and person; default: TCGA_CS_4941 of "
        "TCGA_CS_4941_19960909.",
    ),
]


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyOptions:
    """What a study is about and how it computes; None leaves a choice to the preset or the machine."""

    data: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|phantom",
            help="Folder of patient folders, or the word phantom for generated patients; default: data/kaggle_3m if it "
            "exists, else phantom.",
        ),
    ] = None
    runs: Annotated[Path, typer.Option(metavar="DIR", help="Folder for runs and results.")] = Path("runs")
    preset: Annotated[
        Literal["paper", "quick", "shipped"] | None,
        typer.Option(
            help="paper: full width, 40 epochs, six configurations, nothing pruned. quick: minutes on two cores. "
            "shipped: the recipe of the bundles in models/, 110 epochs. Default: paper on patients, quick on the "
            "phantom.",
        ),
    ] = None
    epochs: Annotated[int | None, typer.Option(min=1, help="Most epochs of a run; default: the preset's.")] = None
    seed: Annotated[int, typer.Option(min=0, help="Fixes the split, the search and every run.")] = 0
    split_by: Annotated[
        Literal["patient", "slice"],
        typer.Option(
            help="slice is the leaky split of much published code; for comparison only, and labelled everywhere."
        ),
    ] = "patient"
    folds: Annotated[int | None, typer.Option(min=3, metavar="K", help="Cross-validate over K folds of patients.")] = (
        None
    )
    split_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A split of your own: JSON with train, validation and test, a CSV of patient and subset, or one of "
            "RUNS/splits.",
        ),
    ] = None
    person_from: PersonOption = None
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue the newest unfinished study with the same arguments; if there is none, start one.",
        ),
    ] = False
    width: Annotated[
        int | None, typer.Option(min=1, help="Channels at half the input's resolution; default: the preset's.")
    ] = None
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto"
    workers: Annotated[
        int | None, typer.Option(min=1, help="Runs at once, a process each; default: one a core, or one on a GPU.")
    ] = None
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads of each process; default: OMP_NUM_THREADS, else the cores shared."),
    ] = None
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for resized slices; default: the user's cache folder.")
    ] = None
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", help="Keep a TensorBoard event file in each run's folder; needs the extra tensorboard."
        ),
    ] = False
    data_name: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The data set's name; default: what its dataset.json states.")
    ] = None
    data_licence: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Its licence, an SPDX identifier or a short name; default: likewise."),
    ] = None
    data_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where to read about it or get it; default: likewise.")
    ] = None
    data_citation: Annotated[str | None, typer.Option(metavar="TEXT", help="What to cite; default: likewise.")] = None

    def plan(self, kind: Kind, models: tuple[str, ...]) -> Plan:
        """The request, before the data is read.

        Raises:
            ConfigError: Options contradict each other, or `--person-from` cannot be read.
            SplitError: `--split-file` cannot be read.
        """
        from brainseg_train.tuning.plan import Plan

        device = None if self.device == "auto" else self.device
        changes = {"epochs": self.epochs, "width": self.width, "device": device}
        return Plan(
            kind=kind,
            models=models,
            preset=self.preset or "paper",
            changes={name: value for name, value in changes.items() if value is not None},
            seed=self.seed,
            split_by=self.split_by,
            folds=self.folds,
            rule=PersonRule.read(self.person_from),
            split_file=None if self.split_file is None else SplitFile.read(self.split_file),
            workers=self.workers,
            threads=self.threads,
            tensorboard=self.tensorboard,
        )

    def stated(self) -> DataSource:
        """What the options state about where the data comes from.

        Raises:
            ConfigError: A statement is not allowed.
        """
        return DataSource(
            name=self.data_name, licence=self.data_licence, url=self.data_url, citation=self.data_citation
        )
