"""What can be known to go wrong before a training begins: parts without tumour, epochs without slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from brainseg_train.errors import ConfigError, SplitError
from brainseg_train.learning.batches import EpochPlan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from brainseg_train.config import TrainConfig
    from brainseg_train.data.dataset import DataSet
    from brainseg_train.data.split import Split


def foresee(dataset: DataSet, split: Split, config: TrainConfig, *, processes: int = 1) -> tuple[str, ...]:
    """Refuse a training that cannot come to anything, and tell what is odd about one that can.

    Args:
        dataset: The slices.
        split: Their parts.
        config: How they would be trained on.
        processes: That share each batch.

    Returns:
        Warnings, a sentence each.

    Raises:
        SplitError: A part is empty, or there is no tumour to learn from or to choose by.
        ConfigError: An epoch would hold no slice, or too few for every process.
    """
    if not dataset.tumour_pixels.any():
        raise SplitError(
            "no slice of the data set has tumour", expected="masks with tumour to learn from",
            got=f"{len(dataset.slices)} empty masks in {dataset.root}",
            remedy="look at the masks with brainseg-train check",
        )  # fmt: skip
    rows = {part: split.indices(dataset, part) for part in ("train", "validation", "test")}
    for part, purpose in (("train", "to learn from"), ("validation", "to choose by")):
        if not len(rows[part]):
            raise SplitError(
                "a part of the split is empty", expected="slices to train and to validate", got=f"none in {part}"
            )
        if not dataset.tumour_pixels[rows[part]].any():
            raise SplitError(
                f"no slice of the {part} part has tumour",
                expected=f"patients with tumour {purpose}",
                got=f"{len(rows[part])} empty masks",
                remedy="take another --seed, or say who is in which part with --split-file",
            )
    plan = EpochPlan(
        has_tumour=np.array([dataset.masks[row].any() for row in rows["train"]], dtype=np.bool_),
        batch=config.batch,
        empty_fraction=config.empty_fraction,
        seed=config.seed,
    )
    if plan.slices < processes:
        raise ConfigError(
            "an epoch would hold too few slices",
            expected=f"at least {processes}",
            got=f"{plan.slices} of the {len(rows['train'])} training slices",
            remedy="raise empty_fraction: at the network's size no slice of the training part has tumour",
        )
    return tuple(_oddities(dataset, split, plan, rows["test"]))


def _oddities(dataset: DataSet, split: Split, plan: EpochPlan, test: NDArray[np.intp]) -> list[str]:
    """Warnings of what can be trained and is hardly meant."""
    told = []
    if plan.slices < plan.batch:
        told.append(
            f"an epoch has {plan.slices} slices, fewer than a batch of {plan.batch}: it is a single step of all of them"
        )
    if split.test and not dataset.tumour_pixels[test].any():
        told.append("no slice of the test part has tumour: its scores will only tell of false alarms")
    return told
