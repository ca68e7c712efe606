"""Checks before training starts: subsets without tumour, epochs without slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from brainseg_train.data.split import SUBSETS, Subset
from brainseg_train.errors import ConfigError, SplitError
from brainseg_train.learning.batches import EpochPlan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from brainseg_train.config import TrainConfig
    from brainseg_train.data.dataset import DataSet
    from brainseg_train.data.split import Split


def foresee(dataset: DataSet, split: Split, config: TrainConfig, *, processes: int = 1) -> tuple[str, ...]:
    """Refuse training that cannot succeed, and warn about unusual settings.

    Args:
        dataset: The slices.
        split: Their subsets.
        config: How they would be trained on.
        processes: How many share each batch.

    Returns:
        Warnings, one sentence each.

    Raises:
        SplitError: A subset is empty, or there is no tumour to learn from or to choose by.
        ConfigError: An epoch would hold no slice, or too few for every process.
    """
    if not dataset.tumour_pixels.any():
        raise SplitError(
            "no slice of the data set has tumour", expected="masks with tumour to learn from",
            got=f"{len(dataset.slices)} empty masks in {dataset.root}",
            remedy="inspect the masks with brainseg-train check",
        )  # fmt: skip
    rows = {subset: split.indices(dataset, subset) for subset in SUBSETS}
    purposes: dict[Subset, str] = {"train": "to learn from", "validation": "to choose by"}
    for subset, purpose in purposes.items():
        if not len(rows[subset]):
            raise SplitError(
                "a subset of the split is empty", expected="slices to train and to validate", got=f"none in {subset}"
            )
        if not dataset.tumour_pixels[rows[subset]].any():
            raise SplitError(
                f"no {subset} slice has tumour",
                expected=f"patients with tumour {purpose}",
                got=f"{len(rows[subset])} empty masks",
                remedy="take another --seed, or assign the patients with --split-file",
            )
    plan = EpochPlan(
        has_tumour=np.array([dataset.masks[row].any() for row in rows["train"]], dtype=np.bool_),
        batch=config.batch,
        empty_fraction=config.empty_fraction,
        seed=config.seed,
    )
    if plan.slices < processes:
        raise ConfigError(
            "an epoch would have too few slices",
            expected=f"at least {processes}",
            got=f"{plan.slices} of the {len(rows['train'])} training slices",
            remedy="raise empty_fraction: at the network's size no training slice has tumour",
        )
    return tuple(_oddities(dataset, split, plan, rows["test"]))


def _oddities(dataset: DataSet, split: Split, plan: EpochPlan, test: NDArray[np.intp]) -> list[str]:
    """Warnings about settings that are valid but probably unintended."""
    told = []
    if plan.slices < plan.batch:
        told.append(
            f"an epoch has {plan.slices} slices, fewer than a batch of {plan.batch}: it is a single step of all of them"
        )
    if split.test and not dataset.tumour_pixels[test].any():
        told.append("no test slice has tumour: the test scores will only show false positives")
    return told
