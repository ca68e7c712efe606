"""The settings of a training run: frozen dataclasses that go to JSON and back.

A configuration says everything that changes the weights. What does not (where the run is written, how often its state
is saved, who is told) is an argument of `brainseg_train.runs.fit.fit`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args, get_type_hints

from brainseg_runtime.safe_io.files import read_capped
from brainseg_runtime.safe_io.strict_json import Json, parse
from brainseg_runtime.safe_io.typed_json import Above, AtLeast, Between, check, from_json, to_json
from brainseg_train import models
from brainseg_train.errors import ConfigError

Schedule = Literal["constant", "cosine"]
Keep = Literal["best", "last"]
Precision = Literal["auto", "fp32", "bf16"]
Preset = Literal["paper", "quick", "shipped"]

_MAX_BYTES: Final = 1 << 20  # a configuration takes one KiB

_Chance = Annotated[float, Between(0, 1)]
_Logarithm = Annotated[float, Between(0, 3)]  # a factor of 20
_Weight = Annotated[float, AtLeast(0)]

_CHANCES: Final = frozenset(
    {
        "curve",
        "detail",
        "flip",
        "healthy",
        "missing_sequence",
        "missing_zero",
        "paste",
        "scaling",
        "scalp",
        "swap",
        "zoom_least",
        "zoom_out",
    }
)
"""Fields that `scaled` leaves alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentConfig:
    """Ranges of each transform; 0 switches one off. `scaled` makes all of them weaker or stronger.

    The limits are far beyond what helps, and within what can be computed.
    """

    flip: _Chance = 0.5
    """Chance to mirror left and right."""
    rotation: Annotated[float, Between(0, 180)] = 27.0
    """Largest rotation either way, degrees."""
    scale: _Logarithm = 0.27
    """Largest change of size, as a natural logarithm: 0.27 is from 0.76 to 1.31."""
    shear: Annotated[float, Between(0, 10)] = 0.13
    """Largest shear either way, as a tangent."""
    translation: Annotated[float, Between(0, 1)] = 0.11
    """Largest shift either way, as a fraction of the image's side."""
    elastic: Annotated[float, Between(0, 1)] = 0.027
    """Standard deviation of a coarse displacement field's nodes, as a fraction of the image's side."""
    gamma: _Logarithm = 0.09
    """Largest change of gamma, as a natural logarithm, drawn for each channel."""
    contrast: _Logarithm = 0.075
    """Largest change of contrast about the channel's mean, as a natural logarithm, drawn for each channel."""
    brightness: Annotated[float, Between(0, 1)] = 0.02
    """Largest shift of intensity, in [0, 1] units, drawn for each channel."""
    bias_field: _Logarithm = 0.05
    """Standard deviation of the coarse logarithmic field that multiplies all channels."""
    noise: Annotated[float, Between(0, 1)] = 0.01
    """Largest standard deviation of Gaussian noise, in [0, 1] units, drawn for each slice."""
    missing_sequence: _Chance = 0.35
    """Chance, for pre-contrast and for post-contrast each, to be overwritten by FLAIR."""
    missing_zero: _Chance = 0.0
    """Chance that a missing sequence is zeros instead of FLAIR."""
    swap: _Chance = 0.0
    """Chance that pre- and post-contrast are exchanged."""
    paste: _Chance = 0.5
    """Chance that a square of another slice of the batch is pasted in, with its mask."""
    zoom_out: _Chance = 0.0
    """Chance that the head is made smaller, down to `zoom_least` of its size."""
    zoom_least: Annotated[float, Between(0.1, 1)] = 0.38
    """Least size of a head that is made smaller, as a fraction of its own."""
    scalp: _Chance = 0.0
    """Chance that what lies outside the brain is dimmed, brightened or removed."""
    curve: _Chance = 0.0
    """Chance, for each channel, of a random monotone curve."""
    detail: _Chance = 0.0
    """Chance of sharpening or blurring."""
    scaling: _Chance = 0.0
    """Chance, for each channel, of scaling by its maximum or a percentile, with clipping."""
    healthy: _Chance = 0.0
    """Chance that the tumour's half is replaced by the other half's mirror image, where the tumour allows it."""

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        check(self, "augment", error=ConfigError)

    def scaled(self, strength: float) -> AugmentConfig:
        """The same transforms, weaker or stronger.

        Args:
            strength: At least 0; every range but the chances is multiplied by it, up to its limit.

        Examples:
            >>> weaker = AugmentConfig().scaled(0.5)
            >>> weaker.rotation, weaker.flip
            (13.5, 0.5)
        """
        hints = get_type_hints(type(self), include_extras=True)
        limits = {name: hint.__metadata__[0].high for name, hint in hints.items() if name not in _CHANCES}
        return dataclasses.replace(
            self, **{name: min(getattr(self, name) * strength, limit) for name, limit in limits.items()}
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """Weights of the loss's terms."""

    bce: _Weight = 1.0
    """Weight of binary cross-entropy."""
    dice: _Weight = 1.0
    """Weight of soft Dice."""
    focal_gamma: _Weight = 0.0
    """Exponent that turns cross-entropy into focal loss, at least 1; 0 is plain cross-entropy."""
    miss_weight: Annotated[float, Between(0, 1)] = 0.5
    """Weight of missed against false pixels in the Dice term, between 0 and 1; 0.5 is Dice, above is Tversky."""
    boundary: _Weight = 0.0
    """Weight of a further cross-entropy over the pixels along the tumour's outline; 0 is off."""

    def __post_init__(self) -> None:
        """Refuse weights that make no loss."""
        check(self, "loss", error=ConfigError)
        if self.bce + self.dice <= 0:
            raise ConfigError("loss.bce and loss.dice are both 0", expected="one of them above 0", got="no loss")
        if 0 < self.focal_gamma < 1:
            raise ConfigError(
                "loss.focal_gamma is out of range",
                expected="0, which is plain cross-entropy, or at least 1: below 1 the gradient of a pixel that is "
                "surely right is infinite",
                got=self.focal_gamma,
            )
        if self.miss_weight in {0, 1}:
            raise ConfigError("loss.miss_weight is out of range", expected="above 0 and below 1", got=self.miss_weight)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Everything about one run that changes its weights."""

    model: str = "unet"
    """Which network: one of `brainseg_train.models.NAMES`."""
    width: Annotated[int, AtLeast(1)] = models.SHIPPED_WIDTH
    """The network's channels at half the input's resolution."""
    initial: str | None = None
    """A run's folder, or a weights file, to start from in place of fresh weights; its digest goes into the record."""
    schedule: Schedule = "constant"
    """How the learning rate moves: it stays, or falls along half a cosine to `final_rate` over all steps."""
    rate: Annotated[float, Above(0)] = 3e-4
    """Adam's learning rate at its highest."""
    final_rate: Annotated[float, AtLeast(0)] = 1e-6
    """Where the cosine ends."""
    warmup_epochs: Annotated[float, AtLeast(0)] = 0.0
    """Epochs over which the learning rate climbs linearly to `rate` before its schedule starts."""
    batch: Annotated[int, AtLeast(1)] = 16
    """Slices a step, over all processes together."""
    epochs: Annotated[int, AtLeast(1)] = 40
    """Most passes over the training slices."""
    patience: Annotated[int, AtLeast(1)] | None = None
    """Stop after this many epochs without a better validation Dice; None never stops early."""
    keep: Keep = "best"
    """Which epoch's weights are kept: that of the best validation Dice, or the last, so that validation chooses
    nothing."""
    loss: LossConfig = field(default_factory=LossConfig)
    """The loss's terms."""
    gradient_clip: Annotated[float, Above(0)] = 10.0
    """Largest norm of a step's whole gradient: a guard against a single bad batch, well above what training shows."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """How training slices are varied."""
    ema_decay: Annotated[float, Between(0, 0.99999)] = 0.0
    """Decay a step of the weights' running mean, which is then what is validated and kept; 0 is off."""
    empty_fraction: Annotated[float, Between(0, 1)] = 1.0
    """Fraction of the slices without tumour that an epoch draws, anew each epoch; 1 takes all."""
    seed: Annotated[int, AtLeast(0)] = 0
    """Fixes initial weights, order, augmentation."""
    precision: Precision = "auto"
    """Arithmetic of the network's layers: auto takes bf16 where the processor computes in it."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps, or auto: the GPU where there is one."""
    channels_last: bool = True
    """Keep a pixel's channels side by side in memory, which convolutions prefer; see `device.NARROW` for where not."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train."""
        check(self, "config", error=ConfigError)
        _check_member("model", self.model, models.NAMES)

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of the configuration as JSON with sorted keys."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def require_schedule(self) -> Self:
        """This configuration, if its fields agree on how training goes; a file may set single fields otherwise.

        Raises:
            ConfigError: The warm-up outlasts the epochs, a cosine would climb, or patience waits for a better epoch
                where the last one is kept.
        """
        if self.warmup_epochs > self.epochs:
            raise ConfigError(
                "warmup_epochs is too large",
                expected=f"at most the number of epochs, {self.epochs}",
                got=self.warmup_epochs,
            )
        if self.keep == "last" and self.patience is not None:
            raise ConfigError(
                "patience and keep contradict each other",
                expected='patience null where keep is "last": training then ends after all epochs',
                got=f"patience {self.patience}",
            )
        if self.schedule == "cosine" and self.final_rate > self.rate:
            raise ConfigError(
                "the cosine would climb", expected=f"final_rate of at most the rate, {self.rate:g}", got=self.final_rate
            )
        return self

    def to_json(self) -> dict[str, Json]:
        """Every field, nested settings as objects."""
        return to_json(self)

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
        name: "paper" is the published recipe: Adam at 3e-4, 40 epochs, early stopping, the shipped width, all slices.
            "quick" takes minutes on two cores: half the width, fewer epochs, a higher learning rate, half of the empty
            slices.
            "shipped" is what the bundles in `models/` were trained with, the last epoch kept: see
            `docs/experiments.md`.
        model: The network's name.

    Raises:
        ConfigError: No preset or no network has that name.

    Examples:
        >>> preset("paper", "unet").epochs
        40
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
            epochs=110,
            keep="last",
            loss=LossConfig(boundary=0.1),
            augment=AugmentConfig(
                scalp=0.5,
                healthy=0.35,
                zoom_out=0.25,
                curve=0.15,
                detail=0.15,
                scaling=0.1,
                swap=0.05,
                missing_zero=0.1,
            ),
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
