"""A provider that nobody knew is one class: once registered, everything that runs models works with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from brainseg_runtime import ProviderError, Segmenter
from brainseg_runtime.bundles.manifest import Tolerance
from brainseg_runtime.inference.providers import Provider, ProviderStatus, list_providers, registered
from brainseg_runtime.installation.benchmark import BenchCase, measure
from brainseg_runtime.installation.doctor import diagnose
from brainseg_runtime.installation.verify import verify_bundle
from tests.runtime.tiny import TINY, copy_tiny, edit_manifest, slice_image

NOTHING = Tolerance(probability=0.0, mask=0.0)


@dataclass(frozen=True, kw_only=True)
class MadeUp(Provider):
    """Computes on onnxruntime's kernels for processors, under another name."""

    name: str = "made-up"
    execution_provider: str = "CPUExecutionProvider"
    install: str | None = "register it"
    auto_rank: int | None = 9
    tolerance: Tolerance = NOTHING
    sizes_per_session: int | None = 2

    def status(self) -> ProviderStatus:
        """Always there."""
        return ProviderStatus(name=self.name, available=True, reason="it is made up")


@pytest.fixture(autouse=True)
def made_up() -> Iterator[None]:
    """The provider, known for the time of a test."""
    with registered(MadeUp()):
        yield


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """A bundle that was measured on it, and that states no tolerance."""
    bundle = copy_tiny(tmp_path)

    def change(value: dict[str, dict[str, dict[str, object]]]) -> None:
        for variant in value["variants"].values():
            variant.update(same_bits={"made-up": True}, tolerances={})

    edit_manifest(bundle, change)
    return bundle


def test_a_segmenter_runs_on_it_and_says_so() -> None:
    segmenter = Segmenter.load(TINY, provider="made-up", variant="fp32")
    assert segmenter.info.provider == "made-up"
    assert set(segmenter.info.nodes) == {"made-up"}
    on_cpu = Segmenter.load(TINY, provider="cpu", variant="fp32")
    for side in (256, 40, 48, 56, 40):  # more sizes than one session of it may see
        image = slice_image(side, side)
        np.testing.assert_array_equal(segmenter.predict(image).probability, on_cpu.predict(image).probability)


def test_auto_takes_it_where_the_bundle_was_measured_on_it(measured: Path) -> None:
    info = Segmenter.load(measured).info
    assert info.provider == "made-up"
    assert "provider made-up: it is made up, and the bundle was measured on it" in info.reasons
    assert "not made-up: the bundle does not show" in " ".join(Segmenter.load(TINY).info.reasons)


def test_the_doctor_lists_it_and_its_place_in_the_rule(measured: Path) -> None:
    found = diagnose(measured)
    assert found.providers[-1] == MadeUp().status()
    assert found.choice is not None
    assert found.choice.provider == "made-up"
    assert "provider: made-up if the bundle was measured on it" in found.rule


def test_verification_runs_it_within_its_own_tolerance(measured: Path) -> None:
    found = verify_bundle(measured, provider="made-up")
    details = [check.detail for check in found.checks if check.name.startswith("golden ")]
    assert found.providers == {"fp32": "made-up", "int8": "made-up"}
    assert details
    assert all("(limit 0)" in detail for detail in details)


def test_a_row_of_the_benchmark_is_measured_on_it() -> None:
    row = measure(BenchCase(bundle=TINY, provider="made-up", variant="fp32", side=32, seconds=0))
    assert (row.provider, row.calls) == ("made-up", 10)


def test_it_is_unknown_once_it_is_no_longer_registered() -> None:
    with registered(MadeUp(name="another")):
        assert [each.name for each in list_providers()][-2:] == ["made-up", "another"]
    with pytest.raises(ProviderError, match=r"auto or one of cpu, .*, made-up; got 'another'"):
        Segmenter.load(TINY, provider="another")
