"""What hosts keep when somebody means harm, or when a path is given by mistake: no hang, no crash, no file lost."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import pytest

from brainseg_runtime.segmenter import Segmenter
from tests.hosts.contract import Golden, assert_nothing_done, assert_refused
from tests.hosts.host import Host, Slices, library
from tests.hosts.strictness import put
from tests.runtime.tiny import TINY, digest_of, edit_manifest, replace_file, slice_image

DEEP: Final = 100_000
"""Levels beyond which whoever walks JSON by calling itself runs out of stack."""


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_pipe(path: Path) -> None:
    """Put a pipe, to which nobody writes, in a file's place."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def make_sparse(path: Path) -> None:
    """Make a file as long as 1 GiB, of which the disk holds little."""
    with path.open("r+b") as file:
        file.truncate(1 << 30)


def keep_weights_elsewhere(bundle: Path) -> None:
    """Have the model name a file for its weights, in the folder from which hosts are started."""
    model = onnx.load(bundle / "model.onnx")
    weights = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    (bundle.parent / "weights").write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="weights")
    replace_file(bundle, "model.onnx", model.SerializeToString())


HOSTILE: Final[dict[str, Callable[[Path], object]]] = {
    "deep-in-the-contract": lambda bundle: put(bundle, "contract", "[" * DEEP + "]" * DEEP),
    "deep-in-a-key-that-nobody-asks-for": lambda bundle: put(bundle, "x", '{"a":' * DEEP + "1" + "}" * DEEP),
    "a-number-beyond-all": lambda bundle: put(bundle, "x", "1e400"),
    "a-batch-beyond-all": lambda bundle: edit_manifest(
        bundle, lambda value: value["contract"]["limits"].update(max_batch=65)
    ),
    "no-variants": lambda bundle: edit_manifest(bundle, lambda value: value.pop("variants")),
    "a-tolerance-of-everything": lambda bundle: edit_manifest(
        bundle, lambda value: value["variants"]["fp32"].update(tolerances={"default": {"probability": 9, "mask": 9}})
    ),
    "a-pipe-for-a-manifest": lambda bundle: make_pipe(bundle / "manifest.json"),
    "a-pipe-for-a-model": lambda bundle: make_pipe(bundle / "model.onnx"),
    "a-gibibyte-of-manifest": lambda bundle: make_sparse(bundle / "manifest.json"),
    "a-folder-for-a-model": lambda bundle: make_folder(bundle / "model.onnx"),
}


def _answer(index: dict[str, Any]) -> dict[str, Any]:
    """What the full-precision model answered to the first case."""
    answer: dict[str, Any] = index["cases"][0]["variants"]["fp32"]
    return answer


GOLDEN: Final[dict[str, Callable[[dict[str, Any]], object]]] = {
    "no-image": lambda index: index["cases"][0].pop("image"),
    "no-name": lambda index: index["cases"][0].pop("name"),
    "a-size-that-overflows": lambda index: index["cases"][0]["image"].update(shape=[1 << 31, 1 << 31, 1 << 31, 3]),
    "out-of-the-folder": lambda index: index["cases"][0]["image"].update(file="../image"),
    "cases-of-text": lambda index: index.update(cases="cases"),
    "cases-by-name": lambda index: index.update(cases={case["name"]: case for case in index["cases"]}),
    "a-case-without-variants": lambda index: index["cases"][0].pop("variants"),
    "a-case-with-variants-of-text": lambda index: index["cases"][0].update(variants="fp32"),
    "a-case-without-an-answer": lambda index: index["cases"][0]["variants"].update(fp32=None),
    "an-image-of-five-axes": lambda index: index["cases"][0]["image"]["shape"].append(1),
    "an-image-with-an-axis-of-text": lambda index: index["cases"][0]["image"]["shape"].__setitem__(3, "3"),
    "a-mask-of-another-shape": lambda index: _answer(index)["mask"]["shape"].reverse(),
    "a-mask-with-a-list-for-an-axis": lambda index: _answer(index)["mask"]["shape"].__setitem__(0, [1]),
    "probabilities-without-a-shape": lambda index: _answer(index)["probability"].pop("shape"),
}


