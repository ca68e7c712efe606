"""The example that compares ways of post-processing counts what a reader would count by hand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from brainseg_runtime import Segmenter
from tests.runtime.tiny import TINY

SCRIPT = Path(__file__).parents[3] / "examples" / "compare_postprocessing.py"
PATIENT = "TCGA_XX_0001_20000101"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Start it as a user would."""
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A patient whose truth is what the test bundle marks, but for two pixels in a corner that it would have to add."""
    folder = tmp_path / "data" / PATIENT
    folder.mkdir(parents=True)
    segmenter = Segmenter.load(TINY)
    rng = np.random.default_rng(0)
    for number in (1, 2, 3):
        image = rng.integers(0, 30, (64, 64, 3), dtype=np.uint8)
        image[20:40, 20:40] += np.uint8(180)
        mask = segmenter.predict(image).mask
        mask[0, :2] = 1
        tifffile.imwrite(folder / f"{PATIENT}_{number}.tif", image, photometric="rgb")
        tifffile.imwrite(folder / f"{PATIENT}_{number}_mask.tif", mask * np.uint8(255))
    return tmp_path / "data"


def test_every_choice_has_its_dice(data: Path) -> None:
    done = run(TINY, data, PATIENT)
    assert done.returncode == 0, done.stderr
    rows = {
        name: float(dice) for dice, name in re.findall(r"^(\d\.\d+)  \S+ ± \S+  worst \S+  (.+)$", done.stdout, re.M)
    }
    assert rows.pop("as predicted") > 0.9
    assert {"largest component", "25 % of each neighbouring slice", "without components below 300 voxels"} < rows.keys()
    assert all(0 <= dice <= 1 for dice in rows.values())


def test_a_patient_who_is_not_there_is_named(data: Path) -> None:
    done = run(TINY, data, "TCGA_XX_0009_20000101")
    assert (done.returncode, done.stdout) == (1, "")
    assert "TCGA_XX_0009_20000101" in done.stderr


def test_wrong_usage_shows_how_it_is_used() -> None:
    done = run()
    assert done.returncode == 2
    assert "compare_postprocessing.py" in done.stderr
