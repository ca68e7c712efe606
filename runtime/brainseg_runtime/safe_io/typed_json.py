"""Frozen dataclasses to JSON and back, by their own annotations: types, allowed values, ranges and patterns.

Examples:
    >>> @dataclasses.dataclass(frozen=True, kw_only=True)
    ... class Tolerance:
    ...     probability: Annotated[float, Between(0, 1)]
    >>> to_json(Tolerance(probability=0.5))
    {'probability': 0.5}
    >>> from_json(Tolerance, {"probability": 1}, "here", error=BrainsegError)
    Tolerance(probability=1.0)
    >>> from_json(Tolerance, {"probability": 2}, "here", error=BrainsegError)
    Traceback (most recent call last):
    brainseg_runtime.errors.BrainsegError: here.probability is wrong; expected a number from 0 to 1; got 2

Values that contradict each other are refused by the class's own `__post_init__`. A class whose JSON is not its fields,
key by key, defines `to_json` itself, and a field of that class is then written by that method.
"""

from __future__ import annotations

import dataclasses
import math
import re
import sys
import types
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from functools import cache, partial
from itertools import count, repeat
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Final,
    ForwardRef,
    Literal,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.safe_io.strict_json import Json, shown

T = TypeVar("T")

INLINE: Final = "inline"
"""Where the metadata of an `inline` field has its keys' types."""


@dataclasses.dataclass(frozen=True, slots=True)
class Between:
    """The range of a number, both ends included: ``Annotated[float, Between(0, 1)]``."""

    low: float
    high: float

    def fault(self, value: object) -> str | None:
        """What was expected, if a value is outside the range."""
        inside = isinstance(value, int | float) and self.low <= value <= self.high
        return None if inside else f"a number from {self.low:g} to {self.high:g}"


@dataclasses.dataclass(frozen=True, slots=True)
class AtLeast:
    """A finite number that is not below a bound: ``Annotated[int, AtLeast(1)]``."""

    low: float

    def fault(self, value: object) -> str | None:
        """What was expected, if a value is too small, infinite or not a number."""
        allowed = isinstance(value, int | float) and self.low <= value < math.inf
        return None if allowed else f"at least {self.low:g}"


@dataclasses.dataclass(frozen=True, slots=True)
class Above:
    """A finite number that is greater than a bound: ``Annotated[float, Above(0)]``."""

    low: float

    def fault(self, value: object) -> str | None:
        """What was expected, if a value is too small, infinite or not a number."""
        allowed = isinstance(value, int | float) and self.low < value < math.inf
        return None if allowed else f"above {self.low:g}"


@dataclasses.dataclass(frozen=True, slots=True)
class Matches:
    """The pattern that a whole text must match: ``Annotated[str, Matches(SHA256, "64 hexadecimal digits")]``."""

    pattern: re.Pattern[str]
    meaning: str = ""
    """The pattern in words, for errors."""

    def fault(self, value: object) -> str | None:
        """What was expected, if a text does not match."""
        matches = isinstance(value, str) and self.pattern.fullmatch(value)
        return None if matches else self.meaning or f"text like {self.pattern.pattern}"


def inline(hints: Callable[[], Mapping[str, Any]]) -> Any:  # noqa: ANN401 - as dataclasses.field
    """A field that holds a mapping whose items are written beside the other fields, not in an object of their own.

    When it is read, a key whose type allows None may be missing; it is None then.

    Args:
        hints: Returns the keys and their types; called whenever a value is read.
    """
    return dataclasses.field(metadata={INLINE: hints})


def to_json(value: Any) -> dict[str, Json]:  # noqa: ANN401 - any dataclass
    """A dataclass as a JSON object, field by field.

    Args:
        value: An instance of a dataclass. Its fields hold what JSON can say, tuples, mappings with text keys, paths,
            members of an `Enum`, and dataclasses of the same sort.

    Returns:
        The object; tuples are lists in it.
    """
    found: dict[str, Json] = {}
    for field in dataclasses.fields(value):
        item = _plain(getattr(value, field.name))
        found |= cast("dict[str, Json]", item) if INLINE in field.metadata else {field.name: item}
    return found