class HostHostility:
    """The tests; a subclass has `host`, as for `HostContract`."""

    @pytest.mark.parametrize("harm", HOSTILE)
    def test_a_hostile_bundle_is_refused(
        self, host: Host, tiny: Path, raw_slices: Slices, tmp_path: Path, harm: str
    ) -> None:
        HOSTILE[harm](tiny)
        assert_nothing_done(host, tiny, raw_slices, tmp_path / "mask")

    def test_weights_outside_the_bundle_are_not_read(
        self, host: Host, tiny: Path, raw_slices: Slices, tmp_path: Path
    ) -> None:
        keep_weights_elsewhere(tiny)
        assert_refused(host.segment(tiny, raw_slices, tmp_path / "mask", folder=tmp_path))
        assert not (tmp_path / "mask").exists()

    @pytest.mark.parametrize("harm", GOLDEN)
    def test_a_hostile_index_is_refused(self, host: Host, golden: Golden, tmp_path: Path, harm: str) -> None:
        folder = Path(shutil.copytree(golden(TINY), tmp_path / "golden"))
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        GOLDEN[harm](index)
        (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
        assert_refused(host(TINY, "--golden", folder, "--json"))

    def test_no_file_that_is_read_is_written_over(
        self, host: Host, tiny: Path, raw_slices: Slices, tmp_path: Path
    ) -> None:
        path, (_, height, width) = raw_slices
        image = Path(shutil.copyfile(path, tmp_path / "scan.partial"))
        (tmp_path / "link").symlink_to(tmp_path)
        (tmp_path / "to-bundle").symlink_to(tiny)
        given = (tiny, "--image", image, "--slices", 2, "--height", height, "--width", width)
        for mask in (tmp_path / "link" / image.name, tiny / "manifest.json", tmp_path / "to-bundle" / "new"):
            assert host(*given, "--mask", mask).code == 2
        assert host(*given, "--mask", tmp_path / "scan").code == 0
        assert image.read_bytes() == path.read_bytes()
        assert digest_of(tiny) == digest_of(TINY)
        assert {each.name for each in tmp_path.iterdir()} == {"scan.partial", "scan", "link", "to-bundle", "tiny"}

    def test_the_image_is_not_written_over_by_a_way_back_from_a_link(
        self, host: Host, raw_slices: Slices, tmp_path: Path
    ) -> None:
        path, shape = raw_slices
        image = Path(shutil.copyfile(path, tmp_path / "scan"))
        (tmp_path / "sub").mkdir()
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "link").symlink_to(tmp_path / "sub")
        assert host.segment(TINY, (image, shape), tmp_path / "elsewhere" / "link" / ".." / "scan").code == 2
        assert image.read_bytes() == path.read_bytes()
        (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "link")
        assert host.segment(tmp_path / "link" / ".." / TINY.name, (image, shape), tmp_path / "mask").code == 1
        shutil.copytree(TINY, tmp_path / TINY.name)
        ran = host.segment(tmp_path / "link" / ".." / TINY.name, (image, shape), tmp_path / "link" / ".." / "mask")
        assert (ran.code, (tmp_path / "mask").is_file()) == (0, True), ran.err

    def test_the_library_is_not_written_over(self, host: Host, raw_slices: Slices, tmp_path: Path) -> None:
        if "--library" not in host.command:
            pytest.skip("this host brings its own library")
        (tmp_path / "library").symlink_to(library())
        plain = Host(host.name, host.command[: host.command.index("--library")])
        ran = plain.segment(TINY, raw_slices, tmp_path / "library", "--library", tmp_path / "library")
        assert (ran.code, (tmp_path / "library").is_symlink()) == (2, True)

    def test_a_path_that_cannot_be_used_is_explained(self, host: Host, raw_slices: Slices, tmp_path: Path) -> None:
        path, shape = raw_slices
        make_pipe(tmp_path / "pipe")
        (tmp_path / "link").symlink_to(path)
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "held").touch()
        before = sorted(tmp_path.iterdir())
        for image in (tmp_path / "none", tmp_path / "pipe", tmp_path / "folder", tmp_path / "link"):
            assert_refused(host.segment(TINY, (image, shape), tmp_path / "mask"))
        for mask in (tmp_path / "none" / "mask", tmp_path / "folder", tmp_path / "pipe"):
            assert_refused(host.segment(TINY, raw_slices, mask))
        assert sorted(tmp_path.iterdir()) == before

    def test_masks_and_probabilities_appear_together_or_not_at_all(
        self, host: Host, raw_slices: Slices, tmp_path: Path
    ) -> None:
        (tmp_path / "mask").write_bytes(b"an earlier answer")
        (tmp_path / "folder").mkdir()
        ran = host.segment(TINY, raw_slices, tmp_path / "mask", "--probability", tmp_path / "folder")
        assert_refused(ran)
        assert (tmp_path / "mask").read_bytes() == b"an earlier answer"
        assert {each.name for each in tmp_path.iterdir()} == {"mask", "folder"}

    def test_a_full_disk_keeps_what_was_there(self, host: Host, raw_slices: Slices, small_disk: Path) -> None:
        (small_disk / "mask").write_bytes(b"an earlier answer")
        ran = host.segment(TINY, raw_slices, small_disk / "mask", "--probability", small_disk / "probability")
        assert_refused(ran)
        assert {each.name: each.read_bytes() for each in small_disk.iterdir()} == {"mask": b"an earlier answer"}

    def test_more_slices_than_a_batch_may_hold_are_segmented(self, host: Host, tmp_path: Path) -> None:
        manifest = json.loads((TINY / "manifest.json").read_text(encoding="utf-8"))
        count = manifest["contract"]["limits"]["max_batch"] + 6
        images = np.stack([slice_image(16, 24, seed) for seed in range(count)])
        (tmp_path / "slices").write_bytes(images.tobytes())
        ran = host.segment(TINY, (tmp_path / "slices", (count, 16, 24)), tmp_path / "mask")
        assert ran.json()["slices"] == count
        expected = Segmenter.load(TINY, provider="cpu", variant="fp32").predict_volume(images).mask
        assert np.array_equal(np.fromfile(tmp_path / "mask", np.uint8).reshape(expected.shape), expected)

    def test_a_report_that_nobody_takes_is_no_success(self, host: Host, golden: Golden) -> None:
        if not Path("/dev/full").exists():
            pytest.skip("this system has no device that is always full")
        for closing in (">&-", ">/dev/full"):
            shell = Host(host.name, ("sh", "-c", f'exec "$@" {closing}', "sh", *host.command))
            ran = shell(TINY, "--golden", golden(TINY), "--json")
            assert_refused(ran)
            assert not ran.out

    def test_a_pinned_digest_may_say_that_it_is_a_sha256(self, host: Host, golden: Golden) -> None:
        digest = f"sha256:{hashlib.sha256((TINY / 'manifest.json').read_bytes()).hexdigest()}"
        assert host(TINY, "--digest", digest, "--golden", golden(TINY)).code == 0
        assert host(TINY, "--digest", "", "--golden", golden(TINY)).code == 2

    def test_probabilities_are_numbers(self, host: Host, raw_slices: Slices, tiny: Path, tmp_path: Path) -> None:
        replace_file(tiny, "model.onnx", nan_probabilities())
        assert_nothing_done(host, tiny, raw_slices, tmp_path / "mask")


def nan_probabilities() -> bytes:
    """The small model with probabilities that are no numbers, and masks as ever."""
    model = onnx.load(TINY / "model.onnx")
    for node in model.graph.node:
        node.output[:] = ["kept" if name == "probability" else name for name in node.output]
        node.input[:] = ["kept" if name == "probability" else name for name in node.input]
    nan = onnx.numpy_helper.from_array(np.array(np.nan, np.float32), "nan")
    model.graph.initializer.append(nan)
    model.graph.node.append(onnx.helper.make_node("Add", ["kept", "nan"], ["probability"]))
    return bytes(model.SerializeToString())
