"""Counts that do not add up are an error."""

from __future__ import annotations

import pytest

from brainseg_runtime.archive.ledger.counts import Counts
from brainseg_runtime.archive.working.rows import Duplicate, Entry, Row
from brainseg_runtime.errors import WorkerError


def row(status: str) -> Row:
    return Row(id="a" * 64, status=status, source="p", name="p")  # type: ignore[arg-type]  # as the cases name it


def test_what_comes_in_is_done_failed_or_skipped() -> None:
    counts = Counts(references=3)
    entry = Entry(
        source="p", fingerprint="", rows=(row("done"), row("failed")), duplicates=(Duplicate(id="b" * 64, name="q"),)
    )
    counts.add(3, entry)
    counts.known(2, 1, 1)
    counts.answered += 1
    counts.check(whole=True)
    assert (counts.n_in, counts.n_done, counts.n_failed, counts.n_skipped) == (6, 1, 2, 3)
    counts.withdrawn(recent=True)
    counts.check(whole=True)
    assert (counts.n_done, counts.n_failed) == (0, 3)


def test_what_is_answered_once_more_counts_once() -> None:
    counts = Counts(references=2)
    entry = Entry(source="p", fingerprint="", rows=(row("done"),), duplicates=(Duplicate(id="b" * 64, name="q"),))
    counts.known(2, 1, 1)
    alone = Counts()
    alone.add(2, entry)
    counts.add(2, entry)
    counts.forget(alone)
    counts.add(2, entry)
    counts.check(whole=True)
    assert (counts.n_in, counts.n_done, counts.n_failed, counts.n_skipped) == (5, 1, 1, 3)


def test_a_lost_study_is_told() -> None:
    counts = Counts(references=1)
    counts.add(2, Entry(source="p", fingerprint="", rows=(row("done"),)))
    with pytest.raises(WorkerError, match="do not add up"):
        counts.check(whole=False)


def test_a_lost_reference_is_told_at_the_end_alone() -> None:
    counts = Counts(references=2)
    counts.add(1, Entry(source="p", fingerprint="", rows=(row("done"),)))
    counts.check(whole=False)
    with pytest.raises(WorkerError, match="2 references"):
        counts.check(whole=True)
