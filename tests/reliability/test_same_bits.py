"""Same bits: threads, batching and callers change nothing, for every bundle here, on every provider that can be had."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from brainseg_runtime import Segmenter
from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.inference.providers import find_provider
from tests.runtime.tiny import TINY, slice_image

ROOT = Path(__file__).parents[2]
BUNDLES = [TINY, *sorted(path.parent for path in ROOT.glob("models/*/manifest.json"))]
CASES = [
    pytest.param(bundle, variant, provider, id=f"{bundle.name}-{variant}-{provider}")
    for bundle in BUNDLES
    for variant in open_bundle(bundle).manifest.variants
    for provider in ("cpu", "openvino")
    if find_provider(provider).status().available
]
# The data set's own size, the network's own, and one that divides by nothing.
SLICES = [slice_image(*size, seed) for seed, size in enumerate([(256, 256), (256, 256), (128, 128), (61, 83)] * 2)]


@cache
def load(bundle: Path, variant: str, provider: str, threads: int) -> Segmenter:
    """One segmenter for all tests, since loading is what costs."""
    return Segmenter.load(bundle, variant=variant, provider=provider, threads=threads)


@cache
def reference(bundle: Path, variant: str, provider: str) -> tuple[bytes, ...]:
    """The bits of every slice, one by one, on one thread."""
    segmenter = load(bundle, variant, provider, 1)
    return tuple(segmenter.predict(image).probability.tobytes() for image in SLICES)


@pytest.mark.parametrize(("bundle", "variant", "provider"), CASES)
@pytest.mark.parametrize("threads", [2, 4])
def test_threads_change_no_bit(bundle: Path, variant: str, provider: str, threads: int) -> None:
    segmenter = load(bundle, variant, provider, threads)
    found = tuple(segmenter.predict(image).probability.tobytes() for image in SLICES)
    assert found == reference(bundle, variant, provider)


@pytest.mark.parametrize(("bundle", "variant", "provider"), CASES)
def test_a_batch_of_eight_is_eight_singles(bundle: Path, variant: str, provider: str) -> None:
    found = load(bundle, variant, provider, 2).predict_batch(SLICES)
    assert tuple(one.probability.tobytes() for one in found) == reference(bundle, variant, provider)


@pytest.mark.parametrize(("bundle", "variant", "provider"), CASES)
def test_a_volume_is_its_slices(bundle: Path, variant: str, provider: str) -> None:
    same_size = [n for n, image in enumerate(SLICES) if image.shape == SLICES[0].shape]
    volume = load(bundle, variant, provider, 2).predict_volume(np.stack([SLICES[n] for n in same_size]))
    expected = reference(bundle, variant, provider)
    assert [one.tobytes() for one in volume.probability] == [expected[n] for n in same_size]


@pytest.mark.parametrize(("bundle", "variant", "provider"), CASES)
def test_eight_callers_at_once_get_what_each_would_alone(bundle: Path, variant: str, provider: str) -> None:
    segmenter = load(bundle, variant, provider, 2)
    found: dict[int, tuple[bytes, ...]] = {}
    start = threading.Barrier(8)

    def call(number: int) -> None:
        start.wait()
        order = SLICES[number:] + SLICES[:number]
        answers = [segmenter.predict(image).probability.tobytes() for image in order]
        found[number] = tuple(answers[len(SLICES) - number :] + answers[: len(SLICES) - number])

    callers = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(found) == 8
    assert set(found.values()) == {reference(bundle, variant, provider)}


@pytest.mark.parametrize(("bundle", "variant", "provider"), CASES)
def test_a_fresh_load_computes_the_same(bundle: Path, variant: str, provider: str) -> None:
    again = Segmenter.load(bundle, variant=variant, provider=provider, threads=1)
    found = tuple(again.predict(image).probability.tobytes() for image in SLICES)
    assert found == reference(bundle, variant, provider)


@pytest.mark.parametrize(("bundle", "variant", "provider"), CASES)
def test_what_the_manifest_says_of_its_bits_is_true(bundle: Path, variant: str, provider: str) -> None:
    assert load(bundle, variant, provider, 1).info.same_bits is True
