"""Trials: every point once, nobody twice, bad ones pruned, and all of it after a crash."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from optuna.trial import TrialState

from brainseg_train.config import TrainConfig
from brainseg_train.tuning.search import PAPER_GRID, TPE_SPACE, Search, configure, grid_search
from brainseg_train.tuning.tuner import Tuner

if TYPE_CHECKING:
    from pathlib import Path

    from brainseg_train.tuning.tuner import Claim


def tuner(folder: Path, search: Search, *, seed: int = 0) -> Tuner:
    return Tuner(folder=folder, name="unet", search=search, seed=seed, lock_of=lambda trial: folder / f"trial-{trial}")


def take_all(of: Tuner, dice: float = 0.5) -> list[dict[str, Any]]:
    taken = []
    while (claim := of.claim()) is not None:
        taken.append(claim.params)
        claim.finish("complete", dice)
    return taken


def require(claim: Claim | None) -> Claim:
    assert claim is not None
    return claim


def test_the_grid_is_the_six_configurations_each_once(tmp_path: Path) -> None:
    taken = take_all(tuner(tmp_path, grid_search(PAPER_GRID)))
    wanted = list(product(("3e-4", "1e-6", "3e-4 to 1e-6"), (16, 32)))
    assert sorted((params["rate"], params["batch"]) for params in taken) == sorted(wanted)


def test_the_same_seed_gives_the_same_order(tmp_path: Path) -> None:
    orders = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        orders.append(take_all(tuner(tmp_path / name, grid_search(PAPER_GRID), seed=4)))
    assert orders[0] == orders[1]


def test_two_hands_never_hold_one_trial(tmp_path: Path) -> None:
    first, second = tuner(tmp_path, grid_search(PAPER_GRID)), tuner(tmp_path, grid_search(PAPER_GRID))
    claims = [require(one.claim()) for one in (first, second) * 3]
    assert sorted(claim.number for claim in claims) == list(range(6))
    assert first.claim() is None
    assert first.unfinished() == 6


def test_a_trial_left_unfinished_is_taken_up_first_with_its_parameters(tmp_path: Path) -> None:
    one = tuner(tmp_path, grid_search(PAPER_GRID))
    left, held = require(one.claim()), require(one.claim())
    left.report(1, 0.25)
    left.leave()
    again = require(tuner(tmp_path, grid_search(PAPER_GRID)).claim())
    assert (again.number, again.params) == (left.number, left.params)
    assert held.number != again.number


def test_an_epoch_that_is_done_again_is_reported_once(tmp_path: Path) -> None:
    claim = require(tuner(tmp_path, grid_search(PAPER_GRID)).claim())
    assert not claim.report(1, 0.25)
    assert not claim.report(1, 0.25)


def test_a_bad_trial_is_pruned_and_kept_as_such(tmp_path: Path) -> None:
    search = Search(trials=6, prune_below=0.2, prune_from=2)
    of = tuner(tmp_path, search)
    claim = require(of.claim())
    assert [claim.report(epoch, dice) for epoch, dice in ((1, 0.1), (2, 0.3), (3, 0.1))] == [False, False, True]
    claim.finish("pruned", 0.3)
    assert of.trials()[0].state == TrialState.PRUNED
    assert of.unfinished() == 5


def test_without_a_bound_nothing_is_pruned(tmp_path: Path) -> None:
    claim = require(tuner(tmp_path, grid_search(PAPER_GRID)).claim())
    assert not any(claim.report(epoch, 0.0) for epoch in range(1, 41))


def test_a_failed_trial_is_not_tried_again(tmp_path: Path) -> None:
    of = tuner(tmp_path, grid_search({"rate": ("3e-4",)}))
    require(of.claim()).finish("failed", None)
    assert of.claim() is None
    assert of.unfinished() == 0


def test_a_line_that_a_power_failure_tore_costs_nothing(tmp_path: Path) -> None:
    of = tuner(tmp_path, grid_search(PAPER_GRID))
    require(of.claim()).finish("complete", 0.5)
    with (tmp_path / "journal.log").open("ab") as journal:
        journal.write(b'{"op_code": 6, "wor')
    assert len(take_all(of)) == 5


TAKE = """
import sys
from pathlib import Path
from brainseg_train.tuning.search import PAPER_GRID, grid_search
from brainseg_train.tuning.tuner import Tuner
folder = Path(sys.argv[1])
search = grid_search(PAPER_GRID)
tuner = Tuner(folder=folder, name="unet", search=search, seed=0, lock_of=lambda number: folder / f"{number}.lock")
while (claim := tuner.claim()) is not None:
    claim.report(1, 0.5)
    claim.finish("complete", 0.5)
    sys.stdout.write(f"{claim.number}\\n")
"""


def test_two_processes_share_the_grid(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TAKE, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    numbers = [int(line) for process in processes for line in process.communicate()[0].split()]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(numbers) == list(range(6))


def test_tpe_proposes_configurations_that_can_be_trained(tmp_path: Path) -> None:
    search = Search(kind="tpe", trials=9, grid={})
    taken = take_all(tuner(tmp_path, search))
    assert len(taken) == 9
    assert len({tuple(params.values()) for params in taken}) == 9
    for params in taken:
        assert set(params) == set(TPE_SPACE)
        config = configure(TrainConfig(), params)
        assert 1e-4 <= config.rate <= 5e-3
        assert config.width in (16, 24, 32)
        assert config.loss.bce + config.loss.dice == pytest.approx(2.0)


def test_tpe_goes_on_after_a_break_as_it_would_have(tmp_path: Path) -> None:
    search = Search(kind="tpe", trials=8, grid={})
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    whole = take_all(tuner(tmp_path / "whole", search))
    broken = []
    while (claim := tuner(tmp_path / "broken", search).claim()) is not None:  # a new tuner each time
        broken.append(claim.params)
        claim.finish("complete", 0.5)
    assert broken == whole
