"""Two hosts tune one study through one journal; one is killed, and the other takes up its trial.

Which of the two leads is left to chance, as both start at once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from optuna.trial import TrialState

from brainseg_train.tuning import study
from tests.train.network_hosts import two_hosts
from tests.train.studies import board_of, run_command, tiny, without_times

_PATIENCE_S = 240.0
_GRID = ("--preset", "paper", "--models", "unet", "--epochs", "1", "--device", "cpu")


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_of_two_hosts_that_start_one_study_at_once_one_is_killed_and_the_other_completes_it(
    small_patients: Path, tmp_path: Path
) -> None:
    runs, cache = tmp_path / "shared", ("--cache", str(tmp_path / "cache"))
    alone, arguments = (tiny(small_patients, where, *_GRID, *cache) for where in (tmp_path / "alone", runs))
    assert run_command("all", *alone) == 0
    command = [sys.executable, "-m", "brainseg_train.cli", "all", *arguments]
    with two_hosts() as (first, second):
        leader = first.start([*command, "--resume"], tmp_path / "first.log")
        helper = second.start([*command, "--resume"], tmp_path / "second.log")
        try:
            _wait(lambda: len(list(runs.glob("*/run.json"))) >= 3)
            assert helper.poll() is None
        finally:
            leader.kill()
            leader.wait()
        assert helper.wait(_PATIENCE_S) == 0, (tmp_path / "second.log").read_text(encoding="utf-8")
    assert len(list(runs.glob("studies/*/study.json"))) == 1
    current = study.newest(runs)
    assert current is not None
    assert current.record.status == "complete"
    (unit,) = current.request.units
    assert [trial.state for trial in current.tuner(unit).trials()] == [TrialState.COMPLETE] * 6
    assert len(list(runs.glob("*/run.json"))) == 6
    assert without_times(board_of(runs)) == without_times(board_of(tmp_path / "alone"))
