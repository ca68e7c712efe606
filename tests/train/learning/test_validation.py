"""Validation counts as a plain loop over patients counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from brainseg_train.config import LossConfig, TrainConfig
from brainseg_train.learning.batches import Batches
from brainseg_train.learning.device import place
from brainseg_train.learning.distributed import Group
from brainseg_train.learning.validation import validate
from tests.train.arrays import make_dataset

PLACEMENT = place(TrainConfig(device="cpu", precision="fp32"))
DATASET = make_dataset(patients=12)


class _Bright(nn.Module):
    """Tumour wherever the second channel is bright; with a batch normalisation whose mode can be seen."""

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at = at
        self.modes: list[bool] = []

    def forward(self, images: Tensor) -> Tensor:
        self.modes.append(self.training)
        return (images[:, 1:2] - self.at) * 9


def _validate(network: nn.Module, rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> dict[str, float]:
    feed = Batches(DATASET.images, DATASET.masks, rows, torch.device("cpu"))
    return validate(network, feed, DATASET.patient_of_slice[rows], PLACEMENT, LossConfig(), Group())


@pytest.mark.parametrize("at", [0.2, 0.45, 0.6])
def test_dice_is_that_of_a_plain_loop_over_patients(at: float) -> None:
    rows = np.arange(8, 96)
    scores = _validate(_Bright(at), rows)
    dice = []
    for patient in range(1, 12):
        mine = DATASET.patient_of_slice == patient
        found = (DATASET.images[mine][..., 1] / np.float32(255)) >= np.float32(at)
        true = DATASET.masks[mine] == 1
        dice.append(2 * (found & true).sum() / (found.sum() + true.sum()))
    expected = {"dice": np.mean(dice), "dice_median": np.median(dice), "dice_min": np.min(dice)}
    assert {name: scores[name] for name in expected} == pytest.approx(expected, rel=1e-9)


def test_a_patient_with_nothing_to_find_and_nothing_found_scores_one() -> None:
    empty = np.flatnonzero((DATASET.masks.sum(axis=(1, 2)) == 0) & (DATASET.patient_of_slice == 0))
    assert _validate(_Bright(2.0), empty)["dice"] == 1.0
    assert _validate(_Bright(0.0), empty)["dice"] == 0.0


def test_the_network_is_evaluated_in_evaluation_mode_and_put_back() -> None:
    network = _Bright(0.45).train()
    _validate(network, np.arange(16))
    assert network.modes == [False]
    assert network.training
