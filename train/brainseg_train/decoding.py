"""Frozen dataclasses from JSON, by their own annotations: unknown keys and wrong types are refused by name."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from brainseg_runtime.errors import BrainsegError

T = TypeVar("T")


def decode(kind: type[T], value: object, where: str, *, error: type[BrainsegError]) -> T:
    """An instance of a dataclass from a JSON object.

    Args:
        kind: A dataclass whose fields are annotated with flags, numbers, texts, `Literal`, one type or None, tuples,
            dictionaries with text keys, `Any`, and dataclasses of the same sort.
        value: The parsed JSON; a key that is missing takes the field's default.
        where: What the object is called in errors.
        error: What to raise.

    Returns:
        The instance; its own `__post_init__` has checked the values.

    Raises:
        BrainsegError: Of the kind asked for: a key is unknown or missing, or a value has the wrong type.
    """
    return _Decoder(error).instance(kind, value, where)


class _Decoder:
    """The error to raise, and one method a sort of annotation."""

    def __init__(self, error: type[BrainsegError]) -> None:
        self._error = error

    def instance(self, kind: type[T], value: object, where: str) -> T:
        """A dataclass from an object."""
        if not isinstance(value, Mapping):
            self._refuse(where, "an object", value)
        hints = get_type_hints(kind)
        if unknown := sorted(set(map(str, value)) - set(hints)):
            raise self._error(f"{where} has unknown keys", expected=f"only {', '.join(hints)}", got=", ".join(unknown))
        if missing := sorted(_required(kind) - set(value)):
            raise self._error(f"{where} lacks keys", expected=", ".join(missing), got=f"only {', '.join(value)}")
        return kind(**{key: self.value(hints[key], item, f"{where}.{key}") for key, item in value.items()})

    def value(self, hint: Any, value: object, where: str) -> object:  # noqa: ANN401 - hints have no narrower type
        """A value as its annotation asks."""
        if hint is Any:
            return value
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            return self.instance(hint, value, where)
        handler = _HANDLERS.get(get_origin(hint))
        return handler(self, get_args(hint), value, where) if handler else self.scalar(hint, value, where)

    def optional(self, hints: tuple[Any, ...], value: object, where: str) -> object:
        """None, or the one other type."""
        if value is None:
            return None
        return self.value(next(hint for hint in hints if hint is not type(None)), value, where)

    def member(self, allowed: tuple[Any, ...], value: object, where: str) -> object:
        """One of the values that a `Literal` lists."""
        if value not in allowed:
            self._refuse(where, f"one of {', '.join(map(str, allowed))}", value)
        return value

    def sequence(self, hints: tuple[Any, ...], value: object, where: str) -> tuple[object, ...]:
        """A tuple of fixed or free length from a list."""
        if not isinstance(value, list | tuple):
            self._refuse(where, "a list", value)
        if hints[-1] is Ellipsis:
            hints = hints[:1] * len(value)
        if len(hints) != len(value):
            self._refuse(where, f"{len(hints)} values", value)
        return tuple(self.value(hint, item, where) for hint, item in zip(hints, value, strict=True))

    def mapping(self, hints: tuple[Any, ...], value: object, where: str) -> dict[str, object]:
        """A dictionary from an object."""
        if not isinstance(value, Mapping):
            self._refuse(where, "an object", value)
        return {str(key): self.value(hints[1], item, f"{where}.{key}") for key, item in value.items()}

    def scalar(self, hint: Any, value: object, where: str) -> object:  # noqa: ANN401 - hints have no narrower type
        """A flag, a text or a finite number; an integer may stand for a float, a flag for neither."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if hint is float and isinstance(value, int | float) and number and math.isfinite(value):
            return float(value)
        if hint is float or not isinstance(value, hint) or (hint is int and not number):
            self._refuse(where, getattr(hint, "__name__", str(hint)), value)
        return value

    def _refuse(self, where: str, expected: str, value: object) -> NoReturn:
        raise self._error(f"{where} is wrong", expected=expected, got=repr(value)[:80])


def _required(kind: type[Any]) -> set[str]:
    """Fields without a default."""
    missing = dataclasses.MISSING
    return {f.name for f in dataclasses.fields(kind) if f.default is missing and f.default_factory is missing}


_HANDLERS: Final[Mapping[object, Callable[[_Decoder, tuple[Any, ...], object, str], object]]] = types.MappingProxyType(
    {
        Union: _Decoder.optional,
        types.UnionType: _Decoder.optional,
        Literal: _Decoder.member,
        tuple: _Decoder.sequence,
        dict: _Decoder.mapping,
    }
)
