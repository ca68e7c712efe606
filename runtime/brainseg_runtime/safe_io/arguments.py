"""What callers hand over beside images, checked on entry, so that a wrong argument is an error of this package."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from brainseg_runtime.errors import ArgumentError

T = TypeVar("T")

MAX_THREADS: Final = 256
"""Most threads within one operator; beyond any machine that this runs on, so that a slip is reported."""

MAX_SECONDS: Final = 86_400.0
"""Longest deadline: a day. Systems differ in how long a thread may wait at most."""


def check_integer(name: str, value: object, *, low: int, high: int | None = None) -> int:
    """A whole number; numpy's are taken too, truth values are not.

    Args:
        name: What the caller calls it.
        value: What came.
        low: Smallest that is taken.
        high: Largest that is taken; None: any.

    Raises:
        ArgumentError: It is anything else.
    """
    expected = f"an integer from {low} to {high}" if high is not None else f"an integer of at least {low}"
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # what has no index is refused here
    except TypeError as error:
        raise ArgumentError(f"{name} is wrong", expected=expected, got=repr(value)) from error
    if isinstance(value, bool) or number < low or (high is not None and number > high):
        raise ArgumentError(f"{name} is wrong", expected=expected, got=repr(value))
    return number


def check_threshold(value: object) -> float:
    """A probability from which a pixel may count as tumour: above 0 and at most 1.

    Raises:
        ArgumentError: It is anything else.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value <= 1:  # type: ignore[operator]  # a number by now
        raise ArgumentError("threshold is wrong", expected="a probability above 0 and at most 1", got=repr(value))
    return float(value)  # type: ignore[arg-type]  # as above


def check_deadline(value: object) -> float:
    """A number of seconds above 0; no end (infinity) counts as a day.

    Raises:
        ArgumentError: It is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or value <= 0:
        raise ArgumentError("deadline is wrong", expected="seconds above 0", got=repr(value))
    return float(min(value, MAX_SECONDS))


def check_path(name: str, value: object) -> Path:
    """A path in the system's own form.

    Raises:
        ArgumentError: It is no text and no path.
    """
    if not isinstance(value, str | os.PathLike):
        raise ArgumentError(f"{name} is wrong", expected="a path", got=repr(value))
    try:
        return Path(value)
    except TypeError as error:  # a path of bytes
        raise ArgumentError(f"{name} is wrong", expected="a path of text", got=repr(value)) from error


def check_kind(name: str, value: object, kind: type[T]) -> T:
    """The value, if it is of a kind.

    Raises:
        ArgumentError: It is of another one.
    """
    if not isinstance(value, kind):
        raise ArgumentError(f"{name} is wrong", expected=kind.__name__, got=repr(value))
    return value


def check_call(name: str, value: Callable[..., object] | None) -> None:
    """Refuse what is given as a function and cannot be called.

    Raises:
        ArgumentError: It is neither a function nor None.
    """
    if value is not None and not callable(value):
        raise ArgumentError(f"{name} is wrong", expected="a function or None", got=repr(value))
