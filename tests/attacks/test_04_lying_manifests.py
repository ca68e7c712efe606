"""Attack 4: a manifest that two readers could read as two things, or that asks for too much."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.victim import accepted, bounded_memory
from tests.runtime.tiny import TINY, copy_tiny, edit_manifest

TEXT = (TINY / "manifest.json").read_text(encoding="utf-8")
Change = Callable[[dict[str, Any]], object]

TEXTS = {
    "a key twice": TEXT.replace('"threshold": 0.5', '"threshold": 0.1, "threshold": 0.5'),
    "a file twice": TEXT.replace('"files": {', '"files": {"model.onnx": {"sha256": "' + "0" * 64 + '", "bytes": 1},'),
    "not a number": TEXT.replace('"threshold": 0.5', '"threshold": NaN'),
    "infinity": TEXT.replace('"threshold": 0.5', '"threshold": Infinity'),
    "a number beyond floats": TEXT.replace('"threshold": 0.5', '"threshold": 1e999'),
    "an integer of a million digits": TEXT.replace('"threshold": 0.5', '"threshold": ' + "9" * 1_000_000),
    "a comment": TEXT.replace('"threshold": 0.5', '"threshold": 0.5 /* 0.1 */'),
    "two documents": TEXT + TEXT,
    "a byte-order mark": "\ufeff" + TEXT,
    "a list": f"[{TEXT}]",
    "nothing": "",
    "a hundred thousand brackets": "[" * 100_000,
    "a hundred thousand objects": '{"a":' * 100_000,
    "a lone surrogate": TEXT.replace('"name": "tiny"', '"name": "\\ud800"'),
    "a NUL": TEXT.replace('"name": "tiny"', '"name": "tiny\\u0000"'),
    "two mebibytes": TEXT.replace('"name": "tiny"', '"name": "' + "a" * (2 << 20) + '"'),
}

CHANGES: dict[str, Change] = {
    "an unknown key": lambda m: m.update(extra=1),
    "an unknown key within": lambda m: m["contract"].update(extra=1),
    "a missing key": lambda m: m.pop("threshold"),
    "another schema": lambda m: m.update(schema="brainseg/bundle/2"),
    "text for a number": lambda m: m.update(threshold="0.5"),
    "true for a number": lambda m: m.update(threshold=True),
    "a threshold above one": lambda m: m.update(threshold=1.5),
    "a negative size": lambda m: m["files"]["model.onnx"].update(bytes=-1),
    "half a byte": lambda m: m["files"]["model.onnx"].update(bytes=0.5),
    "a size of exabytes": lambda m: m["files"]["model.onnx"].update(bytes=1 << 60),
    "a size beyond integers": lambda m: m["files"]["model.onnx"].update(bytes=10**30),
    "a digest in capitals": lambda m: m["files"]["model.onnx"].update(sha256="A" * 64),
    "a digest cut short": lambda m: m["files"]["model.onnx"].update(sha256="0" * 63),
    "no variant": lambda m: m.update(variants={}),
    "a variant of no listed file": lambda m: m["variants"]["fp32"].update(file="other.onnx"),
    "golden vectors of no listed file": lambda m: m.update(golden="other.npz"),
    "another input": lambda m: m["contract"]["input"].update(dtype="float32"),
    "limits beyond the contract": lambda m: m["contract"]["limits"].update(max_side=1 << 20),
    "nesting without end": lambda m: m.update(training=nested(200)),
    "ten thousand files": lambda m: m["files"].update(
        {f"f{n}": {"sha256": "0" * 64, "bytes": 1} for n in range(10_000)}
    ),
}


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_no_such_text_is_read(tmp_path: Path, text: str) -> None:
    bundle = copy_tiny(tmp_path)
    (bundle / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with bounded_memory():
        assert accepted(bundle) is None


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_no_such_content_is_read(tmp_path: Path, change: Change) -> None:
    bundle = copy_tiny(tmp_path)
    edit_manifest(bundle, change)
    with bounded_memory():
        assert accepted(bundle) is None


def test_the_texts_differ_from_the_right_one() -> None:
    assert json.loads(TEXT)["name"] == "tiny"
    assert all(text != TEXT for text in TEXTS.values())
