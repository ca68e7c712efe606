"""Processes of one start meet, whatever those of an earlier start have left in the launcher's store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from torch._C._distributed_c10d import Store, TCPStore

from brainseg_train.errors import GroupError
from brainseg_train.learning.meeting import launcher_store, meet


@pytest.fixture
def server() -> TCPStore:
    """A store of its own, on a free port of this machine."""
    return TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=10))


def _client(server: TCPStore) -> TCPStore:
    patience = timedelta(seconds=10)
    return TCPStore("127.0.0.1", server.port, is_master=False, wait_for_workers=False, timeout=patience)


def _start(server: TCPStore, size: int) -> list[Store]:
    with ThreadPoolExecutor(size) as pool:
        met = [pool.submit(meet, _client(server), rank, size, patience=10.0) for rank in reversed(range(size))]
        return [each.result() for each in reversed(met)]


def test_what_one_start_leaves_is_not_seen_by_the_next(server: TCPStore) -> None:
    first = _start(server, 3)
    first[0].set("address", "of a process that is gone")
    assert first[2].get("address") == b"of a process that is gone"
    second = _start(server, 3)
    assert not second[1].check(["address"])
    second[0].set("address", "new")
    assert [store.get("address") for store in second] == [b"new"] * 3


def test_one_that_starts_first_waits_for_the_new_start_and_does_not_join_the_old_one(server: TCPStore) -> None:
    _start(server, 2)
    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(meet, _client(server), 1, 2, patience=10.0)
        with pytest.raises(TimeoutError):
            early.result(timeout=0.5)
        meet(_client(server), 0, 2, patience=10.0).set("key", "new")
        assert early.result().get("key") == b"new"


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_does_not_come_is_an_error(server: TCPStore, rank: int) -> None:
    with pytest.raises(GroupError, match="not all started"):
        meet(_client(server), rank, 2, patience=0.2)


def test_without_a_launcher_there_is_no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    assert launcher_store() is None