def from_json(kind: type[T], value: object, where: str, *, error: type[BrainsegError], every_key: bool = False) -> T:
    """An instance of a dataclass from a JSON object.

    Args:
        kind: A dataclass whose fields are annotated with flags, numbers, texts, `Path`, `Literal`, one type or None,
            tuples, sequences, mappings with text keys, `Json`, `Any`, dataclasses of the same sort, and any of these
            with `Between` or `Matches`.
        value: The parsed JSON. Where a key is missing, the field's default is taken.
        where: What the object is called in errors.
        error: The class of error to raise.
        every_key: Refuse a missing key although its field has a default, here and in every object within.

    Returns:
        The instance; its own `__post_init__` has checked the values.

    Raises:
        BrainsegError: Of the given class: a key is unknown or missing, or a value has the wrong type, is outside its
            range or does not match its pattern.
    """
    with _reported(where, error):
        return _instance(kind, every_key, value)


def check(value: Any, where: str, *, error: type[BrainsegError]) -> None:  # noqa: ANN401 - any dataclass
    """Refuse an instance, made in code, whose fields are not as annotated; for a class's `__post_init__`.

    Args:
        value: An instance of a dataclass as `from_json` takes them. Dataclasses within have checked themselves.
        where: What the instance is called in errors.
        error: The class of error to raise.

    Raises:
        BrainsegError: Of the given class: a field has the wrong type, is outside its range or does not match its
            pattern.
    """
    for name, decode in _fields(cast("Hashable", type(value)), False)[0].items():
        if not dataclasses.is_dataclass(item := getattr(value, name)):
            with _reported(f"{where}.{name}", error):
                decode(item)


