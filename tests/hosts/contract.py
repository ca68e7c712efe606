"""What every host keeps, whatever its language; a test module gives its `host`, and its class takes the tests over."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.segmenter import Segmenter
from tests.hosts.host import Host, Ran, Slices
from tests.runtime.onnx_bytes import brightest_channel
from tests.runtime.tiny import TINY, digest_of, edit_manifest, replace_file

Golden = Callable[[Path], Path]

LISTED = ("model.onnx", "model.int8.onnx", "golden.npz", "MODEL_CARD.md", "sbom.cdx.json")


def flip(path: Path, at: int | None = None) -> None:
    """Change one bit, in the middle or at a place."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if at is None else at] ^= 1
    path.write_bytes(bytes(data))


def flipper(name: str) -> Callable[[Path], None]:
    """What changes one bit of a bundle's file."""
    return lambda bundle: flip(bundle / name)


def swap(one: Path, other: Path) -> None:
    """Exchange two files."""
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def link(path: Path) -> None:
    """Put a link to a file in the file's place."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def copy_beside(bundle: Path) -> Path:
    """A copy of the model outside the bundle, in the test's own folder."""
    return Path(shutil.copyfile(bundle / "model.onnx", bundle.parent / "model.onnx"))


def rename_listed(bundle: Path, name: str) -> None:
    """Have the manifest list the model under a name that leads out of the bundle, to a copy of it."""
    edit_manifest(
        bundle,
        lambda value: (
            value["files"].update({name: value["files"].pop("model.onnx")}),
            value["variants"]["fp32"].update(file=name),
        ),
    )


DAMAGES: dict[str, Callable[[Path], object]] = {
    "bit-in-the-manifest": lambda bundle: flip(bundle / "manifest.json", 0),
    **{f"bit-in-{name}": flipper(name) for name in LISTED},
    "swapped-models": lambda bundle: swap(bundle / "model.onnx", bundle / "model.int8.onnx"),
    "cut-off": lambda bundle: (bundle / "model.onnx").write_bytes((bundle / "model.onnx").read_bytes()[:-1]),
    "a-byte-more": lambda bundle: (bundle / "model.onnx").write_bytes((bundle / "model.onnx").read_bytes() + b"\0"),
    "missing-model": lambda bundle: (bundle / "model.onnx").unlink(),
    "missing-card": lambda bundle: (bundle / "MODEL_CARD.md").unlink(),
    "a-link": lambda bundle: link(bundle / "model.onnx"),
    "manifest-too-large": lambda bundle: (bundle / "manifest.json").write_bytes(
        (bundle / "manifest.json").read_bytes() + b" " * (1 << 20)
    ),
    "manifest-of-another-kind": lambda bundle: (bundle / "manifest.json").write_text("[]"),
    "unknown-schema": lambda bundle: edit_manifest(bundle, lambda value: value.update(schema="brainseg/bundle/2")),
    "out-of-the-bundle": lambda bundle: rename_listed(bundle, f"../{copy_beside(bundle).name}"),
    "from-the-root": lambda bundle: rename_listed(bundle, str(copy_beside(bundle))),
    "another-contract": lambda bundle: edit_manifest(
        bundle, lambda value: value["contract"]["input"].update(dtype="float32")
    ),
    "size-beyond-the-cap": lambda bundle: edit_manifest(
        bundle, lambda value: value["files"]["model.onnx"].update(bytes=1 << 40)
    ),
    "size-below-zero": lambda bundle: edit_manifest(
        bundle, lambda value: value["files"]["model.onnx"].update(bytes=-1)
    ),
    "model-without-its-inputs": lambda bundle: replace_file(bundle, "model.onnx", b"\x08\x08"),
}
"""What is done to a bundle that each host must refuse."""


