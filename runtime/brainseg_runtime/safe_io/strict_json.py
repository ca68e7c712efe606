"""JSON from outside, read without trust: sizes are capped, repeated keys and NaN are refused.

Python's own reader keeps the last of two equal keys, takes ``NaN`` and ``Infinity``, and makes integers of any length;
each of these lets two readers of one file disagree about what it says.
"""

from __future__ import annotations

import json
import math
import re
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
        error: The class of error to raise.

    Returns:
        The object; every number in it is finite and every key occurs once.

    Raises:
        BrainsegError: Of the given class: the bytes are something else, or too many.

    Examples:
        >>> parse(b'{"area": 3}', "here", limit=100)
        {'area': 3}
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

    Serves values from Python that are about to be written, too.

    Raises:
        BrainsegError: Of the given class.
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


def shown(value: object) -> str:
    r"""A value as errors show it: escaped, and cut to 80 characters.

    Examples:
        >>> print(shown("na\u00efve"))
        'na\xefve'
    """
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object whose keys occur once."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"key {shown(key)} occurs twice")
            seen.add(key)
    return found


def _refuse_constant(name: str) -> NoReturn:
    """NaN and infinities are not JSON."""
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
            raise error(f"{where} holds NaN or infinity", expected="finite numbers", got=node)
    elif isinstance(node, int):
        if abs(node) > MAX_INTEGER:
            raise error(f"{where} holds too large an integer", expected="at most 2**53", got=shown(node))
    elif node is not None:
        raise error(f"{where} holds something that JSON has no form for", expected="JSON", got=type(node).__name__)


def _check_text(text: object, where: str, longest: int, error: type[BrainsegError]) -> None:
    """A text within the cap without control characters or halves of surrogate pairs."""
    if not isinstance(text, str):
        raise error(f"{where} holds a key that is not text", expected="text", got=type(text).__name__)
    if len(text) > longest:
        raise error(f"{where} holds too long a text", expected=f"at most {longest} characters", got=len(text))
    if _UNPRINTABLE.search(text):
        raise error(f"{where} holds control characters", expected="printable text", got=shown(text))
