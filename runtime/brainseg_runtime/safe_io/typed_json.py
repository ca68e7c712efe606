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
    brainseg_runtime.errors.BrainsegError: here.probability is wrong; expected 0 to 1; got 2

Values that contradict each other are refused by the class's own `__post_init__`. A class whose JSON is not its fields,
key by key, defines `to_json` itself, and a field of that class is then written by that method.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
from collections.abc import Callable, Hashable, Mapping, Sequence
from enum import Enum
from functools import cache
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Final,
    ForwardRef,
    Literal,
    NoReturn,
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

_INLINE: Final = "inline"


@dataclasses.dataclass(frozen=True, slots=True)
class Between:
    """The range of a number, both ends included: ``Annotated[float, Between(0, 1)]``."""

    low: float
    high: float

    def fault(self, value: object) -> str | None:
        """What was expected, if a value is outside the range."""
        inside = isinstance(value, int | float) and self.low <= value <= self.high
        return None if inside else f"{self.low:g} to {self.high:g}"


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
    return dataclasses.field(metadata={_INLINE: hints})


def inline_hints(field: dataclasses.Field[Any]) -> dict[str, Any] | None:
    """The keys of an `inline` field with their types; None for any other field."""
    hints = field.metadata.get(_INLINE)
    return None if hints is None else dict(hints())


def to_json(value: Any) -> dict[str, Json]:  # noqa: ANN401 - any dataclass
    """A dataclass as a JSON object, field by field.

    Args:
        value: An instance of a dataclass. Its fields hold what JSON can say, tuples, mappings with text keys, paths,
            members of an `Enum`, and dataclasses of the same sort.

    Returns:
        The object; tuples are lists in it.
    """
    found: dict[str, Json] = {}
    for name, inline in _names(cast("Hashable", type(value))):
        item = _plain(getattr(value, name))
        if inline:
            found |= cast("dict[str, Json]", item)
        else:
            found[name] = item
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
    return _Decoder(error, every_key=every_key).instance(kind, value, where)


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
    decoder = _Decoder(error)
    for name, hint in _annotations(cast("Hashable", type(value)))[0].items():
        if not dataclasses.is_dataclass(item := getattr(value, name)):
            decoder.value(hint, item, f"{where}.{name}")


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


