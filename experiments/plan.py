"""Every run of the campaign: the networks that ship, their cross-validation, and a control.

The control is the recipe that was shipped before, on the same folds and seeds as `unet`, so that the two are compared
patient by patient.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from brainseg_train.config import AugmentConfig, TrainConfig, preset
from brainseg_train.data.splitting import make_folds, make_split
from experiments.job import Job

if TYPE_CHECKING:
    from brainseg_train.data.dataset import DataSet

NETWORKS: Final = ("deeplab", "resunet", "unet")
FOLDS: Final = 5
SHIPPED, FOLDED, CONTROL = 0, 1, 2
"""Ranks."""


def campaign(dataset: DataSet, *, epochs: int | None = None) -> tuple[Job, ...]:
    """The runs, in order of rank.

    Args:
        dataset: All patients.
        epochs: Of each run; by default those of the shipped preset.

    Returns:
        One run of each network on the training patients of `make_split(seed 0)`; one of each on the other patients of
        each fold; and the control, `unet` with the augmentation of the earlier recipe, on the same.
    """
    shown = frozenset(make_split(dataset, 0, test=False).validation)
    folds = [frozenset(split.test) for split in make_folds(dataset, FOLDS, 0)]
    jobs = [Job(name=f"{net}-final", config=_recipe(net, 0, epochs), held=shown, rank=SHIPPED) for net in NETWORKS]
    for k, fold in enumerate(folds):
        jobs += [Job(name=f"{net}-fold{k}", config=_recipe(net, k, epochs), held=fold, rank=FOLDED) for net in NETWORKS]
    jobs.append(Job(name="control-final", config=_before(0, epochs), held=shown, rank=CONTROL))
    for k, fold in enumerate(folds):
        jobs.append(Job(name=f"control-fold{k}", config=_before(k, epochs), held=fold, rank=CONTROL))
    return tuple(jobs)


def _recipe(network: str, seed: int, epochs: int | None) -> TrainConfig:
    """The shipped preset with a seed."""
    config = preset("shipped", network)
    return replace(config, seed=seed, epochs=config.epochs if epochs is None else epochs)


def _before(seed: int, epochs: int | None) -> TrainConfig:
    """The same without what the recipe has gained: scalp, healthy slices, curves, detail, scaling, zoom, swaps."""
    return replace(_recipe("unet", seed, epochs), augment=AugmentConfig())
