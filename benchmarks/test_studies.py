"""A study from DICOM to SEG: 3 series of 24 slices read, registered, segmented and written, with the model loaded.

Each part's time is told too, and the processor's, which other programs on the machine move less than the clock's.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest

from benchmarks.machine import cores
from benchmarks.record import Label, label
from brainseg_runtime import Segmenter
from brainseg_runtime.studies import read_study, segment_study
from brainseg_train.phantom.dicom import write_phantom_studies

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

NETWORK = "resunet"
SLICES = 24
WAYS = {"registered": True, "by header": False}
WITHIN_S = {"registered": 6.0, "by header": 1.0}
"""Target on two cores, s."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated patient's study, all three series in it."""
    root = write_phantom_studies(
        tmp_path_factory.mktemp("studies") / "one", patients=1, seed=1, slices=(SLICES, SLICES)
    )
    return min(path for path in root.iterdir() if path.is_dir())


def _segment(segmenter: Segmenter, study: Path, out: Path, *, register: bool) -> dict[str, float]:
    """From a folder of DICOM to a SEG; seconds by part, and of the processor."""
    begun, of_processor = time.perf_counter(), time.process_time()
    found = read_study(study)
    headers = time.perf_counter() - begun
    result = segment_study(segmenter, found, register=register)
    before_writing = time.perf_counter()
    written = result.write(out, kinds=("seg",))
    assert any(each.kind == "seg" for each in written)
    parts = {"headers": headers, **result.seconds, "write": time.perf_counter() - before_writing}
    return {**parts, "processor": time.process_time() - of_processor}


@pytest.mark.parametrize("way", WAYS)
def test_dicom_to_seg(
    benchmark: BenchmarkFixture,
    bundle: Callable[[str], Path],
    study: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    way: str,
) -> None:
    segmenter = Segmenter.load(bundle(NETWORK), provider="cpu", variant="fp32", threads=cores())
    rounds: list[dict[str, float]] = []

    def once() -> None:
        rounds.append(_segment(segmenter, study, tmp_path / "out", register=WAYS[way]))

    benchmark.pedantic(once, rounds=5, warmup_rounds=1)
    best = min(rounds, key=lambda parts: parts["processor"])
    told = Label(table="study", way=way, case={"network": NETWORK, "threads": cores(), "slices": 3 * SLICES})
    label(benchmark, told, **{f"{part}_s": seconds for part, seconds in best.items()}, target_s=WITHIN_S[way])
    with capsys.disabled():
        sys.stdout.write(f"\n{way}: {', '.join(f'{part} {seconds:.3f} s' for part, seconds in best.items())}\n")
