"""Counts that add up: what came in is done, failed or skipped, and nothing is missing or there twice."""

from __future__ import annotations

from dataclasses import dataclass, fields

from brainseg_runtime.archive.working.rows import Entry
from brainseg_runtime.errors import WorkerError


@dataclass(kw_only=True, slots=True)
class Counts:
    """Studies of a run, counted where they come in and, apart from that, where they end.

    Attributes:
        n_in: Studies that workers found, and those of references that were known already.
        n_done: Segmented in this run.
        n_failed: Failed, in this run or in an earlier one.
        n_duplicates: The same pixels as a study that is there; skipped.
        n_known: Done in an earlier run; skipped.
        references: References that the source gave.
        answered: References that ended: answered, known or listed twice.
    """

    n_in: int = 0
    n_done: int = 0
    n_failed: int = 0
    n_duplicates: int = 0
    n_known: int = 0
    references: int = 0
    answered: int = 0

    @property
    def n_skipped(self) -> int:
        """Studies that needed no work."""
        return self.n_duplicates + self.n_known

    def add(self, found: int, entry: Entry) -> None:
        """Count an answer.

        Args:
            found: Studies that the worker found.
            entry: What became of them.
        """
        self.answered += 1
        self.n_in += found
        failed = sum(row.status == "failed" for row in entry.rows)
        self.n_failed += failed
        self.n_done += len(entry.rows) - failed
        self.n_duplicates += len(entry.duplicates)

    def known(self, rows: int, failed: int, duplicates: int) -> None:
        """Count a reference of an earlier run.

        Args:
            rows: Its rows.
            failed: How many of them failed.
            duplicates: Its duplicates.
        """
        self.answered += 1
        self.n_in += rows + duplicates
        self.n_failed += failed
        self.n_known += rows - failed
        self.n_duplicates += duplicates

    def forget(self, other: Counts) -> None:
        """Take back what was counted of a reference that is to be answered once more.

        Args:
            other: That, counted alone.
        """
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) - getattr(other, each.name))

    def withdrawn(self, *, recent: bool) -> None:
        """Count a done study that failed after all.

        Args:
            recent: Whether this run had done it.
        """
        self.n_failed += 1
        if recent:
            self.n_done -= 1
        else:
            self.n_known -= 1

    def check(self, *, whole: bool) -> None:
        """Raise unless the counts add up.

        Args:
            whole: Whether the run came to its end, so that every reference must have ended.

        Raises:
            WorkerError: They do not: a study got lost, or is there twice.

        >>> Counts(n_in=2, n_done=1, n_failed=1, references=2, answered=2).check(whole=True)
        """
        ended = self.n_done + self.n_failed + self.n_skipped
        if ended != self.n_in or (whole and self.answered != self.references):
            raise WorkerError(
                "the counts do not add up",
                expected=f"{self.n_in} studies and {self.references} references",
                got=f"{ended} studies and {self.answered} references",
                remedy="report this with rows.jsonl",
            )
