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
from brainseg_runtime.inference.allocator import return_free_memory

WARM_UP = 5


def resident_mib() -> float:
    """Memory in use now, in MiB, from Linux's own account."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def largest(segmenter: Segmenter) -> dict[str, float]:
    """Memory before and after the largest legal image, alone and after ever larger ones, and after a small one again.

    The C library keeps more of what is freed the larger the blocks were that it saw freed before.
    """
    found: dict[str, float] = {}
    for _ in range(3):
        for side in (256, 255):  # each has a session of its own, which stays
            segmenter.predict(np.zeros((side, side, 3), np.uint8))
    found["baseline"] = resident_mib()
    for name, side in {"after": 2048, "1024": 1024, "1536": 1536, "after_ramp": 2048, "after_small": 256}.items():
        segmenter.predict(np.ones((side, side, 3), np.uint8))
        found[name] = resident_mib()
    return found


def many(segmenter: Segmenter, predictions: int, shapes: int) -> dict[str, float]:
    """Memory after a warm-up over all shapes, and after many more predictions of them in any order.

    Five rounds of warm-up, each in an order of its own: the allocator's free lists need them to settle. What is free
    and only kept by the C library comes and goes by a MiB or two with the order; so `warm` and `after` are taken once
    it was handed back, which leaves what is really held, and `warm_raw` and `after_raw` as they are.
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
    found = {"first": first, **_held("warm")}
    for n in rng.integers(0, shapes, predictions):
        predict(*sizes[n])
    return {**found, **_held("after")}


def _held(moment: str) -> dict[str, float]:
    """Memory now, as it is and without what is free."""
    raw = resident_mib()
    return_free_memory()
    return {f"{moment}_raw": raw, moment: resident_mib()}


def main(bundle: str, provider: str, variant: str, what: str, *counts: str) -> None:
    """Load, run, tell."""
    segmenter = Segmenter.load(bundle, provider=provider, variant=variant, threads=1)
    found = largest(segmenter) if what == "largest" else many(segmenter, *(int(count) for count in counts))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
