"""Configurations go to JSON and back, and refuse what cannot be meant."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_train.augment import AugmentConfig
from brainseg_train.config import LossConfig, TrainConfig, preset
from brainseg_train.errors import ConfigError
from brainseg_train.models import NAMES

configs = st.builds(
    TrainConfig,
    model=st.sampled_from(NAMES),
    width=st.integers(1, 64),
    initial=st.none() | st.text(min_size=1, max_size=20),
    schedule=st.sampled_from(["constant", "cosine"]),
    rate=st.floats(1e-9, 1.0),
    batch=st.integers(1, 256),
    patience=st.none() | st.integers(1, 99),
    loss=st.builds(LossConfig, bce=st.floats(0.1, 2.0), miss_weight=st.floats(0.1, 0.9)),
    augment=st.builds(AugmentConfig, noise=st.floats(0.0, 1.0)),
    ema_decay=st.floats(0.0, 0.999),
    channels_last=st.booleans(),
)


@given(configs)
def test_a_configuration_comes_back_from_json_as_it_was(config: TrainConfig) -> None:
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@given(configs, configs)
def test_digests_differ_exactly_where_configurations_do(first: TrainConfig, second: TrainConfig) -> None:
    assert (first.digest == second.digest) == (first == second)


def test_missing_keys_take_their_defaults() -> None:
    assert TrainConfig.from_json({"model": "deeplab"}) == TrainConfig(model="deeplab")


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"learning_rate": 1e-3}, "learning_rate"),
        ({"loss": {"bce": 1.0, "dyce": 1.0}}, "dyce"),
        ({"augment": {"flip": "often"}}, "augment.flip"),
        ({"rate": True}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"rate": 0.0}, "rate"),
        ({"batch": 1.5}, "batch"),
        ({"batch": 0}, "batch"),
        ({"patience": 0}, "patience"),
        ({"model": "vnet"}, "model"),
        ({"schedule": "step"}, "schedule"),
        ({"precision": "fp16"}, "precision"),
        ({"empty_fraction": 1.01}, "empty_fraction"),
        ({"ema_decay": 1.0}, "ema_decay"),
        ({"seed": -1}, "seed"),
        ({"channels_last": 1}, "channels_last"),
        ([], "config"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(value: Any, named: str) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError, match=named):
        TrainConfig.from_json(value)


def test_nothing_can_be_changed_afterwards() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        preset("quick", "unet").rate = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("model", NAMES)
def test_paper_is_the_recipe_asked_for(model: str) -> None:
    config = preset("paper", model)
    assert (config.model, config.epochs, config.rate, config.batch) == (model, 40, 3e-4, 16)
    assert config.patience is not None
    assert config.empty_fraction == 1.0


def test_quick_is_smaller_than_paper() -> None:
    quick, paper = preset("quick", "unet"), preset("paper", "unet")
    assert quick.width < paper.width
    assert quick.epochs < paper.epochs


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ConfigError, match="preset"):
        preset("fast", "unet")  # type: ignore[arg-type]
