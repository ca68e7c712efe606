"""Interrupts: the first is a wish, the second ends the run, and afterwards all is as before."""

from __future__ import annotations

import signal
import threading

import pytest

from brainseg_runtime.terminal.interrupts import interruptible, stoppable


def test_the_first_interrupt_is_a_wish_and_the_second_is_not() -> None:
    with stoppable() as stopped:
        assert not stopped()
        signal.raise_signal(signal.SIGINT)
        assert stopped()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_handlers_that_were_there_come_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stoppable():
        assert signal.getsignal(signal.SIGTERM) is not before[1]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_asked_to_end_by_the_system_is_as_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_wish_within_a_command_is_a_wish_still() -> None:
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
