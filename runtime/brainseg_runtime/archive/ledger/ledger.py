"""The ledger: a line for each reference, added when its objects are in place; what a later start trusts.

Only the driver writes it, and one driver at a time has OUT. A line is on the disk before the next study is taken over.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from brainseg_runtime.archive.finding.references import Reference
from brainseg_runtime.archive.ledger.lines import Lines, as_line, opened
from brainseg_runtime.archive.working.rows import Answer, Duplicate, Entry, Row, error_parts
from brainseg_runtime.errors import FileWriteError, InputError, StudyError
from brainseg_runtime.safe_io.exclusive import lock_at_once
from brainseg_runtime.safe_io.files import make_folder, read_capped, sync_folder, write_json

FILE: Final = "rows.jsonl"
OBJECTS: Final = "objects"
WORK: Final = ".work"
RUN: Final = "run.json"
LOCK: Final = ".lock"


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger says of a reference.

    Attributes:
        fingerprint: Of its files.
        offset: Of its line.
        failed: How many of its studies failed.
        ids: Identities of its rows.
        duplicates: Identities of studies that other references have brought.
    """

    fingerprint: str
    offset: int
    failed: int
    ids: tuple[str, ...]
    duplicates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """What taking an answer over came to.

    Attributes:
        entry: The answer's line.
        withdrawn: Rows of other references that failed by it, though they were done: the reference, and whether the
            row was made in this run.
    """

    entry: Entry
    withdrawn: tuple[tuple[str, bool], ...] = ()


class Ledger:
    """The ledger of a folder OUT, open for one driver.

    Args:
        out: The folder; made if it does not exist.

    Raises:
        InputError: Another driver has it, or its lines are not what is written here.
        FileWriteError: It cannot be written.
    """

    def __init__(self, out: Path) -> None:
        self.out = Path(out)
        # New for each driver: an actor that outlives the one before may still write into its attempt.
        self.work = self.out / WORK / secrets.token_hex(4)
        make_folder(self.out)
        self._lock = _locked(self.out / LOCK)
        try:
            shutil.rmtree(self.out / WORK, ignore_errors=True)  # attempts of a driver that was killed
            make_folder(self.work)
            self._lines = Lines(self.out / FILE)
        except BaseException:
            self._lock.close()
            raise
        self.known: dict[str, Known] = {}
        self._owners: dict[str, str] = {}
        self._uids: dict[str, tuple[str, str]] = {}
        self._recent: set[str] = set()
        try:
            for entry, offset in self._lines.recover():
                self._enter(entry, offset)
        except BaseException:
            self._lines.close()
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let another driver have the folder."""
        self._lines.close()
        shutil.rmtree(self.out / WORK, ignore_errors=True)
        self._lock.close()

    def settled(self, reference: Reference, mark: str) -> Known | None:
        """What an earlier start made of a reference, if its files are those of then, and its rows still stand.

        Args:
            reference: The reference.
            mark: Fingerprint of its files now.
        """
        known = self.known.get(reference.name)
        if known is None or not mark or known.fingerprint != mark:
            return None
        return known if self.stands(reference.name) else None

    def stands(self, name: str) -> bool:
        """Whether a reference's rows are in the table, and those that its duplicates count on.

        Args:
            name: Of a reference that has a line.
        """
        known = self.known[name]
        owned = all(self._owners.get(each) == name for each in known.ids)
        return owned and all(each in self._owners for each in known.duplicates)

    def take(self, reference: Reference, answer: Answer) -> Taken:
        """Take an answer over: objects to their place, then a line; studies that are there already are dropped.

        Args:
            reference: What was asked.
            answer: What a worker says, its objects in the reference's last attempt.

        Returns:
            The line, and what else changed by it.

        Raises:
            FileWriteError: The disk does not take it; the ledger is as it was before.
            InputError: The reference holds so many studies that their line could not be read again.
        """
        home = self.work / reference.key
        split = self._split(reference, answer)
        if split:
            answer = replace(answer, rows=tuple(_parted(row) if row.study_uid in split else row for row in answer.rows))
        rows: list[Row] = []
        duplicates: list[Duplicate] = []
        mine: set[str] = set()
        for row in answer.rows:
            owner = self._owners.get(row.id)
            if row.id in mine or (owner is not None and owner != reference.name):
                duplicates.append(Duplicate(id=row.id, name=row.name))
            else:
                mine.add(row.id)
                rows.append(row)
        entry = Entry(
            source=answer.source, fingerprint=answer.fingerprint, rows=tuple(rows), duplicates=tuple(duplicates)
        )
        line = as_line(entry)
        for row in rows:
            if row.objects:
                self._place(row, home)
        withdrawn = tuple(self._withdraw(source, set(split)) for source in sorted(set(split.values())))
        self._append(entry, line)
        self._recent.add(entry.source)
        shutil.rmtree(home, ignore_errors=True)
        return Taken(entry, tuple(each for some in withdrawn for each in some))

    def forget_work(self, reference: Reference) -> None:
        """Remove a reference's attempts.

        Args:
            reference: The reference.
        """
        shutil.rmtree(self.work / reference.key, ignore_errors=True)

    def entries(self) -> Iterator[Entry]:
        """The line of each reference that counts, in order."""
        return self._lines.at(sorted(known.offset for known in self.known.values()))

    def rows(self) -> Iterator[Row]:
        """Every row that counts, each identity once."""
        for entry in self.entries():
            for row in entry.rows:
                if self._owners.get(row.id) == entry.source:
                    yield row

    def _split(self, reference: Reference, answer: Answer) -> dict[str, str]:
        """Studies of which other references hold other pixels: UID to the other's name.

        Such a study lies in several folders that the search took for several studies, each with a part of it; or two
        studies have one UID. Neither mask can be trusted.
        """
        found = {}
        for row in answer.rows:
            known = self._uids.get(row.study_uid or "")
            if row.study_uid and known is not None and known[0] != reference.name and known[1] != row.id:
                found[row.study_uid] = known[0]
        return found

    def _withdraw(self, source: str, uids: set[str]) -> list[tuple[str, bool]]:
        """Fail those of a reference's studies that another reference shares, and remove their objects."""
        (entry,) = self._lines.at([self.known[source].offset])
        done = [row for row in entry.rows if row.study_uid in uids and row.status == "done"]
        if not done:
            return []
        for row in done:
            shutil.rmtree(self.out / OBJECTS / row.id, ignore_errors=True)
        rows = tuple(_parted(row) if row in done else row for row in entry.rows)
        failed = replace(entry, rows=rows)
        self._append(failed, as_line(failed))
        return [(source, source in self._recent)] * len(done)

    def _place(self, row: Row, home: Path) -> None:
        """Give a study's objects their place, replacing what a killed driver or an earlier bundle's files left."""
        found = home / str(row.attempts) / row.id
        target = self.out / OBJECTS / row.id
        try:
            target.parent.mkdir(exist_ok=True)
            if target.exists():
                shutil.rmtree(target)
            found.rename(target)
            sync_folder(target.parent)
        except OSError as error:
            raise FileWriteError(
                f"{target} cannot be written", expected="a writable folder with space", got=error.strerror
            ) from error

    def _append(self, entry: Entry, line: bytes) -> None:
        """Add a line and remember it."""
        self._enter(entry, self._lines.append(line))

    def _enter(self, entry: Entry, offset: int) -> None:
        """Remember a line; it takes the place of an earlier one of the same reference."""
        before = self.known.get(entry.source)
        for each in before.ids if before is not None else ():
            if self._owners.get(each) == entry.source:
                del self._owners[each]
        ids = tuple(row.id for row in entry.rows)
        for each in ids:
            self._owners.setdefault(each, entry.source)
        for row in entry.rows:
            if row.study_uid and row.pixels_sha256 is not None:
                self._uids.setdefault(row.study_uid, (entry.source, row.id))
        self.known[entry.source] = Known(
            fingerprint=entry.fingerprint,
            offset=offset,
            failed=sum(row.status == "failed" for row in entry.rows),
            ids=ids,
            duplicates=tuple(each.id for each in entry.duplicates),
        )


