"""The memory cap is refused where it cannot hold; that it holds is tried with the isolated process."""

from __future__ import annotations

import sys

import pytest

from brainseg_runtime.errors import WorkerError
from brainseg_runtime.isolation.memory_cap import cap_own_memory


@pytest.mark.parametrize("mebibytes", [-1, 0, 63])
def test_a_cap_that_could_not_hold_python_is_refused(mebibytes: int) -> None:
    with pytest.raises(WorkerError, match="too low"):
        cap_own_memory(mebibytes)


def test_a_system_without_a_cap_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(WorkerError, match="expected Linux or Windows; got darwin"):
        cap_own_memory(1024)
