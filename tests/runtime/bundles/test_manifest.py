"""The manifest: read back as written, and refused for every way of not being one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.bundles.manifest import Manifest
from brainseg_runtime.contract import Limits
from brainseg_runtime.errors import BrainsegError, BundleSchemaError
from tests.runtime.tiny import TINY

DATA = (TINY / "manifest.json").read_bytes()
Change = Callable[[dict[str, Any]], object]


def changed(change: Change) -> bytes:
    """The manifest's bytes after a change."""
    value = json.loads(DATA)
    change(value)
    return json.dumps(value).encode()


def test_it_is_read_back_as_it_was_written() -> None:
    manifest = Manifest.from_bytes(DATA)
    assert manifest.to_json() == json.loads(DATA)
    assert Manifest.from_json(manifest.to_json()) == manifest


@pytest.mark.parametrize("key", sorted(json.loads(DATA)))
def test_every_key_is_needed(key: str) -> None:
    with pytest.raises(BundleSchemaError, match=key):
        Manifest.from_bytes(changed(lambda value: value.pop(key)))


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(schema="brainseg/bundle/2"),
        lambda v: v.update(more=1),
        lambda v: v.update(threshold=float("1.5")),
        lambda v: v.update(threshold="0.5"),
        lambda v: v.update(temperature=0),
        lambda v: v.update(variants={}),
        lambda v: v.update(name="../tiny"),
        lambda v: v.update(name=""),
        lambda v: v["variants"]["fp32"].update(file="other.onnx"),
        lambda v: v["variants"]["fp32"].update(extra=1),
        lambda v: v["variants"]["fp32"].update(same_bits={"cpu": "yes"}),
        lambda v: v["variants"]["fp32"].update(tolerances={"cpu": {"probability": -1, "mask": 0}}),
        lambda v: v["variants"].update({"a b": v["variants"]["fp32"]}),
        lambda v: v.update(golden="none.npz"),
        lambda v: v.update(golden=5),
        lambda v: v["tools"].update(torch=2),
        lambda v: v["fingerprint"].update(slices=0),
        lambda v: v["fingerprint"]["channels"].pop("FLAIR"),
        lambda v: v["fingerprint"]["channels"]["FLAIR"].update(low=200.0, high=100.0),
        lambda v: v["licence"].pop("id"),
        lambda v: v["files"]["model.onnx"].update(sha256="0" * 63),
        lambda v: v["files"]["model.onnx"].update(sha256="A" * 64),
        lambda v: v["files"]["model.onnx"].update(bytes=-1),
        lambda v: v["files"]["model.onnx"].update(bytes=2**60),
        lambda v: v["files"]["model.onnx"].update(bytes=1.0),
    ],
)
def test_what_contradicts_the_schema_is_refused(change: Change) -> None:
    with pytest.raises(BundleSchemaError):
        Manifest.from_bytes(changed(change))


@pytest.mark.parametrize(
    "name",
    ["../model.onnx", "a/b", "a\\b", "/etc/passwd", "C:x", "", ".", "..", ".hidden", "a.", "a ", "con", "NUL.txt",
     "com1.onnx", "manifest.json", "MANIFEST.json", "model.sig", "Model.Sig", "MODEL.onnx", "a" * 65, "na\u00efve",
     "a\n", "model.onnx:stream"],
)  # fmt: skip
def test_names_that_some_system_reads_otherwise_are_refused(name: str) -> None:
    with pytest.raises(BundleSchemaError):
        Manifest.from_bytes(changed(lambda value: value["files"].update({name: value["files"]["model.onnx"]})))


def test_an_unknown_schema_names_the_known_one_and_the_remedy() -> None:
    with pytest.raises(
        BundleSchemaError, match=r"expected brainseg/bundle/1; got 'x'; remedy: use the runtime release"
    ):
        Manifest.from_bytes(changed(lambda value: value.update(schema="x")))


def test_optional_parts_may_be_null() -> None:
    manifest = Manifest.from_bytes(changed(lambda value: value.update(golden=None, fingerprint=None)))
    assert (manifest.golden, manifest.fingerprint) == (None, None)


def test_evidence_may_be_any_json_but_not_without_end() -> None:
    deep: Any = {}
    for _ in range(20):
        deep = {"a": deep}
    fine = changed(lambda value: value["variants"]["fp32"].update(accuracy={"dice": [0.9, None], "on": {"n": 3}}))
    assert Manifest.from_bytes(fine).variants["fp32"].accuracy["dice"] == [0.9, None]
    with pytest.raises(BundleSchemaError, match="too complex"):
        Manifest.from_bytes(changed(lambda value: value["training"].update(deep)))


def test_what_could_not_be_read_back_is_not_written() -> None:
    manifest = Manifest.from_bytes(DATA)
    manifest.training["loss"] = float("nan")  # type: ignore[index]  # as a careless exporter would
    with pytest.raises(BundleSchemaError):
        manifest.to_json()


def test_a_tolerance_is_the_providers_own_or_the_default() -> None:
    variant = Manifest.from_bytes(DATA).variants["int8"]
    assert variant.tolerance("openvino") == variant.tolerances["default"]
    tolerance = variant.tolerances["default"]
    assert type(variant)(**{**variant.__dict__, "tolerances": {"cpu": tolerance}}).tolerance("openvino") is None


def test_the_cap_is_the_hosts() -> None:
    with pytest.raises(BundleSchemaError, match="too large"):
        Manifest.from_bytes(DATA, limits=Limits(max_manifest_bytes=100))


@given(at=st.integers(0, len(DATA) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_gives_a_manifest_or_an_error_of_ours(at: int, bit: int) -> None:
    data = bytearray(DATA)
    data[at] ^= 1 << bit
    with contextlib.suppress(BrainsegError):
        Manifest.from_bytes(bytes(data))
