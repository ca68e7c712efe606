"""Arguments other than images, checked on entry, so that a wrong one is an error of this package."""

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
"""Most threads within one operator: more than any machine here has, so that a typing error is reported."""

MAX_SECONDS: Final = 86_400.0
"""Longest deadline: a day. Systems differ in how long a thread can wait."""


def check_integer(name: str, value: object, *, low: int, high: int | None = None) -> int:
    """An integer in a range; numpy's integers are accepted too, True and False are not.

    Args:
        name: The argument's name.
        value: Its value.
        low: Smallest value.
        high: Largest value; None: no limit.

    Raises:
        ArgumentError: It is anything else.

    Examples:
        >>> check_integer("threads", 4, low=1, high=256)
        4
    """
    expected = f"an integer from {low} to {high}" if high is not None else f"an integer of at least {low}"
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # a value without an index is refused here
    except TypeError as error:
        raise ArgumentError(f"{name} is wrong", expected=expected, got=repr(value)) from error
    if isinstance(value, bool) or number < low or (high is not None and number > high):
        raise ArgumentError(f"{name} is wrong", expected=expected, got=repr(value))
    return number


def check_threshold(value: object) -> float:
    """The probability from which a pixel counts as tumour: above 0 and at most 1.

    Raises:
        ArgumentError: It is anything else.

    Examples:
        >>> check_threshold(1)
        1.0
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value <= 1:  # type: ignore[operator]  # a number by now
        raise ArgumentError("threshold is wrong", expected="a probability above 0 and at most 1", got=repr(value))
    return float(value)  # type: ignore[arg-type]  # as above


def check_deadline(value: object) -> float:
    """A number of seconds above 0; infinity and more than a day count as a day.

    Raises:
        ArgumentError: It is anything else.

    Examples:
        >>> check_deadline(math.inf)
        86400.0
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or value <= 0:
        raise ArgumentError("deadline is wrong", expected="seconds above 0", got=repr(value))
    return float(min(value, MAX_SECONDS))


def check_path(name: str, value: object) -> Path:
    """A path as a `Path`.

    Raises:
        ArgumentError: It is neither text nor a path.
    """
    if not isinstance(value, str | os.PathLike):
        raise ArgumentError(f"{name} is wrong", expected="a path", got=repr(value))
    try:
        return Path(value)
    except TypeError as error:  # a path of bytes
        raise ArgumentError(f"{name} is wrong", expected="a path of text", got=repr(value)) from error


def check_kind(name: str, value: object, kind: type[T]) -> T:
    """The value, if it is an instance of a class.

    Raises:
        ArgumentError: It is not.
    """
    if not isinstance(value, kind):
        raise ArgumentError(f"{name} is wrong", expected=kind.__name__, got=repr(value))
    return value


def check_call(name: str, value: Callable[..., object] | None) -> None:
    """Refuse an argument that should be a function and cannot be called.

    Raises:
        ArgumentError: It is neither a function nor None.
    """
    if value is not None and not callable(value):
        raise ArgumentError(f"{name} is wrong", expected="a function or None", got=repr(value))
