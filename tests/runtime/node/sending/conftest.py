"""What tests of sending share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from brainseg_runtime.node.sending import dimse


@pytest.fixture(autouse=True)
def _broken_connections_end_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pynetdicom leaves sockets of broken connections to Python, and at times waits for what cannot come any more."""
    monkeypatch.setattr(dimse, "ANSWER_SECONDS", 5.0)
    yield
    gc.collect()
