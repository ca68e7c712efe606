"""The brightness threshold that networks have to beat, against trying every threshold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from brainseg_train.data.dataset import load_dataset
from brainseg_train.data.splitting import make_split
from brainseg_train.tuning.baseline import best_threshold, threshold_dice


@settings(max_examples=20)  # each compares 256 thresholds
@given(st.integers(0, 2**32 - 1))
def test_no_other_threshold_has_a_higher_dice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    flair = rng.integers(0, 256, (2, 6, 6), dtype=np.uint8)
    truth = (rng.random((2, 6, 6)) < flair / 300).astype(np.uint8)
    truth[0, 0, 0] = 1
    chosen = best_threshold(flair, truth)
    inside = truth.astype(bool)
    both = [np.count_nonzero((flair >= level) & inside) for level in range(256)]
    sizes = [np.count_nonzero(flair >= level) + np.count_nonzero(inside) for level in range(256)]
    scores = 2 * np.array(both) / np.array(sizes)
    assert scores[chosen] == scores.max()


def test_of_a_data_set_it_is_the_mean_over_the_validation_patients(small_patients: Path) -> None:
    dataset = load_dataset(small_patients)
    split = make_split(dataset, 0)
    train = split.indices(dataset, "train")
    level = best_threshold(dataset.images[train][..., 1], dataset.masks[train])
    scores = []
    for patient in split.validation:
        rows = dataset.indices([patient])
        truth = dataset.masks[rows].ravel()
        predicted = (dataset.images[rows][..., 1] >= level).ravel()
        scores.append(f1_score(truth, predicted, zero_division=1.0))
    assert np.isclose(threshold_dice(dataset, split), np.mean(scores))
