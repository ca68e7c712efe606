"""Progress of a study: live bars on a terminal, a few lines elsewhere.

Events go to JSON and back, so that a worker process can send them, a line each, to the process that shows them.
"""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io.typed_json import from_json, to_json
from brainseg_train.errors import StudyError

QUIET_SECONDS = 30.0
"""Off a terminal, a line about running trials is written at most this often: the log of an hour stays one page."""

EventKind = Literal["begin", "epoch", "end"]


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event of a trial.

    Attributes:
        kind: The trial began (or was resumed), finished an epoch, or ended.
        trial: Short unique name, such as `unet 3`.
        label: Its configuration in words.
        epoch: Epochs finished.
        epochs: Epochs at most.
        dice: Validation Dice of the epoch, or the best one at the end; in [0, 1], None before the first validation.
        images_per_second: Training images a second in the last epoch; None where unknown.
        status: How it ended: complete, pruned, failed or interrupted; empty before.
        reason: Why it failed; empty else.
    """

    kind: EventKind
    trial: str
    label: str = ""
    epoch: int = 0
    epochs: int = 0
    dice: float | None = None
    images_per_second: float | None = None
    status: str = ""
    reason: str = ""

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps(to_json(self))

    @classmethod
    def from_line(cls, line: str) -> Event | None:
        """The event in a line, or None where the line is something else, such as a library's message.

        Examples:
            >>> event = Event(kind="begin", trial="unet 3")
            >>> Event.from_line(event.to_line()) == event, Event.from_line("a message")
            (True, None)
        """
        try:
            return from_json(cls, json.loads(line), "the event", error=StudyError)
        except (ValueError, StudyError):
            return None


class Display(AbstractContextManager["Display"]):
    """Shows events and sentences while a study runs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen: dict[str, int] = {}

    def __exit__(self, *_: object) -> None:
        """Nothing to stop."""

    @abstractmethod
    def show(self, event: Event) -> None:
        """Show an event."""

    def say(self, sentence: str) -> None:
        """Write a sentence, never cut or wrapped, above the bars if there are any."""
        self._console.print(sentence, highlight=False, soft_wrap=True, markup=False)


def display(epochs: int, *, quiet: bool = False) -> Display:
    """Bars on standard error where that is a terminal, lines elsewhere.

    Args:
        epochs: Epochs that the study has left if no trial ends early.
        quiet: Show nothing.
    """
    console = Console(stderr=True, quiet=quiet)
    return Bars(console, epochs=epochs) if console.is_terminal else Lines(console, epochs=epochs)


class Bars(Display):
    """A bar for the whole study and one for each running trial."""

    def __init__(self, console: Console, *, epochs: int) -> None:
        super().__init__(console)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.completed:.0f}/{task.total:.0f} epochs"),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(compact=True),
            console=console,
        )
        self._total = self._progress.add_task("[bold]all trials", total=epochs, note="")
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing; what was drawn last stays."""
        self._progress.stop()

    def show(self, event: Event) -> None:
        """Move the bars."""
        if event.kind == "end":
            self._end(event)
            return
        task = self._tasks.get(event.trial)
        if task is None:
            title = f"{event.trial}  [dim]{event.label}"
            task = self._tasks[event.trial] = self._progress.add_task(title, total=event.epochs, note="")
            self._seen[event.trial] = event.epoch
        self._progress.update(task, completed=event.epoch, note=_note(event))
        self._progress.advance(self._total, event.epoch - self._seen[event.trial])
        self._seen[event.trial] = event.epoch

    def _end(self, event: Event) -> None:
        """Remove the trial's bar, count the epochs that it will not need, and leave one line."""
        task = self._tasks.pop(event.trial, None)
        if task is not None:
            self._progress.remove_task(task)
        if event.status != "interrupted":
            self._progress.advance(self._total, event.epochs - self._seen.pop(event.trial, event.epoch))
        self.say(_ending(event))


class Lines(Display):
    """One line where a trial begins, one where it ends, and now and then one in between."""

    def __init__(self, console: Console, *, epochs: int) -> None:
        super().__init__(console)
        self._total = epochs
        self._done = 0
        self._fresh = 0
        self._began = time.monotonic()
        self._last = self._began

    def show(self, event: Event) -> None:
        """Write a line for an event that matters."""
        before = self._seen.get(event.trial, event.epoch)
        self._seen[event.trial] = event.epoch
        self._done += event.epoch - before
        self._fresh += event.epoch - before
        if event.kind == "end":
            if event.status != "interrupted":
                self._done += event.epochs - event.epoch
            self.say(_ending(event))
        elif event.kind == "begin":
            self.say(f"{event.trial}: {event.label}" + (f", resumed after epoch {event.epoch}" if event.epoch else ""))
        elif time.monotonic() - self._last >= QUIET_SECONDS:
            self._last = time.monotonic()
            self.say(f"{event.trial}: epoch {event.epoch}/{event.epochs}, {_note(event)}{self._left()}")

    def _left(self) -> str:
        """How long the rest takes at the speed so far."""
        if not self._fresh:
            return ""
        seconds = (time.monotonic() - self._began) / self._fresh * max(0, self._total - self._done)
        return f"; {self._done}/{self._total} epochs of the study, at most {duration(seconds)} left"


def duration(seconds: float) -> str:
    """Seconds in words.

    Examples:
        >>> [duration(seconds) for seconds in (42, 200, 7500)]
        ['42 s', '3 min 20 s', '2 h 5 min']
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _note(event: Event) -> str:
    """Dice and speed of the last epoch."""
    words = []
    if event.dice is not None:
        words.append(f"validation Dice {event.dice:.3f}")
    if event.images_per_second is not None:
        words.append(f"{event.images_per_second:.0f} images/s")
    return ", ".join(words)


def _ending(event: Event) -> str:
    """How a trial ended, in one line."""
    best = "" if event.dice is None else f", best validation Dice {event.dice:.3f}"
    how = {
        "complete": "done",
        "pruned": "pruned",
        "failed": "failed",
        "interrupted": "interrupted, kept for --resume",
    }
    reason = f": {event.reason}" if event.reason else ""
    after = counted(event.epoch, "epoch")
    return f"{event.trial}: {how.get(event.status, event.status)} after {after}{best}{reason}"