SIZES = "--height 32 --width 32"
WRONG_USAGE = (
    "",
    "BUNDLE",
    "BUNDLE --golden",
    "BUNDLE BUNDLE --golden g",
    "BUNDLE --golden g --no-such-option",
    "BUNDLE --golden g --golden h",
    "BUNDLE --golden g --json --json",
    f"BUNDLE --golden g --digest {'0' * 63}",
    f"BUNDLE --golden g --digest {'g' * 64}",
    f"BUNDLE --golden g --digest SHA256:{'0' * 64}",
    "BUNDLE --golden --json",
    "BUNDLE --golden=g",
    "BUNDLE -- --golden g",
    "-bundle --golden g",
    "BUNDLE --golden -",
    "BUNDLE --golden g --image i",
    "BUNDLE --golden g --slices 2",
    f"BUNDLE --image i {SIZES}",
    f"BUNDLE --image i {SIZES} --mask ./i",
    f"BUNDLE --image i {SIZES} --mask --json",
    "BUNDLE --image i --width 32 --mask m",
    "BUNDLE --image i --height sixteen --width 32 --mask m",
    "BUNDLE --image i --height 32 --width 0 --mask m",
    "BUNDLE --image i --height -32 --width 32 --mask m",
    f"BUNDLE --image i {SIZES} --slices 1.5 --mask m",
)
"""What no host takes, in words; BUNDLE stands for one."""


def assert_refused(ran: Ran) -> None:
    """A named fault: exit code 1, an explanation on standard error, and no result."""
    assert ran.code == 1, (ran.out, ran.err)
    assert "expected" in ran.err
    assert '"ok": true' not in ran.out
    assert "Traceback" not in ran.err
    assert "    at " not in ran.err, "a stack instead of an explanation"


def assert_nothing_done(host: Host, bundle: Path, slices: Slices, mask: Path) -> None:
    """The bundle alone is why slices, which an intact bundle segments, are not."""
    assert_refused(host.segment(bundle, slices, mask))
    assert not mask.exists()


