"""Isolation: what goes wrong in the other process is an error here, and the next call works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from brainseg_runtime import CancelledError, DigestMismatchError, ImageError, InferenceError, Segmenter, WorkerError
from brainseg_runtime.errors import BundleError, BundleMissingError
from brainseg_runtime.isolation.isolated_segmenter import IsolatedSegmenter
from tests.runtime.onnx_bytes import brightest_channel
from tests.runtime.tiny import TINY, copy_tiny, digest_of, edit_manifest, slice_image


@pytest.fixture(scope="module")
def local() -> Segmenter:
    """The model in this process."""
    return Segmenter.load(TINY, provider="cpu", variant="fp32", threads=1)


@pytest.fixture(scope="module")
def isolated(local: Segmenter) -> Iterator[IsolatedSegmenter]:
    """The same in another one."""
    with local.isolated(deadline=30) as segmenter:
        yield segmenter


def kill(pid: int | None) -> None:
    """End a process as a crash in native code would."""
    assert pid is not None
    os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def test_it_answers_the_same_bits(local: Segmenter, isolated: IsolatedSegmenter) -> None:
    image = slice_image()
    here, there = local.predict(image), isolated.predict(image)
    np.testing.assert_array_equal(there.probability, here.probability)
    np.testing.assert_array_equal(there.mask, here.mask)
    assert (there.area, there.warnings, there.provenance) == (here.area, here.warnings, here.provenance)
    assert there.mask.flags.writeable
    assert isolated.info == local.info


def test_batches_and_volumes_too(local: Segmenter, isolated: IsolatedSegmenter) -> None:
    slices = np.stack([slice_image(seed=seed) for seed in range(3)])
    told: list[tuple[int, int]] = []
    volume = isolated.predict_volume(slices, progress=lambda *n: told.append(n))
    np.testing.assert_array_equal(volume.probability, local.predict_volume(slices).probability)
    np.testing.assert_array_equal([one.mask for one in isolated.predict_batch(slices)], volume.mask)
    assert told[-1] == (3, 3)
    with pytest.raises(CancelledError):
        isolated.predict_volume(slices, cancel=lambda: True)


def test_wrong_images_never_reach_it(isolated: IsolatedSegmenter) -> None:
    before = isolated.pid
    with pytest.raises(ImageError):
        isolated.predict(np.zeros((4, 4, 3), np.uint8))
    assert isolated.pid == before


def test_its_errors_are_the_same_errors(isolated: IsolatedSegmenter) -> None:
    before = isolated.pid
    with pytest.raises(ImageError, match="blank slice"):
        isolated.predict(np.zeros((40, 40, 3), np.uint8), strict=True)
    assert isolated.pid == before


def test_killed_between_calls(isolated: IsolatedSegmenter) -> None:
    kill(isolated.pid)
    with pytest.raises(WorkerError, match="crashed"):
        isolated.predict(slice_image())
    assert isolated.predict(slice_image()).area > 0


def test_killed_in_the_middle_of_a_call(local: Segmenter, isolated: IsolatedSegmenter) -> None:
    isolated.predict(slice_image())
    pid = isolated.pid
    slices = np.broadcast_to(slice_image(1024, 1024), (50, 1024, 1024, 3))
    busy = threading.Event()

    def kill_when_busy() -> None:
        busy.wait(30)
        kill(pid)

    killer = threading.Thread(target=kill_when_busy)
    killer.start()
    with pytest.raises(WorkerError, match="crashed"):
        isolated.predict_volume(slices, progress=lambda done, _: busy.set() if done == 1 else None)
    killer.join()
    image = slice_image()
    np.testing.assert_array_equal(isolated.predict(image).probability, local.predict(image).probability)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system cannot stop a process from outside")
def test_a_hang_ends_at_the_deadline(local: Segmenter) -> None:
    with local.isolated(deadline=1.0) as isolated:
        isolated.predict(slice_image())
        assert isolated.pid is not None
        os.kill(isolated.pid, signal.SIGSTOP)
        start = time.monotonic()
        with pytest.raises(WorkerError, match="hung"):
            isolated.predict(slice_image(1024, 1024))  # more than the pipe holds, so that writing hangs as well
        assert time.monotonic() - start < 10


@pytest.mark.skipif(sys.platform != "linux", reason="the cap is tried where the system enforces one")
def test_a_memory_blow_up_is_an_error_and_the_next_call_works() -> None:
    with IsolatedSegmenter.load(TINY, provider="cpu", variant="fp32", threads=1) as isolated:
        assert isolated.predict(slice_image()).area > 0
        small = _private_mib(isolated.pid)
    # The image alone has 12 MiB and its answer 20, wherever else memory goes.
    with IsolatedSegmenter.load(TINY, provider="cpu", variant="fp32", threads=1, memory_mib=small + 24) as isolated:
        assert isolated.predict(slice_image()).area > 0
        with pytest.raises(InferenceError, match=r"memory|crashed|run on an image"):
            isolated.predict(slice_image(2048, 2048))
        assert isolated.predict(slice_image()).area > 0


def _private_mib(pid: int | None) -> int:
    """What a process's cap counts: its private writable memory, MiB."""
    (line,) = [
        line for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines() if line.startswith("VmData")
    ]
    return int(line.split()[1]) // 1024


