"""Free memory goes back to the system when it is told to, and what is in use stays."""

from __future__ import annotations

import platform
import sys

import pytest

from brainseg_runtime.inference import allocator
from brainseg_runtime.inference.allocator import return_free_memory
from tests.reliability.memory_use import resident_mib


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library gives memory back in ways of its own")
def test_free_blocks_below_one_in_use_go_back() -> None:
    blocks = [bytes([n % 251]) * 100_000 for n in range(640)]
    kept = blocks[-1]  # lies above the others, so that freeing them alone gives nothing back
    full = resident_mib()
    del blocks
    return_free_memory()
    assert full - resident_mib() > 40
    assert kept == bytes([639 % 251]) * 100_000


def test_where_the_system_needs_no_call_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(allocator, "_call", allocator._call.__wrapped__)
    return_free_memory()
