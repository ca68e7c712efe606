"""JSON from outside, read without trust: sizes capped, duplicates, unknown keys and non-numbers refused.

Python's own reader keeps the last of two equal keys, takes ``NaN`` and ``Infinity``, and makes integers of any length;
each of these lets two readers of one file disagree about what it says.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import NoReturn, TypeAlias

from brainseg_runtime.errors import BrainsegError, BundleSchemaError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What JSON can say, with finite numbers."""

MAX_DEPTH = 16
"""Deepest nesting; a manifest needs six."""

MAX_NODES = 100_000
"""Most values in one document."""

MAX_TEXT = 16_384
"""Longest text, in characters."""

MAX_INTEGER = 2**53
"""Largest magnitude of an integer: beyond it other languages' readers lose digits."""

MAX_KEY = 128
"""Longest key, in characters."""

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def parse(data: bytes, where: str, *, limit: int, error: type[BrainsegError] = BundleSchemaError) -> dict[str, Json]:
    """Read one JSON object from bytes.

    Args:
        data: UTF-8 without a byte-order mark.
        where: What the document is called in errors.
        limit: Most bytes.
        error: What to raise.

    Returns:
        The object; every number in it is finite and every key occurs once.

    Raises:
        BrainsegError: Of the kind asked for.
    """
    if len(data) > limit:
        raise error(f"{where} is too large", expected=f"at most {limit} bytes", got=f"{len(data)} bytes")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_finite,
        )
        check_tree(value, where, error=error)
    except (ValueError, RecursionError) as cause:
        raise error(f"{where} is not strict JSON", expected="UTF-8 JSON, unique keys, finite numbers", got=cause) from (
            cause
        )
    if not isinstance(value, dict):
        raise error(f"{where} is not an object", expected="a JSON object", got=type(value).__name__)
    return value


def check_tree(value: object, where: str, *, error: type[BrainsegError] = BundleSchemaError) -> None:
    """Refuse what is not plain JSON within the caps: depth, number of values, length of texts and keys.

    Also meant for values that were made in Python and are about to be written.

    Raises:
        BrainsegError: Of the kind asked for.
    """
    pending: list[tuple[object, int]] = [(value, 1)]
    seen = 0
    while pending:
        node, depth = pending.pop()
        seen += 1
        if depth > MAX_DEPTH or seen > MAX_NODES:
            raise error(f"{where} is too complex", expected=f"depth {MAX_DEPTH}, {MAX_NODES} values", got="more")
        if isinstance(node, dict):
            for key in node:
                _check_text(key, where, MAX_KEY, error)
            pending.extend((child, depth + 1) for child in node.values())
        elif isinstance(node, list):
            pending.extend((child, depth + 1) for child in node)
        else:
            _check_leaf(node, where, error)


