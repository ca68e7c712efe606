"""What is tried: rates in words, parameters of a trial, and which trial is best."""

from __future__ import annotations

import pytest

from brainseg_train.config import TrainConfig, preset
from brainseg_train.errors import ConfigError
from brainseg_train.tuning.search import Search, best_of, configure, describe, read_learning_rate


def test_a_rate_in_words_sets_the_schedule() -> None:
    base = preset("paper", "unet")
    constant = configure(base, {"rate": "1e-6", "batch": 32})
    assert (constant.schedule, constant.rate, constant.batch) == ("constant", 1e-6, 32)
    cosine = configure(base, {"rate": "3e-4 to 1e-6"})
    assert (cosine.schedule, cosine.rate, cosine.final_rate) == ("cosine", 3e-4, 1e-6)
    assert read_learning_rate(0.001) == {"rate": 0.001}


@pytest.mark.parametrize("rate", ["fast", "1e-3 to", "1 to 2 to 3", ""])
def test_a_rate_that_cannot_be_read_is_refused(rate: str) -> None:
    with pytest.raises(ConfigError, match="rate"):
        read_learning_rate(rate)


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown parameter"):
        configure(TrainConfig(), {"depth": 3})


def test_a_search_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="trials"):
        Search(trials=0)


def test_the_first_of_equals_is_best() -> None:
    assert best_of([(0, None), (1, 0.5), (2, 0.75), (3, 0.75)]) == 2
    assert best_of([(0, None)]) is None


def test_parameters_in_words() -> None:
    assert describe({"rate": "3e-4", "dice_share": 0.123456}) == "rate 3e-4, dice share 0.123"
