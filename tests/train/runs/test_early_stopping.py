"""Early stopping: the first of equal epochs is the best, and patience counts epochs since then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_train.runs.early_stopping import EarlyStopping
from brainseg_train.runs.records import Best


def stopped_at(scores: list[float], patience: int | None) -> tuple[int, int]:
    """The best epoch, and the last one that is trained, of epochs with these scores."""
    stopping, best = EarlyStopping(patience=patience), None
    for epoch, dice in enumerate(scores, start=1):
        if stopping.improves({"dice": dice}, best):
            best = Best(epoch=epoch, validation={"dice": dice})
        assert best is not None
        if stopping.is_over(epoch, best):
            return best.epoch, epoch
    assert best is not None
    return best.epoch, len(scores)


@pytest.mark.parametrize(
    ("scores", "patience", "best_and_last"),
    [
        ([0.1, 0.2, 0.3], 1, (3, 3)),
        ([0.5, 0.4, 0.3, 0.9], 2, (1, 3)),
        ([0.5, 0.4, 0.6, 0.5, 0.5, 0.5], 3, (3, 6)),
        ([0.5, 0.5, 0.5], 2, (1, 3)),
        ([0.0, 0.0], 1, (1, 2)),
        ([0.5, 0.4, 0.3, 0.2], None, (1, 4)),
    ],
)
def test_it_stops_once_patience_runs_out(scores: list[float], patience: int | None, best_and_last: object) -> None:
    assert stopped_at(scores, patience) == best_and_last


def test_only_the_dice_counts() -> None:
    best = Best(epoch=1, validation={"dice": 0.5, "loss": 1.0})
    assert not EarlyStopping(patience=1).improves({"dice": 0.5, "loss": 0.1, "dice_median": 0.9}, best)
    assert EarlyStopping(patience=1).improves({"dice": 0.51, "loss": 9.0}, best)


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1), st.integers(1, 4))
def test_no_longer_wait_than_patience_and_no_earlier_end(scores: list[float], patience: int) -> None:
    best, last = stopped_at(scores, patience)
    seen = scores[:last]
    assert best == seen.index(max(seen)) + 1, "the first of the highest"
    assert last - best == patience or last == len(scores)
