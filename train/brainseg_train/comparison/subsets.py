"""How many patients and slices each subset of a study has, by site: the page's tables of the data."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

from brainseg_runtime.images.dataset import site_of
from brainseg_train.data.split import SUBSETS
from brainseg_train.runs import records

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from brainseg_runtime.evaluation.result import Evaluation
    from brainseg_train.data.split import Split, Subset
    from brainseg_train.tuning.study import Study

    Table: TypeAlias = tuple[list[str], list[list[object]], str, int | None]


def subset_tables(current: Study, board: Mapping[str, Any], measured: Evaluation) -> list[Table]:
    """Patients and slices by subset and site; over folds a table of the sites and one of the folds.

    Args:
        current: The study; its splits say who is in which subset.
        board: Its leaderboard; the chosen runs' records count the slices.
        measured: Any network's evaluation, for what was tested.

    Returns:
        Headers, rows, caption and the row to set off, of each table.

    Raises:
        SplitError: A split's file is missing or was changed.
        RecordError: A run's record is missing or damaged.
    """
    runs = [records.load_record(current.runs / run) for run in board["rows"][0]["timing"]["runs"]]
    splits = [current.split(fold) for fold in range(len(current.request.splits))]
    slices = [{"test": measured.n_slices, **run.slices} for run in runs]
    if len(splits) == 1:
        return [_by_site(splits[0], slices[0])]
    return [_tested(measured), _by_fold(splits, slices, measured)]


def _by_site(split: Split, slices: Mapping[str, int]) -> Table:
    """Patients of each site in each subset, then all patients, then all slices."""
    patients = {part: _patients(split, part) for part in SUBSETS}
    sites = {part: Counter(map(site_of, names)) for part, names in patients.items()}
    everyone = set().union(*patients.values())
    rows: list[list[object]] = [
        [site or "not in the name", *(sites[part][site] for part in SUBSETS), total]
        for site, total in sorted(Counter(map(site_of, everyone)).items())
    ]
    rows.append(["all patients", *(len(patients[part]) for part in SUBSETS), len(everyone)])
    rows.append(["slices", *(slices[part] for part in SUBSETS), sum(slices[part] for part in SUBSETS)])
    caption = "Patients by site and subset"
    if split.leaky:
        caption += "; a patient whose slices lie in several subsets counts in each"
    return ["site", *SUBSETS, "all"], rows, caption, len(rows) - 2


def _tested(measured: Evaluation) -> Table:
    """What cross-validation measured, by site: every patient once."""
    rows: list[list[object]] = [[site.site, site.n_patients, site.n_slices] for site in measured.sites]
    rows.append(["all", measured.n_patients, measured.n_slices])
    caption = "Patients and slices by site; each is tested once, by the fold that did not train on it"
    return ["site", "patients", "slices"], rows, caption, len(rows) - 1


def _by_fold(splits: Iterable[Split], slices: Iterable[Mapping[str, int]], measured: Evaluation) -> Table:
    """Patients and slices of each subset in each fold."""
    slices_of = {patient.id: patient.n_slices for patient in measured.patients}
    rows: list[list[object]] = []
    for number, (split, counts) in enumerate(zip(splits, slices, strict=True), start=1):
        tested = sum(slices_of.get(name, 0) for name in _patients(split, "test"))
        by_part = {**counts, "test": tested}
        rows.append([number, *(f"{len(_patients(split, part))} / {by_part[part]:,}" for part in SUBSETS)])
    return ["fold", *SUBSETS], rows, "Patients / slices by fold and subset", None


def _patients(split: Split, part: Subset) -> set[str]:
    """The patients of a subset, whichever way the set was split."""
    names = split.subset(part)
    return {name.rpartition("_")[0] for name in names} if split.leaky else set(names)
