"""Phantom patients, and a small comparison of networks on them, made once for the tests that look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from brainseg_train.phantom.patients import write_phantom
from tests.train.studies import TWO, run_command, tiny

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def small_patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty generated patients of five or six slices of 64×64: three of them are to test."""
    return write_phantom(tmp_path_factory.mktemp("data") / "patients", patients=20, seed=3, slices=(5, 6), side=64)


@pytest.fixture(scope="session")
def compared(small_patients: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with a complete comparison, made without interruption in one process."""
    runs = tmp_path_factory.mktemp("compared") / "runs"
    assert run_command("all", *tiny(small_patients, runs, *TWO)) == 0
    return runs