class HostContract:
    """The tests; a subclass is named `TestCpp` and so on, and its module has a fixture `host` that skips or builds."""

    @pytest.mark.parametrize("variant", ["fp32", "int8"])
    def test_golden_cases_pass(self, host: Host, shipped: Path, golden: Golden, variant: str) -> None:
        ran = host(shipped, "--variant", variant, "--digest", digest_of(shipped), "--golden", golden(shipped), "--json")
        assert ran.code == 0, ran.err
        found = ran.json()
        assert (found["host"], found["variant"], found["ok"]) == (host.name, variant, True)
        assert found["bundle"]["digest"] == digest_of(shipped)
        assert found["onnxruntime"].startswith("1.")
        assert math.isfinite(found["seconds"])
        index = json.loads((golden(shipped) / "index.json").read_text(encoding="utf-8"))
        tolerance = json.loads((shipped / "manifest.json").read_text(encoding="utf-8"))["variants"][variant][
            "tolerances"
        ]
        assert [case["name"] for case in found["cases"]] == [case["name"] for case in index["cases"]]
        for case in found["cases"]:
            assert case["within"] is True
            assert 0 <= case["max_probability_difference"] <= tolerance["cpu"]["probability"]
            assert case["mask_pixels_different"] >= 0

    def test_onnxruntime_keeps_no_identifier_for_reports(
        self, host: Host, tiny: Path, raw_slices: Slices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache = tmp_path / "cache"
        cache.mkdir()
        monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
        assert host.segment(tiny, raw_slices, tmp_path / "mask.raw").code == 0
        assert list(cache.rglob("deviceid")) == []

    def test_a_slice_gets_the_mask_that_python_gives(self, host: Host, raw_slices: Slices, tmp_path: Path) -> None:
        self._same_as_python(host, TINY, raw_slices, tmp_path)

    @pytest.mark.real
    def test_a_real_slice_gets_the_mask_that_python_gives(
        self, host: Host, shipped: Path, real_slice: Slices, tmp_path: Path
    ) -> None:
        self._same_as_python(host, shipped, real_slice, tmp_path)

    def _same_as_python(self, host: Host, bundle: Path, slices: Slices, folder: Path) -> None:
        path, shape = slices
        image = np.frombuffer(path.read_bytes(), np.uint8).reshape(*shape, 3)
        expected = Segmenter.load(bundle, provider="cpu", variant="fp32").predict_volume(image)
        mask, probability = folder / "mask.u8", folder / "probability.f32"
        ran = host.segment(bundle, slices, mask, "--probability", probability)
        assert ran.code == 0, ran.err
        report = ran.json()
        assert (report["ok"], report["slices"]) == (True, shape[0])
        assert report["tumour_pixels"] == int(expected.mask.sum())
        assert np.array_equal(np.fromfile(mask, np.uint8).reshape(shape), expected.mask)
        found = np.fromfile(probability, "<f4").reshape(shape)
        assert np.abs(found - expected.probability).max() < 1e-4

    @pytest.mark.parametrize(("kept", "warnings"), [(True, 0), (False, 1)])
    def test_a_slice_that_the_bundle_squeezes_is_warned_of(
        self, host: Host, tiny: Path, raw_slices: Slices, tmp_path: Path, kept: bool, warnings: int
    ) -> None:
        told = "kept, padded" if kept else "squeezed to a square"
        edit_manifest(tiny, lambda value: value["training"].update(aspect_ratio=told))
        ran = host.segment(tiny, raw_slices, tmp_path / "mask.u8")
        assert len(ran.json()["warnings"]) == warnings

    @pytest.mark.parametrize("damage", DAMAGES)
    def test_a_damaged_bundle_is_refused(
        self, host: Host, tiny: Path, raw_slices: Slices, tmp_path: Path, damage: str
    ) -> None:
        DAMAGES[damage](tiny)
        assert_nothing_done(host, tiny, raw_slices, tmp_path / "mask")

    def test_where_no_tolerance_is_stated_answers_must_be_the_same(
        self, host: Host, tiny: Path, golden: Golden
    ) -> None:
        edit_manifest(tiny, lambda value: [variant.update(tolerances={}) for variant in value["variants"].values()])
        assert open_bundle(tiny).manifest.variants["fp32"].tolerance("cpu") is None
        ran = host(tiny, "--golden", golden(tiny), "--json")
        assert (ran.code, ran.json()["ok"]) == (0, True)

    def test_another_digest_is_refused(self, host: Host, golden: Golden) -> None:
        ran = host(TINY, "--digest", "0" * 64, "--golden", golden(TINY), "--json")
        assert_refused(ran)
        assert digest_of(TINY) in ran.err

    def test_the_digest_is_checked_before_the_manifest_is_read_as_json(
        self, host: Host, tiny: Path, golden: Golden
    ) -> None:
        (tiny / "manifest.json").write_text("no json", encoding="utf-8")
        ran = host(tiny, "--digest", digest_of(TINY), "--golden", golden(TINY))
        assert_refused(ran)
        assert digest_of(TINY) in ran.err

    def test_a_model_that_computes_something_else_fails(self, host: Host, tiny: Path, golden: Golden) -> None:
        replace_file(tiny, "model.onnx", brightest_channel())
        ran = host(tiny, "--golden", golden(tiny), "--json")
        assert ran.code == 1
        assert ran.json()["ok"] is False
        assert any(case["within"] is False for case in ran.json()["cases"])
        assert "expected" in ran.err

    def test_golden_cases_of_another_bundle_are_refused(self, host: Host, tiny: Path, golden: Golden) -> None:
        edit_manifest(tiny, lambda value: value.update(version="9.9.9"))
        assert_refused(host(tiny, "--golden", golden(TINY), "--json"))

    def test_golden_cases_that_were_changed_are_refused(self, host: Host, tiny: Path, golden: Golden) -> None:
        edit_manifest(tiny, lambda value: value.update(version="1.0.1"))
        folder = golden(tiny)
        flip(min(folder.glob("*-probability.f32")))
        assert_refused(host(tiny, "--golden", folder, "--json"))

    def test_an_image_of_another_size_is_refused_and_nothing_is_written(
        self, host: Host, raw_slices: Slices, tmp_path: Path
    ) -> None:
        path, (_, height, width) = raw_slices
        mask = tmp_path / "mask.u8"
        for size in ((height, width), (height + 1, width), (8, 8), (4096, 4096)):
            ran = host(TINY, "--image", path, "--height", size[0], "--width", size[1], "--mask", mask)
            assert_refused(ran)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("usage", WRONG_USAGE)
    def test_wrong_usage_ends_with_2(self, host: Host, usage: str) -> None:
        ran = host(*(TINY if word == "BUNDLE" else word for word in usage.split()))
        assert (ran.code, ran.out) == (2, "")
        assert "BUNDLE" in ran.err

    def test_an_unknown_variant_is_refused(self, host: Host, golden: Golden) -> None:
        assert_refused(host(TINY, "--variant", "int4", "--golden", golden(TINY)))
