"""Attack 3: exchange files while the bundle is being read, and between reading and use."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.segmenter import Segmenter
from tests.attacks.victim import accepted
from tests.runtime.tiny import TINY, copy_tiny, digest_of, slice_image

LOADS = 400


def test_a_bundle_that_changes_under_the_reader_is_the_right_one_or_none(tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    digest = digest_of(bundle)
    right = {path.name: path.read_bytes() for path in bundle.iterdir()}
    done = threading.Event()

    def exchange() -> None:
        while not done.is_set():
            for name in ("model.onnx", "model.int8.onnx", "golden.npz"):
                fresh = tmp_path / f"{name}.fresh"
                for data in (right["model.onnx"][::-1], right[name]):
                    fresh.write_bytes(data)
                    fresh.replace(bundle / name)

    attacker = threading.Thread(target=exchange)
    attacker.start()
    try:
        opened = [found for _ in range(LOADS) if (found := accepted(bundle, digest)) is not None]
    finally:
        done.set()
        attacker.join()
    assert all(found.files[name] == right[name] for found in opened for name in found.files)


def test_what_was_verified_is_what_runs_whatever_the_disk_holds_by_then(tmp_path: Path) -> None:
    path = copy_tiny(tmp_path)
    bundle = open_bundle(path)
    for file in path.iterdir():
        file.write_bytes(b"something else")
    got = Segmenter.from_bundle(bundle, provider="cpu", variant="fp32", threads=1).predict(slice_image())
    right = Segmenter.load(TINY, provider="cpu", variant="fp32", threads=1).predict(slice_image())
    assert np.array_equal(got.probability, right.probability)
