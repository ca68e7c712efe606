"""Run predictions and tell, as JSON, what the process's memory did; a process of its own, for a clean baseline.

python -m tests.reliability.memory_use BUNDLE PROVIDER VARIANT largest
python -m tests.reliability.memory_use BUNDLE PROVIDER VARIANT many PREDICTIONS SHAPES
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from brainseg_runtime import Segmenter

WARM_UP = 5


def resident_mib() -> float:
    """Memory in use now, in MiB, from Linux's own account."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def largest(segmenter: Segmenter) -> dict[str, float]:
    """Memory before and after the largest legal image."""
    for _ in range(3):
        segmenter.predict(np.zeros((256, 256, 3), np.uint8))
    baseline = resident_mib()
    segmenter.predict(np.ones((2048, 2048, 3), np.uint8))
    return {"baseline": baseline, "after": resident_mib()}


def many(segmenter: Segmenter, predictions: int, shapes: int) -> dict[str, float]:
    """Memory after a warm-up over all shapes, and after many more predictions of them in any order.

    Five rounds of warm-up, each in an order of its own: the allocator's free lists need them to settle.
    """
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, 400 * 400 * 3, np.uint8)
    sizes = rng.integers(16, 400, (shapes, 2)).tolist()

    def predict(height: int, width: int) -> None:
        segmenter.predict(pixels[: height * width * 3].reshape(height, width, 3))

    predict(*sizes[0])
    first = resident_mib()
    for _ in range(WARM_UP if segmenter.info.provider == "cpu" else 1):
        for n in rng.permutation(shapes):
            predict(*sizes[n])
    warm = resident_mib()
    for n in rng.integers(0, shapes, predictions):
        predict(*sizes[n])
    return {"first": first, "warm": warm, "after": resident_mib()}


def main(bundle: str, provider: str, variant: str, what: str, *counts: str) -> None:
    """Load, run, tell."""
    segmenter = Segmenter.load(bundle, provider=provider, variant=variant, threads=1)
    found = largest(segmenter) if what == "largest" else many(segmenter, *(int(count) for count in counts))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
