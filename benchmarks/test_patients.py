"""Patients from disk to disk: folders of TIFF to masks as TIFF, the runtime against a PyTorch script."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from benchmarks.engines import REFERENCE, start, why_not
from benchmarks.machine import cores
from benchmarks.record import Label, label
from benchmarks.turns import in_turns
from brainseg_runtime import Segmenter
from brainseg_runtime.prediction.inputs import collect
from brainseg_runtime.prediction.segment_files import PredictConfig, predict_files
from brainseg_train.phantom.patients import write_phantom

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from _pytest.mark.structures import ParameterSet
    from pytest_benchmark.fixture import BenchmarkFixture

NETWORK = "resunet"
SLICES = 36
RUNTIME_WAYS = {"onnxruntime int8": ("cpu", "int8"), "OpenVINO int8": ("openvino", "int8")}
MANY = [1, 10, 90]
THREADS = sorted({1, cores()})


def _cases() -> list[ParameterSet]:
    """By default one patient on all cores; the rest is slow."""
    return [
        pytest.param(count, threads, marks=[pytest.mark.slow] * (count > 1 or threads != cores()))
        for count in MANY
        for threads in THREADS
    ]


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Makes folders with so many patients; the same patient's files under many names, linked, not copied."""
    root = tmp_path_factory.mktemp("patients")
    source = min(write_phantom(root / "one", patients=1, slices=(SLICES, SLICES)).glob("TCGA_*"))

    def make(count: int) -> Path:
        out = root / f"of-{count}"
        for index in range(count):
            name = f"TCGA_XX_{index:04d}_20000101"
            (out / name).mkdir(parents=True, exist_ok=True)
            for path in source.iterdir():
                target = out / name / path.name.replace(source.name, name)
                if not target.exists():
                    os.link(path, target)
        return out

    return make


def _with_runtime(segmenter: Segmenter, data: Path, out: Path) -> int:
    out.mkdir(exist_ok=True)
    items = collect([data], out).items
    entries = list(predict_files(segmenter, items, out, PredictConfig()))
    return sum(entry.error is None for entry in entries)


def _with_pytorch(segment: Callable[..., object], data: Path, out: Path) -> int:
    """One slice after the other, as a short script does it."""
    out.mkdir(exist_ok=True)
    done = 0
    for path in sorted(data.rglob("*.tif")):
        if not path.stem.endswith("_mask"):
            mask = np.asarray(segment(tifffile.imread(path)[None])[0])  # type: ignore[index]
            tifffile.imwrite(out / f"{path.stem}_mask.tif", mask[0] * 255)
            done += 1
    return done


@pytest.mark.parametrize(("count", "threads"), _cases())
@pytest.mark.parametrize("way", RUNTIME_WAYS)
def test_runtime(
    benchmark: BenchmarkFixture,
    bundle: Callable[[str], Path],
    patients: Callable[[int], Path],
    tmp_path: Path,
    way: str,
    count: int,
    threads: int,
) -> None:
    if reason := why_not(way, bundle(NETWORK)):
        pytest.skip(reason)
    provider, variant = RUNTIME_WAYS[way]
    segmenter = Segmenter.load(bundle(NETWORK), provider=provider, variant=variant, threads=threads)
    data = patients(count)
    done = benchmark.pedantic(_with_runtime, (segmenter, data, tmp_path / "out"), **_rounds(count))
    assert done == count * SLICES
    told: dict[str, float] = {}
    if benchmark.enabled and count < MANY[-1]:
        torch_way = partial(_with_pytorch, start(REFERENCE, NETWORK, bundle(NETWORK), threads=threads), data)
        told = in_turns(
            partial(torch_way, tmp_path / "out"),
            partial(_with_runtime, segmenter, data, tmp_path / "out"),
            turns=_rounds(count)["rounds"],
        )
    _tell(benchmark, way, count, threads, told)


@pytest.mark.parametrize(("count", "threads"), _cases())
def test_pytorch(
    benchmark: BenchmarkFixture,
    bundle: Callable[[str], Path],
    patients: Callable[[int], Path],
    tmp_path: Path,
    count: int,
    threads: int,
) -> None:
    segment = start(REFERENCE, NETWORK, bundle(NETWORK), threads=threads)
    data = patients(count)
    done = benchmark.pedantic(_with_pytorch, (segment, data, tmp_path / "out"), **_rounds(count))
    assert done == count * SLICES
    _tell(benchmark, REFERENCE, count, threads, {})


def _rounds(count: int) -> dict[str, int]:
    """How often; over many patients the first is warming up enough for the rest."""
    return {"rounds": 7 if count == 1 else 3 if count == 10 else 1, "warmup_rounds": int(count < MANY[-1])}


def _tell(benchmark: BenchmarkFixture, way: str, count: int, threads: int, ratio: dict[str, float]) -> None:
    table = "patient" if count == 1 else "patients"
    case: dict[str, str | int] = {"network": NETWORK, "threads": threads, "patients": count}
    told = Label(table=table, way=way, case=case, reference=way == REFERENCE)
    rate = {"slices_per_s": count * SLICES / benchmark.stats.stats.median} if benchmark.stats else {}
    label(benchmark, told, **rate, **ratio)
