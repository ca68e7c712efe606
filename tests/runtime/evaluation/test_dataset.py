"""Patients as cases: read ahead they give what reading one by one gives, and all faults are told at once."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from brainseg_runtime import Segmenter
from brainseg_runtime.contract import Limits
from brainseg_runtime.errors import DataError, DatasetError
from brainseg_runtime.evaluation.dataset import dataset_cases, evaluate_dataset, predict_arrays
from brainseg_runtime.evaluation.evaluate import Case, evaluate
from brainseg_runtime.images import read_slice
from brainseg_runtime.images.dataset import Patient, scan_dataset
from brainseg_runtime.metrics import Counts, count
from tests.runtime.tiny import TINY


def readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("brainseg-reader")]


@pytest.fixture
def data(tmp_path: Path) -> tuple[Patient, ...]:
    """Three patients with 5, 1 and 4 slices."""
    rng = np.random.default_rng(0)
    for index, slices in enumerate((5, 1, 4)):
        name = f"TCGA_S{index % 2}_{index}_20000101"
        (tmp_path / name).mkdir()
        for n in range(1, slices + 1):
            mask = (rng.random((24, 16)) < 0.3).astype(np.uint8)
            image = np.clip(rng.normal(50 + 100 * mask, 50), 0, 255).astype(np.uint8)
            tifffile.imwrite(tmp_path / name / f"{name}_{n}.tif", np.stack([image] * 3, axis=-1), photometric="rgb")
            tifffile.imwrite(tmp_path / name / f"{name}_{n}_mask.tif", mask * 255, photometric="minisblack")
    return scan_dataset(tmp_path)


def predict(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    probability = images[..., 0].astype(np.float32) / np.float32(255)
    return (probability >= 0.5).astype(np.uint8), probability


@pytest.mark.parametrize("ahead", [1, 3, 32])
def test_reading_ahead_gives_the_evaluation_of_reading_one_by_one(data: tuple[Patient, ...], ahead: int) -> None:
    one_by_one = evaluate(
        [Case(patient.id, [(paths.number, *read_slice(paths)) for paths in patient.slices]) for patient in data],
        predict,
        threshold=0.5,
        samples=50,
    )
    assert evaluate(dataset_cases(data, ahead=ahead), predict, threshold=0.5, samples=50) == one_by_one
    assert readers() == []


def test_files_that_cannot_be_read_end_the_evaluation_and_are_all_named(data: tuple[Patient, ...]) -> None:
    faulty = [data[1].slices[1].image, data[1].slices[3].mask, data[2].slices[0].image]
    for path in faulty:
        assert path is not None
        path.write_bytes(b"II*\0")
    told: list[str] = []
    with pytest.raises(DatasetError, match="3 problems") as caught:
        evaluate(dataset_cases(data), predict, threshold=0.5, on_patient=lambda patient: told.append(patient.id))
    assert told == [data[0].id]
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [str(path) for path in faulty]


def test_a_slice_of_another_size_than_its_patients_is_named(data: tuple[Patient, ...]) -> None:
    odd = data[0].slices[2]
    assert odd.mask is not None
    tifffile.imwrite(odd.image, np.full((48, 32, 3), 90, np.uint8), photometric="rgb")
    tifffile.imwrite(odd.mask, np.zeros((48, 32), np.uint8), photometric="minisblack")
    with pytest.raises(DatasetError, match="1 problem") as caught:
        evaluate(dataset_cases(data), predict, threshold=0.5, samples=50)
    assert str(odd.image) in caught.value.problems[0]
    assert "patient's size" in caught.value.problems[0]


def test_a_data_set_is_evaluated_by_a_bundle_as_slice_by_slice(data: tuple[Patient, ...]) -> None:
    segmenter = Segmenter.load(TINY, provider="cpu")
    root = data[0].slices[0].image.parent.parent
    told: list[str] = []
    found = evaluate_dataset(segmenter, root, samples=50, on_patient=lambda patient: told.append(patient.id))
    assert told == [patient.id for patient in data]
    assert (found.provider, found.variant) == (segmenter.info.provider, segmenter.info.variant)
    assert found.threshold == segmenter.info.provenance.threshold
    for patient, scores in zip(data, found.patients, strict=True):
        pairs = [read_slice(paths) for paths in patient.slices]
        assert scores.counts == Counts.total(count(segmenter.predict(image).mask, truth) for image, truth in pairs)
    images = np.stack([read_slice(paths)[0] for paths in data[0].slices])
    masks, probabilities = predict_arrays(segmenter, images)
    assert (masks == (probabilities >= np.float32(found.threshold))).all()


def test_a_model_without_a_bundle_needs_its_threshold_told(data: tuple[Patient, ...]) -> None:
    segmenter = Segmenter.load_unsealed(TINY / "model.onnx")
    root = data[0].slices[0].image.parent.parent
    with pytest.raises(DataError, match="threshold"):
        evaluate_dataset(segmenter, root)
    assert evaluate_dataset(segmenter, root, threshold=0.4, samples=2).threshold == 0.4


def test_the_limits_hold_for_what_is_read(data: tuple[Patient, ...]) -> None:
    with pytest.raises(DatasetError, match="out of range"):
        evaluate(dataset_cases(data, limits=Limits(max_side=16)), predict, threshold=0.5)
