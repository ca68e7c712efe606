"""The page of an evaluation: every patient and score is on it, and undefined scores do not break it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from brainseg_runtime.evaluation.evaluate import Case, evaluate
from brainseg_runtime.evaluation.page import Picture, evaluation_page
from brainseg_runtime.evaluation.result import Evaluation, chosen_patients

if TYPE_CHECKING:
    from numpy.typing import NDArray


def thresholding(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A model that calls bright FLAIR tumour."""
    probability = (images[..., 1] / np.float32(255)).astype(np.float32)
    return (probability >= 0.5).astype(np.uint8), probability


def evaluated(*truths: float) -> Evaluation:
    """One patient for each share of tumour, each with two slices of noise."""
    rng = np.random.default_rng(0)
    cases = []
    for index, share in enumerate(truths):
        slices = []
        for number in (1, 2):
            image = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            truth = ((image[..., 1] > 127) & (rng.random((16, 16)) < share)).astype(np.uint8)
            slices.append((number, image, truth))
        cases.append(Case(f"TCGA_S{index % 2}_{index:04d}_19990101", slices))
    return evaluate(cases, thresholding, threshold=0.5, provider="cpu", variant="fp32", samples=50)


def test_every_patient_is_on_the_page_and_nothing_is_loaded() -> None:
    evaluation = evaluated(0.9, 0.5, 0.1)
    text = evaluation_page(evaluation, [], {"digest": "abc<b>"})
    assert all(patient.id in text for patient in evaluation.patients)
    assert f"{evaluation.volume_dice.mean:.3f}" in text
    assert "abc&lt;b&gt;" in text
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")


@pytest.mark.parametrize("truths", [(0.0,), (0.0, 0.0), (1.0,)])
def test_scores_that_are_not_defined_are_dashes(truths: tuple[float, ...]) -> None:
    text = evaluation_page(evaluated(*truths), [], {})
    assert "—" in text
    assert ">nan" not in text
    assert ">None" not in text


def test_best_median_and_worst_are_chosen_once_each() -> None:
    three = chosen_patients(evaluated(0.5, 0.9, 0.1))
    assert {label: patient.id[8:12] for label, patient in three.items()} == {
        "best": "0001",
        "median": "0000",
        "worst": "0002",
    }
    assert list(three) == ["best", "median", "worst"]
    assert list(chosen_patients(evaluated(0.5, 0.9))) == ["best", "worst"]
    assert list(chosen_patients(evaluated(0.5))) == ["best"]


def test_many_sites_share_one_column() -> None:
    evaluation = evaluated(*[0.5] * 3)
    text = evaluation_page(evaluation, [], {})
    assert "S0" in text
    assert "S1" in text


def test_pictures_are_embedded_with_their_captions() -> None:
    picture = Picture(caption="best: TCGA <1>", rgb=np.zeros((8, 8, 3), np.uint8))
    text = evaluation_page(evaluated(0.5), [picture], {})
    assert "best: TCGA &lt;1&gt;" in text
    assert text.count("data:image/png") == 1
