"""A kill at any moment loses no image that was accepted, and sends no object twice."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.runtime.node.kills import PHASES, Outcome, Phase, kill_repeatedly


def faulty(folder: Path, fault: str, phase: Phase, kills: int) -> Outcome:
    """The outcome for a node with a fault."""
    program = (sys.executable, "-m", "tests.runtime.node.faulty", fault)
    return kill_repeatedly(folder, kills, phases=[phase], program=program)


# pynetdicom leaves the sockets of the modality, whose peer was killed, to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_kills_while_receiving_segmenting_and_sending_lose_and_double_nothing(tmp_path: Path) -> None:
    outcome = kill_repeatedly(tmp_path, 2 * len(PHASES), seed=1)
    assert len(outcome.kills) == 6
    assert outcome.accepted == 6 * 18
    assert not outcome.lost
    assert not outcome.unfinished
    assert not outcome.doubled
    assert not outcome.again
    assert not outcome.altered
    assert not outcome.strange


# As above.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_node_that_acknowledges_images_before_it_has_them_is_found_out(tmp_path: Path) -> None:
    assert faulty(tmp_path, "early", "receive", 2).lost


# As above.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_node_that_makes_random_identifiers_is_found_out(tmp_path: Path) -> None:
    outcome = faulty(tmp_path, "random", "segment", 1)
    assert not outcome.lost
    assert outcome.doubled
