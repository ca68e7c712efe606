"""JSON held against the schemas in `docs/schemas/`, which is all that is read here: no torch is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "schemas"


def schema(name: str) -> dict[str, Any]:
    """A schema as it stands in the docs."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.schema.json").read_text(encoding="utf-8"))
    return found


def violations(name: str, value: object) -> list[str]:
    """Where a document differs from its schema, keys that the schema does not describe included.

    The published schemas let further keys pass, as a reader should; what the commands write now is described whole.
    """
    validator = Draft202012Validator(_closed(schema(name)))
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]


def _closed(node: Any) -> Any:  # noqa: ANN401 - JSON
    """A schema whose objects have no other keys than those described."""
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(item) for key, item in node.items()}
    if isinstance(node.get("properties"), dict) and node.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed
