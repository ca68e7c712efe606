"""The work: one reference to its rows and objects. Every engine calls `taken`, and nothing else decides a bit.

Each attempt has a folder of its own, `work/<key>/<n>`, made before anything is read. A worker that dies leaves it
behind, so that the next one, on whatever machine, knows that the reference has cost workers before; at the third the
reference itself is at fault. What an attempt writes lies in its folder until the driver takes it over.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from brainseg_runtime.archive.finding.references import Reference, is_address
from brainseg_runtime.archive.finding.trees import fetch, files_of
from brainseg_runtime.archive.working.identity import fingerprint, unread_id
from brainseg_runtime.archive.working.job import TRIES, Job
from brainseg_runtime.archive.working.rows import Answer, Row, error_parts
from brainseg_runtime.errors import (
    BrainsegError,
    FileWriteError,
    InferenceError,
    MissingExtraError,
    OutOfMemoryError,
    WorkerError,
)
from brainseg_runtime.images.dataset import site_of
from brainseg_runtime.prediction.kinds import told_kind
from brainseg_runtime.problems import printable
from brainseg_runtime.safe_io.files import write_bytes, write_text
from brainseg_runtime.safe_io.system_faults import as_fault, says_shortage

if TYPE_CHECKING:
    from brainseg_runtime.archive.working.units import Unit
    from brainseg_runtime.segmentation.base_segmenter import BaseSegmenter

WHY: Final = "why.txt"
"""In an attempt's folder: how it ended, where that is known."""

PREVIEW: Final = "preview.png"
_PROBE: Final = 1 << 20
"""Bytes that a folder must take for a write's failure to be the study's own."""


def taken(segmenter: BaseSegmenter, reference: Reference, job: Job) -> Answer:
    """Segment the studies of a reference.

    Args:
        segmenter: A loaded model.
        reference: Where they are.
        job: What to compute and write.

    Returns:
        A row for each study: done, or failed with the reason.

    Raises:
        OutOfMemoryError: This process should end; another one is to try again.
        FileWriteError: The disk takes nothing more.
        MissingExtraError: A library is not installed.
    """
    number, folder = _next_attempt(job.work / reference.key)
    if number > TRIES:
        return given_up(reference, job)
    try:
        mark = mark_of(reference)  # before anything is read: what changes meanwhile is read again by the next start
        found, rows = _rows(segmenter, reference, job, folder)
    except (OutOfMemoryError, MemoryError) as error:
        with contextlib.suppress(FileWriteError):
            write_text(folder / WHY, "it ran out of memory")
        raise OutOfMemoryError("there is not enough memory", got=as_fault(error)) from error
    except BrainsegError:
        raise
    except Exception as error:
        with contextlib.suppress(FileWriteError):
            write_text(folder / WHY, f"an unexpected error, {type(error).__name__}")
        raise
    rows = [replace(row, source=reference.name, site=reference.site or row.site, attempts=number) for row in rows]
    return Answer(source=reference.name, fingerprint=mark, found=found, rows=tuple(rows))


def mark_of(reference: Reference) -> str:
    """The fingerprint of a reference's files; "" if they cannot be listed."""
    try:
        return fingerprint(files_of(reference))
    except BrainsegError:
        return ""


def previewed(segmenter: BaseSegmenter, reference: Reference, job: Job) -> Answer:
    """Make the picture of one study of a reference, as `PREVIEW` in its attempt's folder.

    Args:
        segmenter: A loaded model.
        reference: Where it is.
        job: Its `previews` name the study.

    Returns:
        No row; `found` is 1 if there is a picture, else 0.

    Raises:
        OutOfMemoryError: As for `taken`.
    """
    number, folder = _next_attempt(job.work / reference.key)
    nothing = Answer(source=reference.name, fingerprint="", found=0, rows=())
    if number > TRIES:
        return nothing
    try:
        with _here(reference) as paths:
            units = _units(reference, paths)
            wanted = job.previews[reference.name]
            chosen = [each for each in units if each.name == wanted.name]
            if len(chosen) != 1:  # gone, or one of several with the same name: better none than another's
                return nothing
            write_bytes(folder / PREVIEW, chosen[0].preview(segmenter, job, folder, wanted.slice))
    except BrainsegError as error:
        _raise_if_not_its_own(error, job)
        return nothing
    return replace(nothing, found=1)


def _rows(segmenter: BaseSegmenter, reference: Reference, job: Job, folder: Path) -> tuple[int, list[Row]]:
    """A row for each study of a reference, and how many studies were found in it."""
    clock = _Clock()
    rows: list[Row] = []
    try:
        with _here(reference) as paths:
            units = _units(reference, paths)
            times: Counter[str] = Counter()
            for unit in units:
                times[unit.name] += 1
                name = unit.name if times[unit.name] == 1 else f"{unit.name} ({times[unit.name]})"
                try:
                    rows.append(_settled(unit.segment(segmenter, job, folder), clock))
                except BrainsegError as error:
                    _raise_if_not_its_own(error, job)
                    rows.append(failed(name, error, reference, job, clock.seconds()))
    except BrainsegError as error:
        _raise_if_not_its_own(error, job)
        return 1, [failed(printable(reference.name), error, reference, job, clock.seconds())]
    return len(units), rows


