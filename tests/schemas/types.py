"""JSON Schema from dataclasses: their annotations give the types, their docstrings the descriptions."""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import itertools
import re
import textwrap
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from brainseg_runtime.safe_io.typed_json import INLINE

Schema: TypeAlias = dict[str, Any]

TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
ANY_OBJECT: Schema = {"type": "object"}

_PLAIN: dict[object, Schema] = {str: TEXT, Path: TEXT, int: INTEGER, float: NUMBER, bool: FLAG}


class Definitions:
    """The dataclasses that one document refers to, each once, under `$defs`."""

    def __init__(self) -> None:
        self.made: dict[str, Schema] = {}

    def ref(self, kind: type[Any], **changes: Schema | None) -> Schema:
        """A reference to a dataclass's schema.

        Args:
            kind: The dataclass.
            changes: Properties that its JSON has in another form, or has besides; None for fields that it leaves out.
        """
        if kind.__name__ not in self.made:
            self.made[kind.__name__] = {}  # a class may refer to itself
            self.made[kind.__name__] = self._object(kind, changes)
        return {"$ref": f"#/$defs/{kind.__name__}"}

    def of(self, hint: Any) -> Schema:  # noqa: ANN401 - annotations have no narrower type
        """The schema of an annotation."""
        hint = getattr(hint, "__value__", hint)
        if hint in _PLAIN:
            return _PLAIN[hint]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            return self.ref(hint)
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return {"enum": [member.value for member in hint]}
        return self._generic(typing.get_origin(hint), typing.get_args(hint))

    def _generic(self, origin: object, parts: tuple[Any, ...]) -> Schema:
        """The schema of an annotation with parts; anything at all where it says nothing."""
        if origin in {typing.Union, types.UnionType}:
            if any(typing.get_origin(part) is dict and len(parts) > 2 for part in parts):
                return {}  # any JSON value
            return {"anyOf": [{"type": "null"} if part is type(None) else self.of(part) for part in parts]}
        if origin is Literal:
            return {"enum": list(parts)}
        if origin is tuple and parts[-1] is not Ellipsis:
            return {
                "type": "array",
                "prefixItems": [self.of(part) for part in parts],
                "minItems": len(parts),
                "maxItems": len(parts),
            }
        return self._container(origin, parts)

    def _container(self, origin: object, parts: tuple[Any, ...]) -> Schema:
        """The schema of a list, or of an object with any keys; anything at all where it is neither."""
        if isinstance(origin, type) and issubclass(origin, Sequence):
            return {"type": "array", "items": self.of(parts[0])}
        if isinstance(origin, type) and issubclass(origin, Mapping):
            values = self.of(parts[1])
            return {"type": "object", **({"additionalProperties": values} if values else {})}
        return {}

    def _object(self, kind: type[Any], changes: Mapping[str, Schema | None]) -> Schema:
        """A dataclass as an object: every field is there, also where it is null."""
        hints, told = typing.get_type_hints(kind), descriptions(kind)
        properties: dict[str, Schema] = {}
        for field in dataclasses.fields(kind):
            if field.name not in changes:
                inlined = field.metadata.get(INLINE)
                keys = {field.name: hints[field.name]} if inlined is None else inlined()
                properties |= {name: self.of(hint) for name, hint in keys.items()}
        properties |= {name: schema for name, schema in changes.items() if schema is not None}
        for name, text in told.items():
            if name in properties:
                properties[name] = {**properties[name], "description": text}
        return {
            "type": "object",
            "description": _sentence(inspect.getdoc(kind) or kind.__name__),
            "properties": properties,
            "required": list(properties),
        }


def record(properties: Mapping[str, Schema], *, optional: Mapping[str, Schema] | None = None) -> Schema:
    """An object with these keys, all of them there but the optional ones."""
    return {"type": "object", "properties": {**properties, **(optional or {})}, "required": list(properties)}


def listed(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


def by_name(values: Schema) -> Schema:
    """An object with any keys."""
    return {"type": "object", "additionalProperties": values}


def nullable(schema: Schema) -> Schema:
    """A value, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def told(schema: Schema, text: str) -> Schema:
    """A schema with a description."""
    return {**schema, "description": text}


def descriptions(kind: type[Any]) -> dict[str, str]:
    """What a dataclass says of its fields, under "Attributes:" or in a string after each."""
    doc = inspect.getdoc(kind) or ""
    section = doc.partition("Attributes:\n")[2].partition("\n\n")[0]
    found = {
        name: " ".join(text.split())
        for name, text in re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", section, flags=re.MULTILINE)
    }
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    nodes = body.body if isinstance(body, ast.ClassDef) else []
    for field, text in itertools.pairwise(nodes):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            found[ast.unparse(field.target)] = " ".join(str(text.value.value).split())
    return found


def _sentence(doc: str) -> str:
    """A docstring's first paragraph."""
    return " ".join(doc.partition("\n\n")[0].split())
