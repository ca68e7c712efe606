"""The OpenAPI document: every field of every answer described in the words of its class's docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI

_ATTRIBUTE = re.compile(r"^    (\w+): (.+(?:\n        .+)*)", re.MULTILINE)


def describe(app: FastAPI, classes: Iterable[type], *, token: bool) -> None:
    """Have an application's OpenAPI document describe its answers.

    Args:
        app: The application, with all of its routes.
        classes: The answers, dataclasses with an "Attributes" section.
        token: Whether a bearer token is asked for.
    """
    document = app.openapi()
    schemas: dict[str, Any] = document.get("components", {}).get("schemas", {})
    for each in classes:
        if each.__name__ in schemas:
            _describe(schemas[each.__name__], inspect.getdoc(each) or "")
    if token:
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["bearer"] = {"type": "http", "scheme": "bearer"}
        document["security"] = [{"bearer": []}]
    app.openapi_schema = document


def _describe(schema: dict[str, Any], doc: str) -> None:
    """The first paragraph describes the object, each attribute's text its property."""
    summary, _, attributes = doc.partition("\n\nAttributes:\n")
    schema["description"] = " ".join(summary.split())
    for name, text in _ATTRIBUTE.findall(attributes):
        if name in schema["properties"]:
            schema["properties"][name]["description"] = " ".join(text.split())
