"""Head and brain in real patients' slices; no brain's mask is published, so the tumour's is the witness."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainseg_runtime.perturbations.brain import head_masks

PATIENTS = Path(os.environ.get("BRAINSEG_DATA", "data/kaggle_3m"))


def number(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.skipif(not PATIENTS.is_dir(), reason="BRAINSEG_DATA names no folder of kaggle_3m")
def test_the_tumour_is_brain_and_the_brain_is_a_plausible_part_of_the_head() -> None:
    faults, insides = [], []
    for folder in sorted(path for path in PATIENTS.iterdir() if path.is_dir()):
        images = sorted((path for path in folder.glob("*.tif") if not path.stem.endswith("_mask")), key=number)
        masks = [path.with_name(f"{path.stem}_mask.tif") for path in images]
        tumour = np.stack([np.asarray(Image.open(path)) > 0 for path in masks])
        found = head_masks([np.asarray(Image.open(path)) for path in images])
        head, brain = np.stack(found.head), np.stack(found.brain)
        inside = float((brain & tumour).sum() / max(tumour.sum(), 1))
        insides.append(inside)
        share = float(brain.sum() / max(head.sum(), 1))
        # Of slices from the neck to the vertex the brain is about half; of slices above the skull's base nine tenths.
        if inside < 0.8 or not 0.35 < share < 0.95 or not (head & tumour).sum() >= 0.99 * tumour.sum():
            faults.append(f"{folder.name}: {inside:.3f} of the tumour, {share:.3f} of the head")
    assert np.mean(insides) >= 0.98
    assert not faults, "\n".join(faults)
