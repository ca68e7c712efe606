"""The installation check: a sound bundle passes, and each fault fails the check that is there for it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from brainseg_runtime.bundles.golden import Answer, decode, encode
from brainseg_runtime.bundles.manifest import Tolerance
from brainseg_runtime.errors import ProviderError
from brainseg_runtime.installation.verify import Status, Verification, compare_answers, verify_bundle
from tests.runtime.onnx_bytes import brightest_channel
from tests.runtime.tiny import TINY, copy_tiny, digest_of, edit_manifest, replace_file


def statuses(found: Verification) -> dict[str, Status]:
    """How each check went, by name."""
    return {check.name: check.status for check in found.checks}


def test_a_sound_bundle_passes_every_check_that_can_be_made() -> None:
    found = verify_bundle(TINY, digest_of(TINY), provider="cpu")
    assert statuses(found) == {
        "bundle": Status.PASS, "digest": Status.PASS, "signature": Status.SKIP, "golden": Status.PASS,
        "contract fp32": Status.PASS, "golden fp32": Status.PASS,
        "contract int8": Status.PASS, "golden int8": Status.PASS,
    }  # fmt: skip
    assert found.ok
    assert (found.digest, found.name, found.provider) == (digest_of(TINY), "tiny 1.0.0", "cpu")


def test_on_whatever_auto_takes_here_it_passes_too() -> None:
    assert verify_bundle(TINY).ok


def test_json_holds_every_check() -> None:
    found = verify_bundle(TINY, provider="cpu")
    value = json.loads(json.dumps(found.to_json()))
    assert value["ok"] is True
    assert [check["name"] for check in value["checks"]] == [check.name for check in found.checks]
    assert value["providers"] == {"fp32": "cpu", "int8": "cpu"}


def test_a_changed_file_fails_and_nothing_of_it_is_run(tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    (bundle / "MODEL_CARD.md").write_text("better")
    found = verify_bundle(bundle)
    assert statuses(found) == {"bundle": Status.FAIL}
    assert not found.ok
    assert (found.digest, found.provider) == (None, None)
    assert "MODEL_CARD.md" in found.checks[0].detail


def test_another_digest_fails() -> None:
    assert statuses(verify_bundle(TINY, "0" * 64, provider="cpu"))["digest"] is Status.FAIL


def test_the_model_of_a_bundle_that_was_not_approved_is_not_run() -> None:
    found = verify_bundle(TINY, "0" * 64, provider="cpu")
    assert (found.ok, found.provider) == (False, None)
    assert {name: status for name, status in statuses(found).items() if name.startswith(("contract", "golden"))} == {
        "contract fp32": Status.SKIP, "contract int8": Status.SKIP,
    }  # fmt: skip


def test_a_model_that_computes_something_else_fails_its_golden_vectors(tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    replace_file(bundle, "model.onnx", brightest_channel())
    found = statuses(verify_bundle(bundle, provider="cpu"))
    assert found["contract fp32"] is Status.PASS
    assert found["golden fp32"] is Status.FAIL
    assert found["golden int8"] is Status.PASS


def test_golden_vectors_that_are_none_fail(tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    replace_file(bundle, "golden.npz", b"no archive")
    assert statuses(verify_bundle(bundle, provider="cpu"))["golden"] is Status.FAIL


def test_golden_vectors_beyond_the_tolerance_fail(tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    cases = decode((TINY / "golden.npz").read_bytes())
    shifted = Answer(
        mask=cases[0].answers["fp32"].mask, probability=cases[0].answers["fp32"].probability + np.float32(1e-3)
    )
    answers = {**cases[0].answers, "fp32": shifted}
    replace_file(bundle, "golden.npz", encode([dataclasses.replace(cases[0], answers=answers)]))
    assert statuses(verify_bundle(bundle, provider="cpu"))["golden fp32"] is Status.FAIL
    edit_manifest(
        bundle, lambda v: v["variants"]["fp32"].update(tolerances={"cpu": {"probability": 0.002, "mask": 0.0}})
    )
    assert statuses(verify_bundle(bundle, provider="cpu"))["golden fp32"] is Status.PASS


def test_a_bundle_without_golden_vectors_is_told_and_not_failed(tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    edit_manifest(bundle, lambda value: value.update(golden=None))
    found = verify_bundle(bundle, provider="cpu")
    assert statuses(found)["golden fp32"] is Status.SKIP
    assert found.ok


def test_a_model_that_does_not_load_fails_its_contract(tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    replace_file(bundle, "model.int8.onnx", b"none")
    found = statuses(verify_bundle(bundle, provider="cpu"))
    assert found["contract int8"] is Status.FAIL
    assert "golden int8" not in found


def test_an_unknown_provider_is_the_callers_fault() -> None:
    with pytest.raises(ProviderError, match="no provider"):
        verify_bundle(TINY, provider="abacus")


def test_an_unchecked_signature_is_told(tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    (bundle / "model.sig").write_bytes(b"{}")
    check = {check.name: check for check in verify_bundle(bundle, provider="cpu").checks}["signature"]
    assert check.status is Status.SKIP
    assert "no public key" in check.detail


@pytest.mark.parametrize(
    ("probability", "flipped", "passes"), [(0.01, 0, True), (0.0101, 0, False), (0.0, 1, True), (0.0, 2, False)]
)
def test_both_limits_count_and_are_inclusive(probability: float, flipped: int, *, passes: bool) -> None:
    expected = Answer(mask=np.zeros((1, 10, 10), np.uint8), probability=np.zeros((1, 10, 10), np.float32))
    answer = Answer(mask=expected.mask.copy(), probability=expected.probability.copy())
    answer.mask.flat[:flipped] = 1
    answer.probability.flat[5] = probability
    limits = Tolerance(probability=float(np.float32(0.01)), mask=0.01)
    found, detail = compare_answers(answer, expected, limits)
    assert found is passes
    assert "limit 0.01" in detail
