"""The learning rate at a step: a linear climb, then constant or along half a cosine.

Source of the cosine: Loshchilov and Hutter, SGDR, 2017, eq. 5, without restarts.
"""

from __future__ import annotations

import math

from brainseg_train.config import TrainConfig


def learning_rate_at(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step.

    Args:
        config: Schedule, rates, warm-up and number of epochs.
        step: Steps taken before this one, over all epochs.
        steps_per_epoch: Steps an epoch.

    Returns:
        It climbs to `rate` over the warm-up, and the cosine reaches `final_rate` at the run's very last step.

    Examples:
        >>> config = TrainConfig(rate=0.1, final_rate=0.0, schedule="cosine", warmup_epochs=1.0, epochs=2)
        >>> [round(learning_rate_at(config, step, steps_per_epoch=3), 3) for step in range(6)]
        [0.033, 0.067, 0.1, 0.1, 0.05, 0.0]
    """
    warmup = round(config.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return config.rate * (step + 1) / warmup
    if config.schedule == "constant":
        return config.rate
    falling = max(1, config.epochs * steps_per_epoch - warmup - 1)
    progress = min(1.0, (step - warmup) / falling)
    return config.final_rate + (config.rate - config.final_rate) * (1 + math.cos(math.pi * progress)) / 2
