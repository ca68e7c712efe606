"""A store and its clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from brainseg_runtime.node.store.store import Store
from tests.runtime.node.store.made import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    store = Store.open(tmp_path / "state", clock=clock)
    yield store
    store.close()
