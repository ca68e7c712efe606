"""Which run's weights become a bundle, and why.

The choice rests on validation Dice alone, among the runs of one study: they share data and split, so their scores can
be compared. A run whose split is by slice is never taken: it was trained on its validation patients.

What a bundle says of its training comes from `best.json`, which holds the digest of the weights and its own, and from
the split, which has a digest too. `run.json` is for people: it says whether a run has ended and which study it belongs
to, and is refused if it contradicts `best.json`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from torch import nn

from brainseg_export.errors import SelectionError
from brainseg_train import checkpoint
from brainseg_train.checkpoint import WeightsInfo
from brainseg_train.config import TrainConfig
from brainseg_train.data.split import Split
from brainseg_train.runs import records
from brainseg_train.runs.records import RunRecord
from brainseg_train.tuning import study
from brainseg_train.tuning.study import Study

_DONE: Final = ("complete", "pruned", "interrupted")
"""States in which the best weights are final; a run in progress may still change them."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A run that is to be exported."""

    info: WeightsInfo
    """The facts stored with the weights."""
    recipe: TrainConfig
    """How training slices are drawn and augmented, for fine-tuning: `config` if there is one, else as in `run.json`."""
    folder: Path
    """The run's folder."""
    weights: Path
    """A run's folder, or a weights file."""
    split: Split
    reason: str
    """Why this run, in a sentence."""
    study: Study | None = None
    """The study that it belongs to, if known."""

    @property
    def run(self) -> str:
        """The run's name."""
        return self.info.run

    @property
    def model(self) -> str:
        """The network's name."""
        return self.info.model

    @property
    def validation_dice(self) -> float:
        """What the run reached during training."""
        return self.info.validation_dice

    @property
    def config(self) -> TrainConfig | None:
        """How it was trained; None for weights of older releases, which do not say."""
        return None if self.info.config is None else TrainConfig.from_json(self.info.config)


def best(runs: Path) -> Chosen:
    """The run with the highest validation Dice of the newest finished study of all networks.

    Raises:
        SelectionError: There is no such study, or its runs do not share one data set and one split.
        RecordError: A record is damaged.
    """
    found = _finalists(runs)
    first = max(found, key=lambda chosen: chosen.validation_dice)
    others = ", ".join(f"{other.model} {other.validation_dice:.4f}" for other in found if other is not first)
    return _with_reason(
        first, f"highest validation Dice of its study ({first.validation_dice:.4f}; {others or 'no other'})"
    )


def best_of_each(runs: Path) -> tuple[Chosen, ...]:
    """For each network the run with the highest validation Dice of the newest finished study of all networks.

    Raises:
        SelectionError: As `best`.
        RecordError: A record is damaged.
    """
    return tuple(
        _with_reason(
            chosen, f"highest validation Dice of the study's {chosen.model} runs ({chosen.validation_dice:.4f})"
        )
        for chosen in _finalists(runs)
    )


def by_id(runs: Path, run: str) -> Chosen:
    """A run chosen by name.

    Raises:
        SelectionError: There is no such run, it has no final weights yet, or its split is by slice.
        RecordError: A record is damaged.
    """
    folder = runs / run
    if Path(run).name != run or not (folder / records.RECORD).is_file():
        known = sorted(path.parent.name for path in runs.glob(f"*/{records.RECORD}"))
        raise SelectionError(f"{runs} holds no run {run}", expected=f"one of {', '.join(known) or 'none'}", got=run)
    return _chosen(runs, folder, folder, "chosen by name")


def by_checkpoint(path: Path) -> Chosen:
    """A run chosen by a weights file in its folder.

    Raises:
        SelectionError: There is no record of a run beside it, or its split is by slice.
        RecordError: A record is damaged.
    """
    if not (path.parent / records.RECORD).is_file():
        raise SelectionError(
            f"{path} cannot be exported",
            expected=f"{records.RECORD} beside it, which says what it was trained on",
            got="none",
            remedy="give the weights file inside its run's folder",
        )
    folder = path.resolve().parent
    return _chosen(folder.parent, folder, path, f"chosen by file, {path.name}")


def load(chosen: Chosen) -> tuple[nn.Module, WeightsInfo]:
    """The chosen network with its weights, in evaluation mode on the CPU.

    Raises:
        SelectionError: The weights are no longer those that were chosen.
        CheckpointError: They are missing or damaged, or do not fit the network.
    """
    network, info = checkpoint.load_network(chosen.weights)
    before, now = dataclasses.asdict(chosen.info), dataclasses.asdict(info)
    if wrong := [key for key in before if before[key] != now[key]]:
        raise SelectionError(
            f"{chosen.weights} changed since it was chosen: its {' and '.join(wrong).replace('_', ' ')} differ",
            expected=", ".join(str(before[key]) for key in wrong),
            got=", ".join(str(now[key]) for key in wrong),
            remedy="export again when the run is no longer being written",
        )
    return network, info


