"""Masks at a threshold of the caller's own: computed from the probability, recorded, and warned of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from brainseg_runtime import ArgumentError, Segmenter
from brainseg_runtime.images import read_mask
from brainseg_runtime.segmentation.results import threshold_warnings
from tests.runtime.command_line import BUNDLE, brainseg
from tests.runtime.made_slices import made_data, made_patient
from tests.runtime.tiny import slice_image


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter.load(BUNDLE, provider="cpu")


def own(segmenter: Segmenter) -> float:
    threshold = segmenter.info.provenance.threshold
    assert threshold is not None
    return threshold


@pytest.mark.parametrize("threshold", [1e-6, 0.1, 0.31, 0.5, 0.9, 1.0])
def test_a_pixel_is_tumour_from_the_threshold_on(segmenter: Segmenter, threshold: float) -> None:
    result = segmenter.predict(slice_image(), threshold=threshold)
    expected = [[float(p) >= float(np.float32(threshold)) for p in row] for row in result.probability]
    np.testing.assert_array_equal(result.mask, np.array(expected, np.uint8))
    assert result.area == np.count_nonzero(expected)
    assert result.provenance.threshold == threshold


def test_the_models_own_threshold_gives_the_same_bits_and_no_warning(segmenter: Segmenter) -> None:
    plain = segmenter.predict(slice_image())
    asked = segmenter.predict(slice_image(), threshold=own(segmenter))
    np.testing.assert_array_equal(asked.mask, plain.mask)
    np.testing.assert_array_equal(asked.probability, plain.probability)
    assert (asked.warnings, asked.provenance) == (plain.warnings, plain.provenance)
    np.testing.assert_array_equal(plain.mask, plain.probability >= np.float32(own(segmenter)))


def test_another_threshold_is_warned_of(segmenter: Segmenter) -> None:
    (warning,) = threshold_warnings(own(segmenter), 0.2)
    assert warning in segmenter.predict(slice_image(), threshold=0.2).warnings
    assert "0.2" in warning
    assert f"{own(segmenter):g}" in warning
    assert "none was validated" in threshold_warnings(None, 0.2)[0]


@pytest.mark.parametrize("threshold", [0, -0.1, 1.1, float("nan"), float("inf"), True, "0.5"])
def test_what_is_no_probability_is_refused(segmenter: Segmenter, threshold: object) -> None:
    for call in (
        lambda: segmenter.predict(slice_image(), threshold=threshold),  # type: ignore[arg-type]
        lambda: segmenter.predict_batch([slice_image()], threshold=threshold),  # type: ignore[arg-type]
        lambda: segmenter.predict_volume([slice_image()], threshold=threshold),  # type: ignore[arg-type]
    ):
        with pytest.raises(ArgumentError, match="threshold"):
            call()


def test_batches_volumes_and_the_isolated_process_do_as_one_slice_does(segmenter: Segmenter) -> None:
    images = [slice_image(seed=seed) for seed in (1, 2)]
    expected = [segmenter.predict(image, threshold=0.2) for image in images]
    volume = segmenter.predict_volume(images, threshold=0.2)
    assert volume.provenance.threshold == 0.2
    np.testing.assert_array_equal(volume.mask, [one.mask for one in expected])
    with segmenter.isolated() as apart:
        for results in (segmenter.predict_batch(images, threshold=0.2), apart.predict_batch(images, threshold=0.2)):
            for result, one in zip(results, expected, strict=True):
                np.testing.assert_array_equal(result.mask, one.mask)
                assert (result.warnings, result.provenance) == (one.warnings, one.provenance)
        with pytest.raises(ArgumentError):
            apart.predict(images[0], threshold=2.0)


def test_predict_records_it_and_warns_once(tmp_path: Path) -> None:
    data, out = made_data(tmp_path / "data"), tmp_path / "out"
    done = brainseg("predict", BUNDLE, data, "-o", out, "--threshold", 0.2, "--probability")
    assert done.code == 0
    found = json.loads((out / "predictions.json").read_text(encoding="utf-8"))
    assert (found["threshold"], found["validated_threshold"]) == (0.2, own(Segmenter.load(BUNDLE)))
    assert found["warnings"] == [f"warning: {each}" for each in threshold_warnings(found["validated_threshold"], 0.2)]
    assert done.err.count("validated") == 1
    for entry in found["slices"]:
        probability = tifffile.imread(out / entry["probability"]["file"])
        np.testing.assert_array_equal(read_mask(out / entry["mask"]["file"]), probability >= np.float32(0.2))


def test_predict_at_the_bundles_own_threshold_goes_on_where_a_plain_run_was(tmp_path: Path) -> None:
    data, out = made_data(tmp_path / "data"), tmp_path / "out"
    assert brainseg("predict", BUNDLE, data, "-o", out).code == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    threshold = own(Segmenter.load(BUNDLE))
    done = brainseg("predict", BUNDLE, data, "-o", out, "--threshold", threshold, "--resume")
    assert done.code == 0
    assert "resume: 6 slices" in done.err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize("value", ["0", "-0.1", "1.5", "nan", "inf", "half"])
def test_on_the_command_line_it_is_wrong_usage(tmp_path: Path, value: str) -> None:
    folder = made_patient(tmp_path / "TCGA_X_1_19990101", slices=1)
    assert brainseg("predict", BUNDLE, folder, "-o", tmp_path / "out", "--threshold", value).code == 2
