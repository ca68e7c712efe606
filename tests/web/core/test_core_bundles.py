"""Bundles in the browser: verified as the runtime verifies them, and right by their golden cases."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.errors import BundleError
from tests.web.core.core_page import CorePage, folder

TINY = Path(__file__).parents[2] / "bundles/tiny"
MODELS = sorted(path.parent for path in (Path(__file__).parents[3] / "models").glob("*/manifest.json"))
CASES = [(bundle, variant) for bundle in [TINY, *MODELS] for variant in ("fp32", "int8")]


@pytest.mark.parametrize(("bundle", "variant"), CASES, ids=[f"{bundle.name}-{variant}" for bundle, variant in CASES])
def test_golden_cases_are_within_the_manifests_tolerance(core: CorePage, bundle: Path, variant: str) -> None:
    answer = core.ask("golden", bundle=folder(bundle), variant=variant)
    assert answer["outcome"]["cases"] > 0
    assert answer["outcome"]["passed"], answer["outcome"]
    if variant == "fp32":
        assert answer["outcome"]["maskDifferences"] == 0


def test_the_digest_is_the_runtimes_and_can_be_pinned(core: CorePage) -> None:
    digest = open_bundle(TINY).digest
    assert core.ask("bundle", bundle=folder(TINY), pinned=f"sha256:{digest.upper()}")["digest"] == digest
    assert core.ask("bundle", bundle=folder(TINY), pinned="0" * 64)["fault"] == "digest-mismatch"
    assert core.ask("bundle", bundle=folder(TINY), pinned="abc")["fault"] == "digest-malformed"


def flipped(name: str) -> Callable[[Path], None]:
    def damage(bundle: Path) -> None:
        data = bytearray((bundle / name).read_bytes())
        data[len(data) // 2] ^= 1
        (bundle / name).write_bytes(data)

    return damage


def cut(name: str) -> Callable[[Path], None]:
    def damage(bundle: Path) -> None:
        (bundle / name).write_bytes((bundle / name).read_bytes()[:-20])

    return damage


def swapped(bundle: Path) -> None:
    first, second = (bundle / "model.onnx").read_bytes(), (bundle / "model.int8.onnx").read_bytes()
    (bundle / "model.onnx").write_bytes(second)
    (bundle / "model.int8.onnx").write_bytes(first)


def manifest(**values: object) -> Callable[[Path], None]:
    def change(bundle: Path) -> None:
        path = bundle / "manifest.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def text(old: str, new: str) -> Callable[[Path], None]:
    def change(bundle: Path) -> None:
        path = bundle / "manifest.json"
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new, 1))

    return change


def nested(bundle: Path) -> None:
    (bundle / "more").mkdir()
    (bundle / "more/file").write_text("x")


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit in the model": (flipped("model.onnx"), "bundle-tampered"),
    "a flipped bit in the golden cases": (flipped("golden.npz"), "bundle-tampered"),
    "a cut model": (cut("model.int8.onnx"), "bundle-tampered"),
    "swapped models": (swapped, "bundle-tampered"),
    "a cut manifest": (cut("manifest.json"), "bundle-schema"),
    "no manifest": (lambda bundle: (bundle / "manifest.json").unlink(), "bundle-missing"),
    "no model": (lambda bundle: (bundle / "model.onnx").unlink(), "bundle-incomplete"),
    "a further file": (lambda bundle: (bundle / "extra.txt").write_text("x"), "bundle-unlisted"),
    "a further folder": (nested, "bundle-unlisted"),
    "another schema": (manifest(schema="brainseg/bundle/2"), "bundle-schema"),
    "an unknown key": (manifest(extra=1), "bundle-schema"),
    "a threshold beyond 1": (manifest(threshold=1.5), "bundle-schema"),
    "a repeated key": (text('"name":', '"name": "other", "name":'), "bundle-schema"),
    "not a number": (text('"threshold": ', '"threshold": NaN, "temperature_": '), "bundle-schema"),
    "too large a manifest": (manifest(training={"x": ["y" * 16000] * 80}), "bundle-too-large"),
    "deep nesting": (manifest(training=json.loads('{"a":' * 30 + "1" + "}" * 30)), "bundle-schema"),
    "a listed giant": (manifest(files={"model.onnx": {"sha256": "0" * 64, "bytes": 2**40}}), "bundle-"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_bundle_that_is_not_whole_is_refused_as_by_the_runtime(core: CorePage, tmp_path: Path, what: str) -> None:
    damage, code = FAULTS[what]
    bundle = tmp_path / "bundle"
    shutil.copytree(TINY, bundle)
    damage(bundle)
    with pytest.raises(BundleError):
        open_bundle(bundle)
    answer = core.ask("bundle", bundle=folder(bundle))
    assert answer["fault"].startswith(code), answer


def test_what_systems_leave_behind_is_no_fault(core: CorePage, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(TINY, bundle)
    (bundle / ".DS_Store").write_text("x")
    assert core.ask("bundle", bundle=folder(bundle))["digest"] == open_bundle(bundle).digest