def _parted(row: Row) -> Row:
    """The row of a study whose files lie in several places."""
    error = StudyError(
        "other files with this StudyInstanceUID lie elsewhere in the source",
        expected="all files of a study in one folder, and a UID for each study",
        got="several references with different pixels",
        remedy="give a list (.csv) whose line names the folder above all of them, or one of the places alone, and "
        "another folder with -o",
    )
    return Row(
        id=row.id,
        status="failed",
        source=row.source,
        name=row.name,
        kind=row.kind,
        study_uid=row.study_uid,
        site=row.site,
        scanner=row.scanner,
        seconds=row.seconds,
        bundle=row.bundle,
        attempts=row.attempts,
        error=error_parts(error),
    )


def require_same(out: Path, now: dict[str, str]) -> None:
    """Refuse a folder that was begun with another bundle or other settings; note these if it is new.

    Args:
        out: The folder.
        now: What decides rows and objects, in words.

    Raises:
        InputError: It was begun otherwise.
        FileWriteError: The note cannot be written.
    """
    path = out / RUN
    if not path.exists():
        if (out / FILE).exists() and (out / FILE).stat().st_size:
            raise InputError(f"{out} holds rows without {RUN}", remedy="give another folder with -o")
        write_json(path, now)
        return
    try:
        before = json.loads(read_capped(path, 1 << 20))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged", expected="JSON", remedy="give another folder with -o") from error
    before = before if isinstance(before, dict) else {}
    differences = [
        f"{name} {before.get(name)}, now {value}" for name, value in now.items() if before.get(name) != value
    ]
    if differences:
        raise InputError(
            f"{out} holds the rows of another run: {'; '.join(differences)}",
            expected="the same model and settings, since one table cannot describe results of two",
            remedy="give another folder with -o",
        )


def _locked(path: Path) -> IO[bytes]:
    """A file that stays locked until it is closed or the process ends, however it ends."""
    file = opened(path)
    try:
        lock_at_once(file)
    except OSError as error:
        file.close()
        raise InputError(
            f"{path.parent} is in use",
            expected="one brainseg archive at a time",
            got=error.strerror,
            remedy="wait for the other, or give another folder with -o",
        ) from error
    return file
