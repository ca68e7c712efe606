"""Interrupts: the first is a stop request, the second ends the run, and afterwards all is as before."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

import pytest

from brainseg_runtime.terminal.interrupts import interruptible, stoppable


@pytest.fixture
def python_s_own_handlers() -> Iterator[None]:
    """The handlers that a program starts with; a tool that measures coverage has its own."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("python_s_own_handlers")
def test_the_first_interrupt_is_a_request_and_the_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stoppable() as stopped:
        assert signal.getsignal(number) is not before
        assert not stopped()
        signal.raise_signal(number)
        assert stopped()
    assert signal.getsignal(number) is before
    with stoppable():
        pass
    assert signal.getsignal(number) is before


def test_the_second_ctrl_c_interrupts_at_once() -> None:
    with stoppable():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_program_that_handles_signals_itself_keeps_them() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: seen.append(number))
    try:
        with stoppable() as stopped:
            signal.raise_signal(signal.SIGINT)
            assert not stopped()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]


def test_asked_to_end_by_the_system_is_as_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_request_within_a_command_is_a_request_still() -> None:
    with interruptible(), stoppable() as stopped:
        signal.raise_signal(signal.SIGTERM)
        assert stopped()


def test_outside_the_main_thread_it_does_no_harm() -> None:
    answers: list[bool] = []

    def work() -> None:
        with stoppable() as stopped:
            answers.append(stopped())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [False]


def test_an_interrupt_that_comes_where_nothing_can_be_raised_is_not_lost() -> None:
    class Fragile:
        def __del__(self) -> None:
            with contextlib.suppress(KeyboardInterrupt):  # Python does as much by itself, with a word on standard error
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), interruptible():
        Fragile()
