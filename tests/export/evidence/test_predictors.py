"""Evidence is taken in the sessions that the runtime uses, and names a provider stable only where it is also right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from brainseg_export.evidence import golden
from brainseg_export.evidence.gate import Measured
from brainseg_export.evidence.parity import Agreement
from brainseg_export.evidence.predictors import predictor
from brainseg_export.evidence.proof import Candidate, Proof, stability
from brainseg_export.graphs.convert import Graph, convert
from brainseg_runtime.inference.engine import USUAL_SIZE, Engine
from brainseg_train.models.pipeline import InferencePipeline
from tests.export.conftest import tiny_network


@pytest.fixture(scope="module")
def graph() -> Graph:
    return convert(InferencePipeline(tiny_network()).eval(), name="model.onnx", metadata={})


def test_a_batch_of_the_usual_size_goes_through_the_usual_sizes_session(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *USUAL_SIZE, 3), dtype=np.uint8)
    engine = Engine(graph.data, provider="cpu", threads=1)
    expected = [engine.run(image[None]) for image in images]
    monkeypatch.setattr(Engine, "_session_for", None)  # the session for any size must not be asked for
    mask, probability = predictor(graph, "cpu")(images)
    np.testing.assert_array_equal(mask, np.concatenate([one for one, _ in expected]))
    np.testing.assert_array_equal(probability, np.concatenate([one for _, one in expected]))


def test_golden_images_have_one_for_each_session() -> None:
    sizes = {images.shape[1:3] == USUAL_SIZE for images in golden.golden_images()}
    assert sizes == {True, False}


@pytest.mark.parametrize("difference", [0.0, 0.5])
def test_a_provider_that_is_not_right_is_not_called_stable(graph: Graph, difference: float) -> None:
    agreement = Agreement(slices=1, pixels=1, max_difference=difference, mask_differences=0, outside_band=0)
    proof = Proof(
        candidate=Candidate(variant="fp32", graph=graph, label="fp32"),
        measured={"cpu": Measured(dice={}, agreement=agreement)},
        verdicts={},
        refused={},
        extra={"cpu": {"sizes": agreement}},
    )
    assert stability(proof) == {"cpu": difference == 0.0}
    assert stability(replace(proof, extra={})) == {"cpu": True}, "other variants are judged by the gate"
