"""Memory comes back after the largest image, and stays bounded over images of any sizes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from brainseg_runtime.inference.providers import find_provider
from brainseg_runtime.inference.providers.openvino import BOUND_MIB
from tests.runtime.tiny import TINY

ROOT = Path(__file__).parents[2]
linux = pytest.mark.skipif(sys.platform != "linux", reason="memory in use is read from Linux's own account")
needs_openvino = pytest.mark.skipif(
    not find_provider("openvino").status().available, reason="openvino is not available"
)


def measure(provider: str, variant: str, *what: str) -> dict[str, float]:
    """What a process of its own found, in MiB."""
    bundle = os.environ.get("BRAINSEG_BUNDLE", str(TINY))
    command = [sys.executable, "-m", "tests.reliability.memory_use", bundle, provider, variant, *what]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


@linux
@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_cpu_gives_back_the_largest_images_memory(variant: str) -> None:
    found = measure("cpu", variant, "largest")
    assert found["after"] - found["baseline"] < 32, found
    assert found["after_ramp"] - found["baseline"] < 32, found
    assert found["after_small"] - found["baseline"] < 8, found


@linux
@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_two_thousand_more_predictions_of_mixed_shapes_add_nothing_on_cpu(variant: str) -> None:
    found = measure("cpu", variant, "many", "2000", "200")
    assert found["after"] - found["warm"] < 1, found
    assert found["after_raw"] - found["warm_raw"] < 4, found


@linux
@needs_openvino
def test_openvino_stays_below_its_stated_bound() -> None:
    found = measure("openvino", "int8", "many", "200", "300")
    assert found["after_raw"] - found["first"] < BOUND_MIB, found


@linux
@pytest.mark.slow
def test_a_hundred_thousand_predictions_add_nothing_on_cpu() -> None:
    found = measure("cpu", "int8", "many", "100000", "200")
    assert found["after"] - found["warm"] < 1, found
    assert found["after_raw"] - found["warm_raw"] < 4, found


@linux
@needs_openvino
@pytest.mark.slow
def test_openvino_stays_below_its_bound_over_many_shapes() -> None:
    found = measure("openvino", "int8", "many", "5000", "3000")
    assert found["after_raw"] - found["first"] < BOUND_MIB, found
