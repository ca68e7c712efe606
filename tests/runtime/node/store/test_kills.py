"""A kill at any moment loses nothing that was promised and does nothing twice.

The victim writes down what the store promised it and what it handed to a destination; after each kill the store is
opened again and compared with that. In the end everything that arrived is done, delivered and in the audit, once.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from brainseg_runtime.node.records import Delivery
from brainseg_runtime.node.store.store import Store
from tests.runtime.node.store.victim import KILLED, QUIET, Log, deliver, segment

VICTIM = [sys.executable, "-m", "tests.runtime.node.store.victim"]


@dataclass
class Promised:
    """What a log says."""

    images: dict[tuple[str, str], str] = field(default_factory=dict)
    finished: set[tuple[str, int]] = field(default_factory=set)
    handed: list[tuple[str, str, str, bool]] = field(default_factory=list)
    delivered: Counter[tuple[str, str]] = field(default_factory=Counter)
    again: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, log: Path) -> Promised:
        found = cls()
        for line in log.read_text().splitlines() if log.exists() else []:
            word, *rest = line.split()
            if word == "accepted":
                found.images[rest[0], rest[1]] = rest[2]
            elif word == "finished":
                assert (rest[0], int(rest[1])) not in found.finished, "a revision was finished twice"
                found.finished.add((rest[0], int(rest[1])))
            elif word == "handed":
                if (rest[0], rest[1]) in found.delivered:
                    found.again.append(rest[1])
                if any(each[:2] == (rest[0], rest[1]) for each in found.handed) and rest[3] == "0":
                    found.again.append(rest[1])
                found.handed.append((rest[0], rest[1], rest[2], rest[3] == "1"))
            elif word == "delivered":
                found.delivered[rest[0], rest[1]] += 1
        return found


def check(state: Path, log: Path) -> None:
    """Compares a store, opened after a kill, with what it promised before."""
    promised = Promised.read(log)
    store = Store.open(state)
    try:
        for (study, image), digest in promised.images.items():
            home = store.folder.studies / store.key_of(study)
            contents = {hashlib.sha256(path.read_bytes()[4:]).hexdigest() for path in home.iterdir()}
            assert digest in contents, f"image {image} of {study} was lost"
        for key, revision in promised.finished:
            rows = {row.revision: row for row in store.results(key)}
            assert revision in rows, "a result was lost"
        _nothing_is_half(store)
        sent = {(each.destination, each.object.sop_uid): each.state for each in _deliveries(store)}
        assert {sent[each] for each in promised.delivered} <= {"sent"}
        assert not promised.again, "an object was handed over again although its acceptance was known"
        assert len({each[:2] for each in promised.handed}) == len({each[:3] for each in promised.handed})
    finally:
        store.close()
    with sqlite3.connect(state / "node.sqlite3") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


def _nothing_is_half(store: Store) -> None:
    """Rows and files say the same."""
    studies = store.studies(1000)
    assert not [each for each in studies if each.state == "segmenting"]
    assert {each.name for each in store.folder.studies.iterdir()} == {each.key for each in studies}
    for each in studies:
        assert len(list((store.folder.studies / each.key).iterdir())) == each.images
        rows = store.results(each.key)
        assert sum(row.current for row in rows) == bool(rows)
        for row in rows:
            for made in row.made.objects:
                assert hashlib.sha256((row.made.folder / made.path).read_bytes()).hexdigest() == made.sha256
    named = {row.made.folder for each in studies for row in store.results(each.key)}
    assert set(store.folder.results.glob("*/*")) == named
    assert not list(store.folder.incoming.iterdir())
    assert not [each for each in _deliveries(store) if each.state == "sending"]


def _deliveries(store: Store) -> list[Delivery]:
    return [each for study in store.studies(1000) for each in store.deliveries(study.key)]


def complete(state: Path, log_path: Path) -> None:
    """Does the rest, and compares the audit with what was done."""
    now = [time.time() + 100]
    store, log = Store.open(state, clock=lambda: now[0]), Log(log_path)
    store.close_quiet(QUIET)
    while segment(store, log):
        pass
    for _ in range(2):  # what is refused the first time is due again after a pause
        for destination in ("pacs", "archive"):
            while deliver(store, log, destination):
                pass
        now[0] += 100
    studies = store.studies(1000)
    assert {each.state for each in studies} <= {"done"}
    promised = Promised.read(log_path)
    current = [(row, each) for each in studies for row in store.results(each.key) if row.current]
    assert {(row.key, row.revision) for row, _ in current} == {(each.key, each.revision) for each in studies}
    expected = {(row.key, row.revision) for each in studies for row in store.results(each.key)}
    handed = {each[:2] for each in promised.handed}
    for row, _ in current:
        for destination, kinds in (("pacs", {"seg", "sr"}), ("archive", {"seg"})):
            for made in row.made.objects:
                assert ((destination, made.sop_uid) in handed) == (made.kind in kinds)
    assert {each.state for each in _deliveries(store)} <= {"sent", "superseded"}
    store.close()
    check(state, log_path)
    lines = [json.loads(line) for path in sorted((state / "audit").iterdir()) for line in path.read_text().splitlines()]
    assert Counter((line["study"], line["revision"]) for line in lines) == Counter(expected)
    assert [line["id"] for line in lines] == sorted({line["id"] for line in lines})


def killed_at_step(folder: Path, step: int) -> bool:
    """Whether the victim was killed before it was done; the store is checked and completed either way."""
    state, log = folder / f"state{step}", folder / f"log{step}"
    ended = subprocess.run([*VICTIM, "steps", str(state), str(log), str(step)], check=False, timeout=60).returncode
    assert ended in {0, KILLED}
    check(state, log)
    complete(state, log)
    return ended == KILLED


def test_a_kill_at_a_step_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    """Every 23rd flush, rename, removal, statement and commit of a study's way; the slow test has each of them."""
    assert not killed_at_step(tmp_path, 100_000)
    assert sum(itertools.takewhile(bool, (killed_at_step(tmp_path, step) for step in range(4, 100_000, 23)))) > 5


@pytest.mark.slow
def test_a_kill_at_every_step_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    assert sum(itertools.takewhile(bool, (killed_at_step(tmp_path, step) for step in range(100_000)))) > 100


def kill_at_random(folder: Path, times: int) -> None:
    state, log = folder / "state", folder / "log"
    moments = random.Random(13)  # noqa: S311 - moments, not secrets
    for _ in range(times):
        with subprocess.Popen([*VICTIM, "work", str(state), str(log)]) as victim:
            lines = log.read_text().count("began") if log.exists() else 0
            while log.read_text().count("began") <= lines if log.exists() else True:
                assert victim.poll() is None
                time.sleep(0.005)
            time.sleep(moments.uniform(0, 0.3))
            victim.send_signal(signal.SIGKILL)
        check(state, log)
    complete(state, log)
    promised = Promised.read(log)
    assert len(promised.images) > times
    assert promised.delivered


def test_kills_at_random_moments_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    kill_at_random(tmp_path, 6)


@pytest.mark.slow
def test_a_hundred_kills_at_random_moments_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    kill_at_random(tmp_path, 100)