class Fields:
    """One object's fields, each taken once by name and type; `close` refuses whatever was not taken.

    Args:
        value: A parsed JSON value that should be an object.
        where: Where it stands, for errors, such as ``manifest.json: variants.fp32``.
        error: What to raise.
    """

    def __init__(self, value: object, where: str, *, error: type[BrainsegError] = BundleSchemaError) -> None:
        if not isinstance(value, dict):
            raise error(f"{where} is not an object", expected="a JSON object", got=type(value).__name__)
        self.where = where
        self._left: dict[str, Json] = dict(value)
        self._error = error

    def has(self, key: str) -> bool:
        """Whether a key is there and not yet taken."""
        return key in self._left

    def take(self, key: str) -> Json:
        """Any value.

        Raises:
            BrainsegError: The key is missing.
        """
        if key not in self._left:
            raise self._error(f"{self.where} lacks a key", expected=repr(key), got=f"only {sorted(self._left)}")
        return self._left.pop(key)

    def text(self, key: str, *, pattern: re.Pattern[str] | None = None) -> str:
        """A text, wholly matched by `pattern` where one is given."""
        value = self.take(key)
        if not isinstance(value, str):
            self.refuse(key, "text", value)
        if pattern is not None and not pattern.fullmatch(value):
            self.refuse(key, f"text like {pattern.pattern}", value)
        return value

    def integer(self, key: str, *, low: int = 0, high: int = MAX_INTEGER) -> int:
        """An integer in [low, high]; true and false are none."""
        value = self.take(key)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.refuse(key, f"an integer from {low} to {high}", value)
        return value

    def number(self, key: str, *, low: float, high: float) -> float:
        """A finite number in [low, high]; true and false are none."""
        value = self.take(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self.refuse(key, f"a number from {low} to {high}", value)
        return float(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self.take(key)
        if not isinstance(value, list):
            self.refuse(key, "a list of texts", value)
        texts = tuple(item for item in value if isinstance(item, str))
        if len(texts) != len(value):
            self.refuse(key, "a list of texts", value)
        return texts

    def json_object(self, key: str) -> dict[str, Json]:
        """An object with any content."""
        value = self.take(key)
        if not isinstance(value, dict):
            self.refuse(key, "an object", value)
        return value

    def fields(self, key: str) -> Fields:
        """An object, to be read field by field."""
        return Fields(self.take(key), f"{self.where}: {key}", error=self._error)

    def each(self, key: str) -> Iterator[tuple[str, Fields]]:
        """The named objects in an object, each to be read field by field."""
        for name, value in self.json_object(key).items():
            yield name, Fields(value, f"{self.where}: {key}.{name}", error=self._error)

    def rest(self) -> dict[str, Json]:
        """Every field that was not taken yet, as it stands."""
        left, self._left = self._left, {}
        return left

    def close(self) -> None:
        """Refuse keys that nobody took.

        Raises:
            BrainsegError: There is one.
        """
        if self._left:
            raise self._error(f"{self.where} has unknown keys", expected="none", got=sorted(self._left))

    def refuse(self, key: str, expected: str, got: object) -> NoReturn:
        """Say that a key's value is not what it should be."""
        raise self._error(f"{self.where}: {key} is wrong", expected=expected, got=_short(got))


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object whose keys occur once."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"key {_short(key)} occurs twice")
            seen.add(key)
    return found


def _refuse_constant(name: str) -> NoReturn:
    """NaN and the infinities are not JSON."""
    raise ValueError(f"{name} is not a number")


def _integer(digits: str) -> int:
    """An integer that every language can hold."""
    if len(digits) > len(str(MAX_INTEGER)) + 1 or abs(int(digits)) > MAX_INTEGER:
        raise ValueError("an integer is beyond 2**53")
    return int(digits)


def _finite(digits: str) -> float:
    """A float that did not overflow."""
    value = float(digits)
    if len(digits) > 64 or not math.isfinite(value):
        raise ValueError("a number is beyond what a float holds, or has more than 64 digits")
    return value


def _check_leaf(node: object, where: str, error: type[BrainsegError]) -> None:
    """Null, a flag, a text, an integer or a finite float."""
    if isinstance(node, str):
        _check_text(node, where, MAX_TEXT, error)
    elif isinstance(node, float):
        if not math.isfinite(node):
            raise error(f"{where} holds a number that is none", expected="finite numbers", got=node)
    elif isinstance(node, int):
        if abs(node) > MAX_INTEGER:
            raise error(f"{where} holds too large an integer", expected="at most 2**53", got=_short(node))
    elif node is not None:
        raise error(f"{where} holds something that JSON has no form for", expected="JSON", got=type(node).__name__)


def _check_text(text: object, where: str, longest: int, error: type[BrainsegError]) -> None:
    """A text of sane length without control characters or halves of surrogate pairs."""
    if not isinstance(text, str):
        raise error(f"{where} holds a key that is no text", expected="text", got=type(text).__name__)
    if len(text) > longest:
        raise error(f"{where} holds too long a text", expected=f"at most {longest} characters", got=len(text))
    if _UNPRINTABLE.search(text):
        raise error(f"{where} holds control characters", expected="printable text", got=_short(text))


def _short(value: object) -> str:
    """A value as an error shows it: escaped and cut."""
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."