def _settled(row: Row, clock: _Clock) -> Row:
    """A row with its objects' paths from OUT on, and the time."""
    objects = tuple(replace(each, file=f"objects/{each.file}") for each in row.objects)
    return replace(row, objects=objects, seconds=clock.seconds())


class _Clock:
    """Seconds since it was last asked."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()

    def seconds(self) -> float:
        before, self._begun = self._begun, time.perf_counter()
        return round(self._begun - before, 6)


def failed(name: str, error: BrainsegError, reference: Reference, job: Job, seconds: float) -> Row:
    """The row of a study that failed.

    Args:
        name: The study's.
        error: Why.
        reference: Where it is.
        job: Whose bundle it was to be segmented with.
        seconds: How long it took.
    """
    return Row(
        id=unread_id(reference.name, name, job.bundle),
        status="failed",
        source=reference.name,
        name=name,
        site=reference.site or site_of(name.rpartition("/")[2]),
        seconds=seconds,
        bundle=job.bundle,
        error=error_parts(error),
    )


def tell_why(job: Job, reference: Reference, why: str) -> None:
    """Note how a reference's last attempt ended, unless it has said so itself.

    Args:
        job: The job.
        reference: The reference.
        why: In words.
    """
    home = job.work / reference.key
    numbers = [int(each.name) for each in home.glob("*") if each.name.isdigit()]
    if numbers and not (path := home / str(max(numbers)) / WHY).exists():
        with contextlib.suppress(FileWriteError):
            write_text(path, why)


def given_up(reference: Reference, job: Job) -> Answer:
    """The answer for a reference that has cost as many workers as it may.

    Args:
        reference: The reference.
        job: The job, in whose folder its attempts are.
    """
    error = WorkerError(
        "the workers that segmented it died",
        expected=f"an answer in one of {TRIES} tries",
        got="; ".join(_whys(job.work / reference.key)),
        remedy="segment it alone with brainseg predict to see why; then start again with --retry-failed",
    )
    row = replace(failed(printable(reference.name), error, reference, job, 0.0), attempts=TRIES)
    return Answer(source=reference.name, fingerprint=mark_of(reference), found=1, rows=(row,))


def _whys(folder: Path) -> list[str]:
    """How each attempt ended."""
    whys = []
    for number in range(1, TRIES + 1):
        path = folder / str(number) / WHY
        known = path.read_text(encoding="utf-8")[:200] if path.is_file() else "it ended without a message"
        whys.append(f"{number}: {known}")
    return whys


def _next_attempt(home: Path) -> tuple[int, Path]:
    """The number of this attempt, from 1, and its folder, which is new."""
    for number in range(1, TRIES + 2):
        folder = home / str(number)
        try:
            home.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise FileWriteError(
                f"the folder {folder} cannot be made", expected="a writable place", got=error.strerror
            ) from error
        return number, folder
    return TRIES + 1, home


def _units(reference: Reference, paths: Sequence[Path]) -> Sequence[Unit]:
    """The studies of a reference."""
    kind = reference.kind or told_kind(paths).kind
    if kind == "slices":
        from brainseg_runtime.archive.working.of_slices import patients_in

        return patients_in(paths[0], shallow=bool(reference.shallow))
    from brainseg_runtime.archive.working.of_studies import studies_in

    return studies_in(paths, reference)


@contextmanager
def _here(reference: Reference) -> Iterator[list[Path]]:
    """The files of a reference on this machine; what lies at an address is fetched for as long as the context lasts."""
    if not any(map(is_address, reference.paths)):
        yield [Path(path) for path in reference.paths]
        return
    with TemporaryDirectory(prefix="brainseg-archive-") as folder:
        paths = []
        for number, path in enumerate(reference.paths):
            target = Path(folder, str(number))
            target.mkdir()
            paths.append(fetch(path, target, direct=path in reference.shallow) if is_address(path) else Path(path))
        yield paths


def _raise_if_not_its_own(error: BrainsegError, job: Job) -> None:
    """Raise an error again that is no fault of the study's."""
    if isinstance(error, InferenceError) and says_shortage(str(error.got)):
        raise OutOfMemoryError("there is not enough memory", got=error.got) from error
    if isinstance(error, OutOfMemoryError | MissingExtraError):
        raise error
    if isinstance(error, FileWriteError) and not takes_files(job.work):
        raise error


def takes_files(folder: Path) -> bool:
    """Whether the disk takes a file of a megabyte here.

    Args:
        folder: An existing folder.
    """
    probe = folder / f".probe-{os.getpid()}"
    try:
        probe.write_bytes(bytes(_PROBE))
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    return True
