"""What a training run is asked to do: frozen settings that go to JSON and back.

A configuration says everything that changes the weights. What does not (where the run is written, how often its state
is saved, who watches) is an argument of `brainseg_train.runs.fit.fit`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, Self, get_args

from brainseg_runtime.safe_io.files import read_capped
from brainseg_runtime.safe_io.strict_json import parse
from brainseg_runtime.safe_io.typed_json import from_json
from brainseg_train.errors import ConfigError
from brainseg_train.models import NAMES, SHIPPED_WIDTH

Schedule = Literal["constant", "cosine"]
Precision = Literal["auto", "fp32", "bf16"]
Preset = Literal["paper", "quick", "shipped"]

_MAX_BYTES: Final = 1 << 20  # a configuration takes one KiB

_CHANCES: Final = ("flip", "missing_sequence", "paste")

_LIMITS: Final[Mapping[str, float]] = MappingProxyType(
    dict.fromkeys(_CHANCES, 1.0)
    | {"rotation": 180.0, "translation": 1.0, "brightness": 1.0, "noise": 1.0, "elastic": 1.0, "shear": 10.0}
    | dict.fromkeys(("scale", "gamma", "contrast", "bias_field"), 3.0)  # logarithms: a factor of 20
)
"""Largest value of each setting; far beyond what helps, and within what can be computed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentConfig:
    """Ranges of each transform; 0 switches one off. `scaled` makes all of them weaker or stronger."""

    flip: float = 0.5
    """Chance to mirror left and right."""
    rotation: float = 27.0
    """Largest rotation either way, degrees."""
    scale: float = 0.27
    """Largest change of size, as a natural logarithm: 0.27 is from 0.76 to 1.31."""
    shear: float = 0.13
    """Largest shear either way, as a tangent."""
    translation: float = 0.11
    """Largest shift either way, as a share of the image's side."""
    elastic: float = 0.027
    """Standard deviation of a coarse displacement field's nodes, as a share of the image's side."""
    gamma: float = 0.09
    """Largest change of gamma, as a natural logarithm, drawn for each channel."""
    contrast: float = 0.075
    """Largest change of contrast about the channel's mean, as a natural logarithm, drawn for each channel."""
    brightness: float = 0.02
    """Largest shift of intensity, in [0, 1] units, drawn for each channel."""
    bias_field: float = 0.05
    """Standard deviation of the coarse logarithmic field that multiplies all channels."""
    noise: float = 0.01
    """Largest standard deviation of Gaussian noise, in [0, 1] units, drawn for each slice."""
    missing_sequence: float = 0.35
    """Chance, for pre-contrast and for post-contrast each, to be overwritten by FLAIR."""
    paste: float = 0.5
    """Chance that a square of another slice of the batch is pasted in, with its mask."""

    def __post_init__(self) -> None:
        """Refuse ranges that nothing can be drawn from.

        Raises:
            ConfigError: A value is no number, below 0, or above its limit.
        """
        for name, limit in _LIMITS.items():
            value = getattr(self, name)
            if not 0 <= value <= limit:
                raise ConfigError(f"augment.{name} is out of range", expected=f"0 to {limit:g}", got=value)

    def scaled(self, strength: float) -> AugmentConfig:
        """The same transforms with every range but the chances times `strength`, at least 0, up to its limit."""
        ranges = [name for name in _LIMITS if name not in _CHANCES]
        return dataclasses.replace(
            self, **{name: min(getattr(self, name) * strength, _LIMITS[name]) for name in ranges}
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """Weights of the loss's terms."""

    bce: float = 1.0
    """Weight of binary cross-entropy."""
    dice: float = 1.0
    """Weight of soft Dice."""
    focal_gamma: float = 0.0
    """Exponent that turns cross-entropy into focal loss, at least 1; 0 is plain cross-entropy."""
    miss_weight: float = 0.5
    """Weight of missed against false pixels in the Dice term, in (0, 1); 0.5 is Dice, above is Tversky."""
    boundary: float = 0.0
    """Weight of a further cross-entropy over the pixels along the tumour's outline; 0 is off."""

    def __post_init__(self) -> None:
        """Refuse weights that make no loss.

        Raises:
            ConfigError: A weight is out of its range, or both terms are off.
        """
        for name in ("bce", "dice", "focal_gamma", "boundary"):
            if not math.isfinite(getattr(self, name)):
                raise ConfigError(f"loss.{name} is no finite number", expected="a number", got=getattr(self, name))
        if min(self.bce, self.dice, self.focal_gamma, self.boundary) < 0 or self.bce + self.dice <= 0:
            raise ConfigError(
                "the loss has no valid weights",
                expected="bce, dice, focal_gamma and boundary at least 0, and one of bce and dice above 0",
                got=f"bce {self.bce}, dice {self.dice}, focal_gamma {self.focal_gamma}, boundary {self.boundary}",
            )
        if 0 < self.focal_gamma < 1:
            raise ConfigError(
                "focal_gamma is out of range",
                expected="0, which is plain cross-entropy, or at least 1: below 1 the gradient of a pixel that is "
                "surely right is infinite",
                got=self.focal_gamma,
            )
        if not 0 < self.miss_weight < 1:
            raise ConfigError("miss_weight is out of range", expected="in (0, 1)", got=str(self.miss_weight))


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Everything about one run that changes its weights."""

    model: str = "unet"
    """Which network: one of `brainseg_train.models.NAMES`."""
    width: int = SHIPPED_WIDTH
    """The network's channels at half the input's resolution."""
    initial: str | None = None
    """A run's folder, or a weights file, to start from in place of fresh weights; its digest goes into the record."""
    schedule: Schedule = "constant"
    """How the rate moves: it stays, or falls along half a cosine to `final_rate` over all steps."""
    rate: float = 3e-4
    """Adam's learning rate at its highest."""
    final_rate: float = 1e-6
    """Where the cosine ends."""
    warmup_epochs: float = 0.0
    """Epochs over which the rate climbs linearly to `rate` before its schedule starts."""
    batch: int = 16
    """Slices a step, over all processes together."""
    epochs: int = 40
    """Most passes over the training slices."""
    patience: int | None = None
    """Stop after this many epochs without a better validation Dice; None never stops early."""
    loss: LossConfig = field(default_factory=LossConfig)
    """The loss's terms."""
    gradient_clip: float = 10.0
    """Largest norm of a step's whole gradient: a guard against a single bad batch, well above what training shows."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """How training slices are varied."""
    ema_decay: float = 0.0
    """Decay a step of the weights' running mean, which is then what is validated and kept; 0 is off."""
    empty_fraction: float = 1.0
    """Share of the slices without tumour that an epoch draws, anew each epoch; 1 takes all."""
    seed: int = 0
    """Fixes initial weights, order, augmentation."""
    precision: Precision = "auto"
    """Arithmetic of the network's layers: auto takes bf16 where the processor computes in it."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps, or auto: the GPU where there is one."""
    channels_last: bool = True
    """Keep a pixel's channels side by side in memory, which convolutions prefer; see `device.NARROW` for where not."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        for name in ("warmup_epochs", "rate", "final_rate", "gradient_clip", "ema_decay", "empty_fraction"):
            _check_finite(name, getattr(self, name))
        _check_member("model", self.model, NAMES)
        _check_member("schedule", self.schedule, get_args(Schedule))
        _check_member("precision", self.precision, get_args(Precision))
        for name in ("width", "batch", "epochs"):
            _check_at_least(name, getattr(self, name), 1)
        if self.patience is not None:
            _check_at_least("patience", self.patience, 1)
        for name in ("warmup_epochs", "seed", "final_rate"):
            _check_at_least(name, getattr(self, name), 0)
        _check_above("rate", self.rate, 0.0)
        _check_above("gradient_clip", self.gradient_clip, 0.0)
        _check_range("empty_fraction", self.empty_fraction, 0.0, 1.0)
        _check_range("ema_decay", self.ema_decay, 0.0, 0.99999)

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of the configuration as JSON with sorted keys."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def require_schedule(self) -> Self:
        """This configuration, whose rate goes where it should; fields that a file sets alone are not judged so.

        Raises:
            ConfigError: The warm-up outlasts the epochs, or a cosine would climb.
        """
        if self.warmup_epochs > self.epochs:
            raise ConfigError(
                "warmup_epochs is too large",
                expected=f"at most the number of epochs, {self.epochs}",
                got=self.warmup_epochs,
            )
        if self.schedule == "cosine" and self.final_rate > self.rate:
            raise ConfigError(
                "the cosine would climb", expected=f"final_rate of at most the rate, {self.rate:g}", got=self.final_rate
            )
        return self

    def to_json(self) -> dict[str, Any]:
        """Every field, nested settings as objects."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The configuration that `to_json` wrote; a missing key takes its default.

        Raises:
            ConfigError: A key is unknown, or a value is of the wrong type or not allowed.
        """
        return from_json(cls, value, "config", error=ConfigError)


def preset(name: Preset, model: str) -> TrainConfig:
    """The settings that a preset starts from, for one network.

    Args:
        name: "paper" is the recipe asked for: Adam at 3e-4, 40 epochs, early stopping, the shipped width, all slices.
            "quick" is small enough for two cores and minutes: half the width, fewer epochs, a higher rate, half of the
            empty slices.
            "shipped" is what the bundles in `models/` were trained with: see `docs/experiments.md`.
        model: The network's name.

    Raises:
        ConfigError: No preset or no network has that name.
    """
    _check_member("preset", name, get_args(Preset))
    if name == "paper":
        return TrainConfig(model=model, epochs=40, patience=10)
    if name == "shipped":
        return TrainConfig(
            model=model,
            schedule="cosine",
            rate=1e-3,
            warmup_epochs=1.0,
            epochs=100,
            loss=LossConfig(boundary=0.1),
            ema_decay=0.998,
            empty_fraction=0.4,
        )
    return TrainConfig(
        model=model,
        width=16,
        schedule="cosine",
        rate=2e-3,
        final_rate=1e-5,
        epochs=16,
        patience=6,
        ema_decay=0.98,
        empty_fraction=0.5,
    )


def read_changes(path: Path) -> dict[str, Any]:
    """The fields that a JSON file of settings names, checked.

    Args:
        path: A file with an object of `TrainConfig`'s keys, any of them; `loss` and `augment` are objects whose missing
            keys take their defaults.

    Returns:
        Values by field, as `dataclasses.replace` takes them.

    Raises:
        ConfigError: The file is missing, too large or not JSON, or a key or value is not allowed.
    """
    value = parse(read_capped(path, _MAX_BYTES, error=ConfigError), str(path), limit=_MAX_BYTES, error=ConfigError)
    config = TrainConfig.from_json(value)
    return {name: getattr(config, name) for name in value}


def _check_member(name: str, value: object, allowed: tuple[object, ...]) -> None:
    """Refuse a value that is not one of those allowed."""
    if value not in allowed:
        raise ConfigError(f"{name} is unknown", expected=f"one of {', '.join(map(str, allowed))}", got=repr(value))


def _check_finite(name: str, value: float) -> None:
    """Refuse NaN and infinity, which no comparison with a bound finds and no JSON holds."""
    if not math.isfinite(value):
        raise ConfigError(f"{name} is no finite number", expected="a number", got=str(value))


def _check_at_least(name: str, value: float, low: float) -> None:
    """Refuse a number below a bound, or NaN."""
    if not value >= low:
        raise ConfigError(f"{name} is too small", expected=f"at least {low}", got=str(value))


def _check_above(name: str, value: float, low: float) -> None:
    """Refuse a number that is not above a bound, or NaN."""
    if not value > low:
        raise ConfigError(f"{name} is too small", expected=f"above {low}", got=str(value))


def _check_range(name: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside a closed range, or NaN."""
    if not low <= value <= high:
        raise ConfigError(f"{name} is out of range", expected=f"{low} to {high}", got=str(value))
