"""Which configurations are tried: a grid or a wider space, and how a trial's parameters change a configuration.

A trial is pruned when, a third of the way in, it still does worse on the validation subset than one threshold on FLAIR.
That depends on the trial alone, never on which other trials happened to run beside it, so the same study always prunes
the same trials.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from brainseg_runtime.safe_io.typed_json import AtLeast, check
from brainseg_train.config import LossConfig, TrainConfig
from brainseg_train.errors import ConfigError

Value: TypeAlias = "str | int | float"
Params: TypeAlias = "dict[str, Value]"
SearchKind = Literal["grid", "tpe"]

PAPER_GRID: Mapping[str, tuple[Value, ...]] = {"rate": ("3e-4", "1e-6", "3e-4 to 1e-6"), "batch": (16, 32)}
"""Six configurations: constant 3e-4, constant 1e-6, a cosine from one to the other; each at two batch sizes."""

QUICK_GRID: Mapping[str, tuple[Value, ...]] = {"rate": ("2e-3 to 1e-5",), "batch": (16,)}
"""One configuration that learns within a dozen epochs, which 3e-4 does not."""

TPE_SPACE: Mapping[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-4, 5e-3, log=True),
    "schedule": CategoricalDistribution(("constant", "cosine")),
    "batch": CategoricalDistribution((8, 16, 32)),
    "width": CategoricalDistribution((0.5, 0.75, 1.0)),
    "augmentation": FloatDistribution(0.0, 1.5),
    "dice_share": FloatDistribution(0.1, 0.9),
}
"""The wider space: `width` is a fraction of the preset's, `augmentation` a strength, `dice_share` that of soft Dice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """What is tried for each network.

    Attributes:
        kind: A grid, every point once, or TPE over `TPE_SPACE`.
        trials: Trials for each network; a grid's points where it is one.
        grid: Parameter names to values; empty for TPE.
        prune_below: Validation Dice in [0, 1] below which a trial is pruned; None never prunes.
        prune_from: First epoch after which a trial may be pruned.
    """

    kind: SearchKind = "grid"
    trials: Annotated[int, AtLeast(1)] = 6
    grid: dict[str, tuple[Any, ...]] = field(default_factory=lambda: dict(PAPER_GRID))
    prune_below: float | None = None
    prune_from: int = 1

    def __post_init__(self) -> None:
        """Refuse an empty search."""
        check(self, "search", error=ConfigError)


def grid_search(grid: Mapping[str, Sequence[Value]]) -> Search:
    """A search of every point of a grid.

    Examples:
        >>> grid_search(PAPER_GRID).trials
        6
    """
    points = math.prod(map(len, grid.values()))
    return Search(kind="grid", trials=points, grid={name: tuple(values) for name, values in grid.items()})


def configure(base: TrainConfig, params: Mapping[str, Value]) -> TrainConfig:
    """A trial's configuration: the preset's, with the trial's parameters in place.

    Args:
        base: What stays the same.
        params: Values of the grid or of `TPE_SPACE`; see there.

    Raises:
        ConfigError: A parameter is unknown or its value not allowed.

    Examples:
        >>> configure(TrainConfig(), {"rate": "3e-4 to 1e-6", "batch": 32}).schedule
        'cosine'
    """
    changes: dict[str, Any] = {}
    for name, value in params.items():
        if name not in SETTERS:
            raise ConfigError("a trial has an unknown parameter", expected=f"one of {', '.join(SETTERS)}", got=name)
        changes |= SETTERS[name](base, value)
    return dataclasses.replace(base, **changes)


def read_learning_rate(value: Value) -> dict[str, Any]:
    """The fields of a configuration that a learning rate in words sets.

    Args:
        value: A number leaves the schedule as it is; `3e-4` is constant; `3e-4 to 1e-6` is a cosine from one to the
            other.

    Raises:
        ConfigError: It cannot be read.

    Examples:
        >>> read_learning_rate("3e-4 to 1e-6")
        {'schedule': 'cosine', 'rate': 0.0003, 'final_rate': 1e-06}
    """
    if not isinstance(value, str):
        return {"rate": float(value)}
    try:
        rates = [float(part) for part in value.split(" to ")]
    except ValueError:
        rates = []
    if len(rates) == 1:
        return {"schedule": "constant", "rate": rates[0]}
    if len(rates) == 2:
        return {"schedule": "cosine", "rate": rates[0], "final_rate": rates[1]}
    raise ConfigError("the learning rate is not understood", expected="3e-4, or 3e-4 to 1e-6", got=value)


def describe(params: Mapping[str, Value]) -> str:
    """A trial's parameters in words.

    Examples:
        >>> describe({"rate": "3e-4 to 1e-6", "batch": 16})
        'rate 3e-4 to 1e-6, batch 16'
    """
    return ", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in params.items())


def best_of(values: Iterable[tuple[int, float | None]]) -> int | None:
    """The trial with the highest validation Dice, the first of equals; None where no trial has any.

    Args:
        values: Trial numbers with their Dice in [0, 1], None for a trial without.

    Examples:
        >>> best_of([(0, 0.5), (1, 0.75), (2, 0.75), (3, None)])
        1
    """
    scored = [(-dice, number) for number, dice in values if dice is not None]
    return min(scored)[1] if scored else None


def _short(value: Value) -> str:
    """A number to three digits, anything else as it is."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


SETTERS: Mapping[str, Callable[[TrainConfig, Any], dict[str, Any]]] = {
    "rate": lambda _, value: read_learning_rate(value),
    "schedule": lambda _, value: {"schedule": value},
    "batch": lambda _, value: {"batch": int(value)},
    "width": lambda base, value: {"width": max(1, round(base.width * value))},
    "augmentation": lambda base, value: {"augment": base.augment.scaled(value)},
    "dice_share": lambda _, value: {"loss": LossConfig(bce=2 * (1 - value), dice=2 * value)},
}
"""The fields of a configuration that each parameter sets."""
