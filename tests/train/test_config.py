"""Configurations go to JSON and back, and refuse what cannot be meant."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_train.augment import AugmentConfig
from brainseg_train.config import LossConfig, TrainConfig, preset, read_changes
from brainseg_train.errors import ConfigError
from brainseg_train.models import NAMES, SHIPPED_WIDTH

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


@pytest.mark.parametrize("model", NAMES)
def test_the_shipped_preset_ends_slowly_and_averages(model: str) -> None:
    config = preset("shipped", model)
    assert (config.model, config.width, config.patience) == (model, SHIPPED_WIDTH, None)
    assert config.schedule == "cosine"
    assert config.final_rate < config.rate / 100
    assert config.ema_decay > 0


def test_a_file_of_settings_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"epochs": 7, "augment": {"noise": 0.5}}')
    assert read_changes(path) == {"epochs": 7, "augment": AugmentConfig(noise=0.5)}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"epoch": 7}', "epoch"),
        ('{"epochs": "7"}', "epochs"),
        ('{"augment": {"nose": 1}}', "nose"),
        ('{"epochs": 0}', "epochs"),
        ('{"epochs": 1, "epochs": 2}', "epochs"),
        ("[]", "settings.json"),
        ("{", "settings.json"),
    ],
)
def test_a_file_of_settings_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told):
        read_changes(path)


def test_a_file_of_settings_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.json"):
        read_changes(tmp_path / "none.json")


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ConfigError, match="preset"):
        preset("fast", "unet")  # type: ignore[arg-type]