def _finalists(runs: Path) -> tuple[Chosen, ...]:
    """The selected runs of the newest finished study of all networks whose split is by patient."""
    found = _newest_study(runs)
    request = found.request
    if len(request.splits) != 1:
        raise SelectionError(
            f"study {found.record.id} is a cross-validation: its runs have different splits",
            expected="a study with one split",
            got=f"{len(request.splits)} splits",
            remedy="train with one split, or name a run with --run",
        )
    chosen = []
    for names in found.record.selected.values():
        item = _chosen(runs, runs / names[0], runs / names[0], "", found)
        if (item.info.data_digest, item.info.split_digest) != (request.data_digest, request.splits[0]):
            raise SelectionError(
                f"run {item.run} has another data set or split than its study",
                expected=f"{request.data_digest} and {request.splits[0]}",
                got=f"{item.info.data_digest} and {item.info.split_digest}",
            )
        chosen.append(item)
    return tuple(chosen)


def _newest_study(runs: Path) -> Study:
    """The newest study of all networks, by patient, that has finished."""
    passed = []
    for found in study.newest_first(runs):
        if found.request.kind != "all":
            continue
        if not found.request.leaky and found.record.status == "complete" and found.record.selected:
            return found
        passed.append(f"{found.record.id} ({'split by slice' if found.request.leaky else found.record.status})")
    raise SelectionError(
        f"{runs} holds no study to export from",
        expected="a finished `brainseg-train all` with a split by patient",
        got=", ".join(passed) or "none",
        remedy="run `brainseg-train all`, or name a run with --run",
    )


def _chosen(runs: Path, folder: Path, weights: Path, reason: str, found: Study | None = None) -> Chosen:
    """A run's weights and split, both checked."""
    record = records.load_record(folder)
    _require_by_patient(record.id, record.split_by)
    if record.best is None or record.status not in _DONE:
        raise SelectionError(f"run {record.id} is not ready", expected="a run that has ended", got=record.status)
    info = checkpoint.read_info(weights)
    _require_agreement(folder, record, info)
    split = Split.load(study.split_path(runs, info.split_digest))
    _require_by_patient(info.run, split.split_by)
    if found is None:
        found = _study_of(runs, record)
    return Chosen(
        info=info, recipe=record.config, folder=folder, weights=weights, split=split, reason=reason, study=found
    )


def _require_by_patient(run: str, split_by: str) -> None:
    """Refuse a run whose validation Dice says nothing about new patients."""
    if split_by != "patient":
        raise SelectionError(
            f"run {run} is refused: its split is by {split_by}",
            expected="a split by patient: only then does validation say something about new patients",
            got=f"a split by {split_by}",
        )


def _require_agreement(folder: Path, record: RunRecord, info: WeightsInfo) -> None:
    """Refuse a record that contradicts the weights beside it."""
    said = {
        "run": record.id,
        "model": record.config.model,
        "width": record.config.width,
        "data digest": record.data_digest,
        "split digest": record.split_digest,
    }
    true: dict[str, object] = {key: getattr(info, key.replace(" ", "_")) for key in said}
    if record.best is not None and (record.best.epoch, record.best.validation["dice"]) != (
        info.epoch,
        info.validation_dice,
    ):
        said["best epoch"] = f"{record.best.epoch} with Dice {record.best.validation['dice']}"
        true["best epoch"] = f"{info.epoch} with Dice {info.validation_dice}"
    if info.config is not None:
        own, kept = record.config.to_json(), TrainConfig.from_json(info.config).to_json()
        said |= {f"config.{key}": value for key, value in own.items() if value != kept[key]}
        true |= {f"config.{key}": value for key, value in kept.items() if value != own[key]}
    if wrong := [key for key in said if said[key] != true[key]]:
        raise SelectionError(
            f"{folder / records.RECORD} contradicts {checkpoint.BEST}.json beside it: {' and '.join(wrong)} differ",
            expected=", ".join(str(true[key]) for key in wrong),
            got=", ".join(str(said[key]) for key in wrong),
            remedy="restore both files as the run left them",
        )


def _study_of(runs: Path, record: RunRecord) -> Study | None:
    """The study that a run's record names, if the run's own name begins with it."""
    name = record.study
    if not name or not record.id.startswith(f"{name}-") or not (study.study_folder(runs, name) / study.STUDY).is_file():
        return None
    return study.load(runs, name)


def _with_reason(chosen: Chosen, reason: str) -> Chosen:
    """The same choice, explained."""
    name = chosen.study.record.id if chosen.study else ""
    return dataclasses.replace(chosen, reason=f"{reason}, study {name}")
