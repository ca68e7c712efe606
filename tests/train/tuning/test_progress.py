"""What a study says while it runs."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from brainseg_train.tuning import progress
from brainseg_train.tuning.progress import Bars, Event, Lines, duration


def lines_of(*events: Event) -> list[str]:
    console = Console(file=io.StringIO(), width=40)
    with Lines(console, epochs=20) as shown:
        for event in events:
            shown.show(event)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


BEGIN = Event(kind="begin", trial="unet 1/6", label="rate 3e-4, batch 16", epochs=10)
EPOCH = Event(kind="epoch", trial="unet 1/6", epoch=5, epochs=10, dice=0.5, images_per_second=210.4)
END = Event(kind="end", trial="unet 1/6", epoch=9, epochs=10, dice=0.75, status="complete")


def test_an_event_survives_being_a_line() -> None:
    assert Event.from_line(EPOCH.to_line()) == EPOCH


@pytest.mark.parametrize("line", ["", "hello", "[1]", '{"kind": "epoch"}', '{"fault": {"what": "x"}}', "null"])
def test_what_is_no_event_is_passed_over(line: str) -> None:
    assert Event.from_line(line) is None


def test_off_a_terminal_a_trial_takes_two_lines_that_are_never_cut() -> None:
    assert lines_of(BEGIN, EPOCH, END) == [
        "unet 1/6: rate 3e-4, batch 16",
        "unet 1/6: done after 9 epochs, best validation Dice 0.750",
    ]


def test_a_long_trial_is_heard_of_with_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    line = lines_of(BEGIN, EPOCH)[1]
    assert "epoch 5/10, validation Dice 0.500, 210 images/s" in line
    assert "5/20 epochs of the study, at most" in line


def test_a_pruned_and_an_interrupted_trial_say_so() -> None:
    ends = [
        Event(kind="end", trial="a", epoch=3, epochs=9, status=status) for status in ("pruned", "interrupted", "failed")
    ]
    assert lines_of(*ends) == [
        "a: pruned after 3 epochs",
        "a: interrupted, kept for --resume after 3 epochs",
        "a: failed after 3 epochs",
    ]


def test_on_a_terminal_bars_come_and_go_and_the_end_stays() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with Bars(console, epochs=20) as shown:
        shown.say("[not markup]")
        for event in (BEGIN, EPOCH, END):
            shown.show(event)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "[not markup]" in text
    assert "done after 9 epochs" in text
    assert "10/20 epochs" in text  # an early end counts the epochs that it saves


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (59.2, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