def _plain(value: object) -> Json:
    """Any value of a field as JSON."""
    if type(value) in _AS_THEY_ARE:  # most values of a long record
        return cast("Json", value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = getattr(value, "to_json", None)
        return cast("Json", own()) if own is not None else to_json(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return cast("Json", value.value)
    return str(value) if isinstance(value, Path) else cast("Json", value)


class _MisfitError(Exception):
    """A value that does not fit. Its place grows on the way out, so that reading what fits spends no time on it."""

    def __init__(self, expected: str, got: object, fault: str = "is wrong") -> None:
        super().__init__(fault)
        self.expected = expected
        self.got = shown(got)
        self.fault = fault
        self.place = ""


_Decode: TypeAlias = Callable[[Any], Any]
"""From a parsed value to a field's; raises `_MisfitError`."""


@contextmanager
def _reported(where: str, error: type[BrainsegError]) -> Iterator[None]:
    """What does not fit becomes the caller's error."""
    try:
        yield
    except _MisfitError as found:
        raise error(f"{where}{found.place} {found.fault}", expected=found.expected, got=found.got) from None


def _each(place: str, items: Iterable[tuple[object, _Decode, object]]) -> list[Any]:
    """Several values decoded; the first of each item is put into the place of one that does not fit."""
    found = []
    for key, decode, item in items:
        try:
            found.append(decode(item))
        except _MisfitError as misfit:
            misfit.place = place.format(key) + misfit.place
            raise
    return found


@cache
def _fields(kind: Hashable, every_key: bool) -> tuple[dict[str, _Decode], frozenset[str], dict[str, Any]]:
    """What decodes each key of a dataclass, which keys must be there, and the hints of its `inline` fields."""
    hints = get_type_hints(kind, include_extras=True)
    missing = dataclasses.MISSING
    fields = [field for field in dataclasses.fields(cast("Any", kind)) if field.init]
    own = [field for field in fields if INLINE not in field.metadata]
    needed = (each for each in own if every_key or (each.default is missing and each.default_factory is missing))
    inlined = {field.name: field.metadata[INLINE] for field in fields if INLINE in field.metadata}
    decoders = {field.name: _decoder(hints[field.name], every_key) for field in own}
    return decoders, frozenset(field.name for field in needed), inlined


def _instance(kind: type[T], every_key: bool, value: object) -> T:
    """A dataclass from an object."""
    if type(value) is kind:
        return value
    if not isinstance(value, Mapping):
        raise _MisfitError("an object", value)
    decoders, required, inlined = _fields(cast("Hashable", kind), every_key)
    gathered = {name: hints() for name, hints in inlined.items()}
    for hints in gathered.values():
        decoders = decoders | {key: _decoder(hint, every_key) for key, hint in hints.items()}
        required |= {key for key, hint in hints.items() if every_key or type(None) not in get_args(hint)}
    if unknown := value.keys() - decoders.keys():
        raise _MisfitError(f"only {', '.join(decoders)}", ", ".join(sorted(map(str, unknown))), "has unknown keys")
    if not required <= value.keys():
        missing = ", ".join(key for key in decoders if key in required and key not in value)
        raise _MisfitError(missing, f"only {', '.join(sorted(value))}", "lacks keys")
    items = _each(".{}", ((key, decoders[key], item) for key, item in value.items()))
    found = dict(zip(value, items, strict=True))
    for name, hints in gathered.items():
        found[name] = {key: found.pop(key, None) for key in hints}
    return kind(**found)


@cache
def _decoder(hint: Any, every_key: bool) -> _Decode:  # noqa: ANN401 - hints have no narrower type
    """What decodes the values of an annotation."""
    if hint is Any or isinstance(hint, ForwardRef | str):  # `Json` refers to itself; strict_json has checked it
        return _as_it_is
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return partial(_instance, hint, every_key)
    if get_origin(hint) is Literal:
        return partial(_member, get_args(hint))
    if get_origin(hint) not in _WITH_PARTS:
        return partial(_scalar, hint)
    inner = (each for each in get_args(hint) if each is not type(None))  # only a union has it, which lets None pass
    parts = [each if isinstance(each, _RULES) else _decoder(each, every_key) for each in inner]
    return partial(_WITH_PARTS[get_origin(hint)], parts)


def _as_it_is(value: object) -> object:
    """A value that is not checked."""
    return value


def _annotated(parts: Sequence[Any], value: object) -> object:
    """A value within its range, or a text that matches its pattern."""
    decoded = parts[0](value)
    for rule in parts[1:]:
        if expected := rule.fault(decoded):
            raise _MisfitError(expected, value)
    return decoded


def _union(parts: Sequence[_Decode], value: object) -> object:
    """None, or the one other type; of several types the value is not checked."""
    return parts[0](value) if len(parts) == 1 and value is not None else value


def _member(allowed: Sequence[object], value: object) -> object:
    """One of the values that a `Literal` lists."""
    if not any(type(value) is type(each) and value == each for each in allowed):
        raise _MisfitError(f"one of {', '.join(map(str, allowed))}", value)
    return value


def _sequence(parts: Sequence[Any], value: object) -> tuple[object, ...]:
    """A tuple of fixed or free length from a list."""
    if not isinstance(value, list | tuple):
        raise _MisfitError("a list", value)
    free = len(parts) == 1 or parts[-1] is Ellipsis
    if not free and len(parts) != len(value):
        raise _MisfitError(f"{len(parts)} values", value)
    decoders = repeat(parts[0]) if free else parts
    return tuple(_each("[{}]", zip(count(), decoders, value, strict=False)))


def _mapping(parts: Sequence[_Decode], value: object) -> dict[str, object]:
    """A dictionary from an object."""
    if not isinstance(value, Mapping):
        raise _MisfitError("an object", value)
    of_key, of_item = parts
    keys = _each(": a key", ((key, of_key, key) for key in value))
    return dict(zip(keys, _each(".{}", ((key, of_item, item) for key, item in value.items())), strict=True))


def _scalar(hint: Any, value: object) -> object:  # noqa: ANN401 - as above
    """A flag, a text, a path or a finite number; an integer may stand for a float, a flag for neither."""
    if type(value) is hint and hint is not float:
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and isinstance(value, int | float) and number and abs(value) <= sys.float_info.max:
        return float(value)  # neither NaN, nor infinite, nor an integer that no float holds
    if hint is Path and isinstance(value, str) and "\0" not in value:
        return Path(value)
    if hint is float or not isinstance(value, hint) or (hint is int and not number):
        raise _MisfitError(_IN_WORDS.get(hint, str(hint)), value)
    return value


_AS_THEY_ARE: Final = frozenset({bool, float, int, str, type(None)})
_RULES: Final = (Between, AtLeast, Above, Matches, types.EllipsisType)
_IN_WORDS: Final[Mapping[object, str]] = types.MappingProxyType(
    {bool: "true or false", int: "an integer", float: "a number", str: "text", Path: "a path", type(None): "null"}
)
_WITH_PARTS: Final[Mapping[object, Callable[[Sequence[Any], object], object]]] = types.MappingProxyType(
    {
        Annotated: _annotated,
        Union: _union,
        types.UnionType: _union,
        tuple: _sequence,
        Sequence: _sequence,
        dict: _mapping,
        Mapping: _mapping,
    }
)