class _Decoder:
    """The error to raise, and one method for each sort of annotation."""

    def __init__(self, error: type[BrainsegError], *, every_key: bool = False) -> None:
        self._error = error
        self._every_key = every_key

    def instance(self, kind: type[T], value: object, where: str) -> T:
        """A dataclass from an object."""
        if not isinstance(value, Mapping):
            self._refuse(where, "an object", value)
        hints, required = _annotations(cast("Hashable", kind))
        inlined = _inlined(kind)
        for items in inlined.values():
            hints = {**hints, **items}
            required |= {key for key, hint in items.items() if type(None) not in get_args(hint)}
        self._check_keys(set(map(str, value)), hints, required, where)
        found = {key: self.value(hints[key], item, f"{where}.{key}") for key, item in value.items()}
        gathered = {name: {key: found.pop(key, None) for key in items} for name, items in inlined.items()}
        return kind(**found, **gathered)

    def _check_keys(self, keys: set[str], hints: Mapping[str, Any], required: frozenset[str], where: str) -> None:
        """Refuse keys that no field has, and fields without their key."""
        if unknown := sorted(keys - set(hints)):
            got = shown(", ".join(unknown))
            raise self._error(f"{where} has unknown keys", expected=f"only {', '.join(hints)}", got=got)
        if missing := [key for key in hints if key not in keys and (self._every_key or key in required)]:
            got = shown(", ".join(sorted(keys)))
            raise self._error(f"{where} lacks keys", expected=", ".join(missing), got=f"only {got}")

    def value(self, hint: Any, value: object, where: str) -> object:  # noqa: ANN401 - hints have no narrower type
        """A value as its annotation asks."""
        if type(value) is hint and hint is not float:  # most values of a long record
            return value
        if hint is Any or isinstance(hint, ForwardRef | str):  # `Json` refers to itself; strict_json has checked it
            return value
        handler, parts = _taken_apart(hint)
        return handler(self, parts, value, where) if handler else self.scalar(hint, value, where)

    def annotated(self, hints: tuple[Any, ...], value: object, where: str) -> object:
        """A value within its range, or a text that matches its pattern."""
        decoded = self.value(hints[0], value, where)
        for rule in hints[1:]:
            if isinstance(rule, Between | AtLeast | Above | Matches) and (expected := rule.fault(decoded)):
                self._refuse(where, expected, value)
        return decoded

    def union(self, hints: tuple[Any, ...], value: object, where: str) -> object:
        """None, or the one other type."""
        others = [hint for hint in hints if hint is not type(None)]
        if (value is None and len(others) < len(hints)) or len(others) > 1:
            return value
        return self.value(others[0], value, where)

    def member(self, allowed: tuple[Any, ...], value: object, where: str) -> object:
        """One of the values that a `Literal` lists."""
        if not any(type(value) is type(each) and value == each for each in allowed):
            self._refuse(where, f"one of {', '.join(map(str, allowed))}", value)
        return value

    def sequence(self, hints: tuple[Any, ...], value: object, where: str) -> tuple[object, ...]:
        """A tuple of fixed or free length from a list."""
        if not isinstance(value, list | tuple):
            self._refuse(where, "a list", value)
        if len(hints) == 1 or hints[-1] is Ellipsis:
            hints = hints[:1] * len(value)
        if len(hints) != len(value):
            self._refuse(where, f"{len(hints)} values", value)
        places = (f"{where}[{index}]" for index in range(len(value)))
        return tuple(self.value(*each) for each in zip(hints, value, places, strict=True))

    def mapping(self, hints: tuple[Any, ...], value: object, where: str) -> dict[str, object]:
        """A dictionary from an object."""
        if not isinstance(value, Mapping):
            self._refuse(where, "an object", value)
        return {
            str(self.value(hints[0], key, f"{where}: a key")): self.value(hints[1], item, f"{where}.{key}")
            for key, item in value.items()
        }

    def scalar(self, hint: Any, value: object, where: str) -> object:  # noqa: ANN401 - hints have no narrower type
        """A flag, a text, a path or a finite number; an integer may stand for a float, a flag for neither."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if hint is float and isinstance(value, int | float) and number and math.isfinite(value):
            return float(value)
        if hint is Path and isinstance(value, str):
            return Path(value)
        if hint is float or not isinstance(value, hint) or (hint is int and not number):
            self._refuse(where, _IN_WORDS.get(hint, str(hint)), value)
        return value

    def _refuse(self, where: str, expected: str, value: object) -> NoReturn:
        raise self._error(f"{where} is wrong", expected=expected, got=shown(value))


@cache
def _names(kind: Hashable) -> tuple[tuple[str, bool], ...]:
    """The names of a dataclass's fields, and whether each one's keys stand among the others."""
    return tuple((field.name, _INLINE in field.metadata) for field in dataclasses.fields(cast("Any", kind)))


@cache
def _taken_apart(hint: Any) -> tuple[Callable[..., object] | None, tuple[Any, ...]]:  # noqa: ANN401 - as above
    """What decodes values of an annotation, and the annotation's parts; None where it has none."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return lambda decoder, _, value, where: decoder.instance(hint, value, where), ()
    return _HANDLERS.get(get_origin(hint)), get_args(hint)


@cache
def _annotations(kind: Hashable) -> tuple[Mapping[str, Any], frozenset[str]]:
    """The annotations of a dataclass's own keys by name, and the names of those without a default."""
    hints = get_type_hints(kind, include_extras=True)
    fields = [field for field in dataclasses.fields(cast("Any", kind)) if field.init and _INLINE not in field.metadata]
    missing = dataclasses.MISSING
    required = (field.name for field in fields if field.default is missing and field.default_factory is missing)
    return {field.name: hints[field.name] for field in fields}, frozenset(required)


def _inlined(kind: type[Any]) -> dict[str, dict[str, Any]]:
    """The `inline` fields of a dataclass, each with its keys and their types."""
    found = {field.name: inline_hints(field) for field in dataclasses.fields(kind)}
    return {name: hints for name, hints in found.items() if hints is not None}


_AS_THEY_ARE: Final = frozenset({bool, float, int, str, type(None)})
_IN_WORDS: Final[Mapping[object, str]] = types.MappingProxyType(
    {bool: "true or false", int: "an integer", float: "a number", str: "text", Path: "a path", type(None): "null"}
)
_HANDLERS: Final[Mapping[object, Callable[[_Decoder, tuple[Any, ...], object, str], object]]] = types.MappingProxyType(
    {
        Annotated: _Decoder.annotated,
        Union: _Decoder.union,
        types.UnionType: _Decoder.union,
        Literal: _Decoder.member,
        tuple: _Decoder.sequence,
        Sequence: _Decoder.sequence,
        dict: _Decoder.mapping,
        Mapping: _Decoder.mapping,
    }
)
