"""Early stopping: which epoch is the best so far, and when to stop waiting for a better one.

An epoch is judged by its validation Dice, the mean over patients of the volume's Dice. Of equal epochs the first is the
best.

Source: Prechelt, Early Stopping - But When?, 1998; stopping after a number of epochs without improvement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from brainseg_train.runs.records import Best


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlyStopping:
    """Patience on validation Dice.

    Attributes:
        patience: Epochs without a better Dice after which training stops; None never stops it.

    Examples:
        >>> stopping = EarlyStopping(patience=2)
        >>> best = Best(epoch=3, validation={"dice": 0.8})
        >>> stopping.improves({"dice": 0.8}, best)
        False
        >>> [stopping.is_over(epoch, best) for epoch in (3, 4, 5)]
        [False, False, True]
    """

    patience: int | None

    def improves(self, validation: Mapping[str, float], best: Best | None) -> bool:
        """Whether an epoch's scores are better than those of the best epoch before it.

        Args:
            validation: The epoch's scores, `dice` among them.
            best: The best epoch before; None before the first one.
        """
        return best is None or validation["dice"] > best.validation["dice"]

    def is_over(self, epoch: int, best: Best) -> bool:
        """Whether patience has run out.

        Args:
            epoch: The epoch that has just ended, from 1.
            best: The best epoch so far, this one included.
        """
        return self.patience is not None and epoch - best.epoch >= self.patience
