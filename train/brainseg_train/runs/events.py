"""A run's history as a TensorBoard event file: a scalar for each figure, a step for each epoch.

    RUNS/<run>/events.out.tfevents.<start>

`tensorboard --logdir RUNS` shows every run under its folder's name. The file follows from the history alone, byte for
byte. Each further epoch is appended in one write, so that an open TensorBoard sees it. A resumed run appends to the
same file: a frame that a kill cut short is dropped, missing epochs are added, and no epoch is there twice. Times
are the run's own: its start plus the seconds trained, without pauses.

Format: TFRecord frames (length, its masked CRC-32C, data, its masked CRC-32C, little endian) of `Event` messages; see
tensorflow/core/util/event.proto.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any, Final

from brainseg_runtime.errors import FileWriteError, MissingExtraError
from brainseg_runtime.safe_io import files
from brainseg_train.runs import records

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from brainseg_train.runs.records import EpochRecord

_TAGS: Final = {"loss": "loss/validation", "dice": "validation_dice/mean"}
"""Tags of validation scores; `dice_median` and its like become `validation_dice/median`."""


def require_writer() -> None:
    """Refuse before anything is trained if events cannot be written.

    Raises:
        MissingExtraError: tensorboardX is not installed.
    """
    try:
        import tensorboardX  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "TensorBoard event files need tensorboardX, which is not installed",
            expected="the extra tensorboard",
            got=str(error),
            remedy="pip install tensorboardX; history.jsonl and history.csv hold the same figures without it",
        ) from error


class EventFile:
    """The event file of one run."""

    def __init__(self, run_dir: Path) -> None:
        """The first call of `follow` creates the file or brings it up to date.

        Raises:
            MissingExtraError: tensorboardX is not installed.
        """
        require_writer()
        self._run_dir = run_dir
        self._written: int | None = None

    def follow(self, history: Sequence[EpochRecord], started: float) -> None:
        """Bring the file up to date with the history.

        Args:
            history: The run's epochs so far, first to last.
            started: When the run began, Unix time; the same for every process that works on the run.

        Raises:
            FileWriteError: The file could not be written.
        """
        path = _path(self._run_dir, started)
        if self._written is None:
            _bring_up(path, [_head(started), *_epochs(history, started)])
        elif len(history) > self._written:
            _write_from(path, b"".join(_epochs(history, started)[self._written :]))
        self._written = len(history)


def add_missing(run_dirs: Iterable[Path]) -> None:
    """Write an event file for every run that has ended and has none.

    Raises:
        MissingExtraError: tensorboardX is not installed.
        RecordError: A run's record or history is damaged.
        FileWriteError: The file could not be written.
    """
    for run_dir in run_dirs:
        record = records.load_record(run_dir)
        started = record.timing["started"]
        if record.status not in {"running", "interrupted"} and not _path(run_dir, started).exists():
            EventFile(run_dir).follow(records.load_history(run_dir), started)


def scalars(entry: EpochRecord) -> dict[str, float]:
    """The scalars of an epoch by tag; TensorBoard groups them by the text before the slash."""
    values = {
        "optimiser/learning_rate": entry.rate,
        "optimiser/gradient_norm": entry.gradient_norm,
        "loss/train": entry.train_loss,
    }
    for name, value in entry.validation.items():
        values[_TAGS.get(name, f"validation_dice/{name.removeprefix('dice_')}")] = value
    for name, value in entry.timing.items():
        values[f"speed/{name}"] = value
    return values


def _path(run_dir: Path, started: float) -> Path:
    """A run's event file; TensorBoard looks for `tfevents` in the name."""
    return run_dir / f"events.out.tfevents.{int(started)}"


def _bring_up(path: Path, frames: Sequence[bytes]) -> None:
    """Make a file hold exactly these frames; those that it holds already are not written again."""
    if not path.exists():
        files.write_bytes(path, b"".join(frames))
        return
    kept = 0
    try:
        with path.open("rb") as file:
            while kept < len(frames) and file.read(len(frames[kept])) == frames[kept]:
                kept += 1
    except OSError as error:
        raise _refused(path, error.strerror or error) from error
    _write_from(path, b"".join(frames[kept:]), at=sum(map(len, frames[:kept])))


def _write_from(path: Path, data: bytes, *, at: int | None = None) -> None:
    """Write at an offset, or at the end, in one piece, and cut off whatever followed."""
    try:
        with path.open("r+b", buffering=0) as file:
            before = file.seek(0, os.SEEK_END) if at is None else file.seek(at)
            written = file.write(data)
            file.truncate(before + written if written == len(data) else before)
    except OSError as error:
        raise _refused(path, error.strerror or error) from error
    if written < len(data):
        raise _refused(path, f"{written} of {len(data)} bytes written: the disk is full")


def _refused(path: Path, got: object) -> FileWriteError:
    """The error for a write that the system refused."""
    return FileWriteError(f"{path} cannot be written", expected="a writable file, and space on the disk", got=got)


def _head(started: float) -> bytes:
    """The first frame of every event file."""
    return _frame(wall_time=started, file_version="brain.Event:2")


def _epochs(history: Sequence[EpochRecord], started: float) -> list[bytes]:
    """A frame for each epoch."""
    from tensorboardX.proto.summary_pb2 import Summary

    frames, at = [], started
    for entry in history:
        at += entry.timing.get("seconds", 0.0)
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars(entry).items()]
        frames.append(_frame(wall_time=at, step=entry.epoch, summary=Summary(value=values)))
    return frames


def _frame(**fields: Any) -> bytes:  # noqa: ANN401 - the fields of the message
    """One event as a TFRecord frame."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    data: bytes = Event(**fields).SerializeToString()
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc32c(length)) + data + struct.pack("<I", masked_crc32c(data))
