"""Figures of a campaign, against SciPy and figures worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from brainseg_train.errors import RecordError
from experiments.tables import out_of_fold, paired, table

RESULTS = {
    "unet-final": {"patients": ["a"], "native": [0.1]},
    "unet-fold0": {"patients": ["a", "b"], "native": [0.9, 0.4]},
    "unet-fold1": {"patients": ["c"], "native": [0.8]},
    "control-fold0": {"patients": ["a", "b"], "native": [0.8, 0.5]},
    "control-fold1": {"patients": ["c"], "native": [0.7]},
}


def test_each_patient_has_the_score_of_the_fold_that_held_it_out() -> None:
    assert out_of_fold(RESULTS, "unet") == {"a": 0.9, "b": 0.4, "c": 0.8}


def test_a_patient_in_two_folds_is_an_error() -> None:
    with pytest.raises(RecordError, match="two folds"):
        out_of_fold({**RESULTS, "unet-fold2": {"patients": ["a"], "native": [0.9]}}, "unet")


def test_a_group_without_folds_is_an_error() -> None:
    with pytest.raises(RecordError, match="no fold of deeplab"):
        out_of_fold(RESULTS, "deeplab")


def test_the_paired_difference_is_that_of_scipy() -> None:
    source = np.random.default_rng(0)
    one, other = source.uniform(size=(2, 30))
    names = [f"p{k}" for k in range(30)]
    mean, error, count = paired(dict(zip(names, one, strict=True)), dict(zip(names, other, strict=True)))
    oracle = stats.ttest_rel(one, other)
    assert count == 30
    assert mean / error == pytest.approx(oracle.statistic)


def test_the_table_has_each_group_with_its_difference_from_the_control() -> None:
    lines = table(RESULTS).splitlines()
    assert lines[2] == "| `control` | 3 | 0.6667 | 0.7000 | 0 |  |"
    assert lines[3].startswith("| `unet` | 3 | 0.7000 | 0.8000 | 1 | +0.0333 (")
