"""Configurations go to JSON and back, and refuse what cannot be meant."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_train.config import AugmentConfig, LossConfig, TrainConfig, preset, read_changes
from brainseg_train.errors import ConfigError
from brainseg_train.models import NAMES, SHIPPED_WIDTH
from brainseg_train.tuning.plan import Plan

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
        ({"keep": "first"}, "keep"),
        ({"precision": "fp16"}, "precision"),
        ({"empty_fraction": 1.01}, "empty_fraction"),
        ({"ema_decay": 1.0}, "ema_decay"),
        ({"seed": -1}, "seed"),
        ({"loss": {"focal_gamma": 0.5}}, "focal_gamma"),
        ({"loss": {"bce": -1.0}}, "bce"),
        ({"augment": {"rotation": -5}}, "augment.rotation"),
        ({"augment": {"rotation": 181}}, "augment.rotation"),
        ({"augment": {"flip": 2}}, "augment.flip"),
        ({"augment": {"gamma": 1000}}, "augment.gamma"),
        ({"channels_last": 1}, "channels_last"),
        ([], "config"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(value: Any, named: str) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError, match=named):
        TrainConfig.from_json(value)


FLOATS = ["warmup_epochs", "rate", "final_rate", "gradient_clip", "ema_decay", "empty_fraction"]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_no_setting_takes_what_is_no_number(value: float) -> None:
    of_kind: dict[Any, list[str]] = {
        TrainConfig: FLOATS,
        LossConfig: _floats(LossConfig),
        AugmentConfig: _floats(AugmentConfig),
    }
    for kind, names in of_kind.items():
        for name in names:
            with pytest.raises(ConfigError, match=name):
                kind(**{name: value})


def _floats(kind: type[Any]) -> list[str]:
    """The fields of a settings class, all of which are numbers."""
    return [field.name for field in dataclasses.fields(kind)]


def test_every_number_of_a_configuration_is_looked_at() -> None:
    assert {name for name, hint in get_type_hints(TrainConfig).items() if hint is float} == set(FLOATS)


@given(st.sampled_from([field.name for field in dataclasses.fields(AugmentConfig)]), st.floats(0.0, 1e6))
def test_a_stronger_augmentation_stays_within_its_limits(name: str, strength: float) -> None:
    scaled = AugmentConfig().scaled(strength)
    assert getattr(scaled, name) >= 0.0
    assert scaled == AugmentConfig(**dataclasses.asdict(scaled))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"warmup_epochs": 3.0, "epochs": 2}, "warmup_epochs"),
        ({"schedule": "cosine", "rate": 1e-7}, "would climb"),
        ({"keep": "last", "patience": 3}, "patience"),
    ],
)
def test_a_rate_that_would_not_go_where_it_should_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TrainConfig(**changes).require_schedule()
    with pytest.raises(ConfigError, match=said):
        Plan(kind="fit", models=("unet",), preset="paper", changes=changes, search=None).config("unet")


def test_a_file_may_name_a_warm_up_longer_than_the_default_number_of_epochs(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"warmup_epochs": 50}')
    assert read_changes(tmp_path / "settings.json") == {"warmup_epochs": 50.0}


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
    assert config.keep == "last"
    assert config.augment.scalp > 0
    assert config.augment.healthy > 0


@pytest.mark.parametrize("model", NAMES)
def test_the_shipped_preset_is_the_recipe_of_the_shipped_bundle(model: str) -> None:
    manifest = Path(__file__).resolve().parents[2] / "models" / model / "manifest.json"
    recipe = json.loads(manifest.read_text(encoding="utf-8"))["training"]["config"]
    assert preset("shipped", model).to_json() == recipe


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
