"""The bundles that ship: intact, right on this machine, small, and as good on real patients as their evidence says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brainseg_runtime import Segmenter
from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.images import Patient, read_image, read_mask, scan_dataset
from brainseg_runtime.installation.verify import verify_bundle
from brainseg_runtime.metrics import Counts, count, dice

MODELS = Path(__file__).parents[2] / "models"
NAMES = ("deeplab", "resunet", "unet")
MIB = 1 << 20

HELD_OUT = "TCGA_CS_4944_20010208"
"""A validation patient of the shipped weights; the others that may be at hand were trained on."""

each_bundle = pytest.mark.parametrize("name", NAMES)


def volume_dice(segmenter: Segmenter, patient: Patient) -> float:
    """Dice of a patient's whole volume at native size."""
    total = Counts(tp=0, fp=0, fn=0, tn=0)
    for files in patient.slices:
        assert files.mask is not None
        total += count(segmenter.predict(read_image(files.image)).mask, read_mask(files.mask))
    return dice(total)


def test_these_bundles_ship_and_no_others() -> None:
    assert tuple(sorted(path.parent.name for path in MODELS.glob("*/manifest.json"))) == NAMES


@each_bundle
def test_a_shipped_bundle_verifies_on_this_machine(name: str) -> None:
    report = verify_bundle(MODELS / name)
    assert report.ok, report


@each_bundle
def test_a_shipped_bundle_has_both_variants_within_their_size(name: str) -> None:
    manifest = open_bundle(MODELS / name).manifest
    assert set(manifest.variants) == {"fp32", "int8"}
    assert manifest.files[manifest.variants["int8"].file].bytes <= 4 * MIB


def test_all_that_ships_stays_below_40_mib() -> None:
    assert sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file()) < 40 * MIB


@each_bundle
def test_real_patients_are_segmented_and_int8_is_as_good(name: str, real_patients: Path) -> None:
    patients = {patient.id: patient for patient in scan_dataset(real_patients)[:6]}
    bundle = open_bundle(MODELS / name)
    full, small = (Segmenter.from_bundle(bundle, provider="cpu", variant=variant) for variant in ("fp32", "int8"))
    scores = {key: (volume_dice(full, patient), volume_dice(small, patient)) for key, patient in patients.items()}
    found = np.array(list(scores.values()))
    assert found[:, 0].mean() > 0.8, scores
    assert abs(found[:, 0] - found[:, 1]).mean() < 0.02, scores
    if HELD_OUT in scores:
        assert min(scores[HELD_OUT]) > 0.8, scores