def test_a_bundle_that_changed_since_is_not_loaded(tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    segmenter = Segmenter.load(bundle, provider="cpu", variant="fp32")
    edit_manifest(bundle, lambda value: value.update(threshold=0.1))
    with pytest.raises(DigestMismatchError):
        segmenter.isolated()


def test_faults_while_loading_are_the_same_errors(tmp_path: Path) -> None:
    with pytest.raises(BundleMissingError):
        IsolatedSegmenter.load(tmp_path)
    bundle = copy_tiny(tmp_path)
    (bundle / "model.onnx").write_bytes(b"changed")
    with pytest.raises(BundleError, match=r"model\.onnx"):
        IsolatedSegmenter.load(bundle, digest=digest_of(bundle))


def test_an_unsealed_model_is_held_to_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(brightest_channel())
    segmenter = Segmenter.load_unsealed(path)
    with segmenter.isolated() as isolated:
        assert isolated.predict(slice_image()).area == segmenter.predict(slice_image()).area
    path.write_bytes(brightest_channel(last="doubled"))
    with pytest.raises(DigestMismatchError):
        segmenter.isolated()


def test_after_closing_it_is_closed_and_its_process_is_gone(local: Segmenter) -> None:
    isolated = local.isolated()
    before = isolated.pid
    isolated.close()
    isolated.close()
    assert (before is None, isolated.pid is None) == (False, True)
    with pytest.raises(WorkerError, match="closed"):
        isolated.predict(slice_image())


def test_callers_take_turns(local: Segmenter, isolated: IsolatedSegmenter) -> None:
    images = [slice_image(seed=seed) for seed in range(8)]
    found: dict[int, float] = {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: float(isolated.predict(images[n]).probability.sum())}))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: float(local.predict(images[n]).probability.sum()) for n in range(8)}


def test_a_host_needs_no_main_guard(tmp_path: Path) -> None:
    host = tmp_path / "host.py"
    host.write_text(
        "import sys, numpy\n"
        "from brainseg_runtime.isolation.isolated_segmenter import IsolatedSegmenter\n"
        "with IsolatedSegmenter.load(sys.argv[1], provider='cpu', variant='fp32') as s:\n"
        "    s.predict(numpy.zeros((32, 32, 3), numpy.uint8))\n"
        "assert 'onnxruntime' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, host, TINY], capture_output=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("deadline", [0, -1.0])
def test_a_deadline_is_in_the_future(local: Segmenter, deadline: float) -> None:
    with pytest.raises(ValueError, match="deadline"):
        local.isolated(deadline=deadline)
