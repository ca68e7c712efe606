"""Graphs opened for measuring: in the runtime's own engine, with the options that users will get.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_export.graphs.convert import Graph
from brainseg_runtime.errors import ProviderError
from brainseg_runtime.evaluation.evaluate import Predict
from brainseg_runtime.inference.engine import USUAL_SIZE, Engine
from brainseg_runtime.inference.providers import FALLBACK, PROVIDERS

REQUIRED: Final = FALLBACK.name
"""The provider that is always available, and on which every bundle is measured."""


def providers() -> tuple[str, ...]:
    """The providers that an export measures, of those that are available here; the required one first."""
    measured = [each for each in PROVIDERS if each.parity_limit is not None and each.name != REQUIRED]
    return (REQUIRED, *(each.name for each in measured if each.status().available))


def predictor(graph: Graph, provider: str, *, threads: int = 1) -> Predict:
    """A graph as a function of images; each size runs in the session that it will have in the runtime.

    Images of the usual size are computed one by one, as that session takes one image; others a batch at a time.

    Returns:
        From (N, H, W, 3) uint8 to mask (N, H, W) uint8 and probability (N, H, W) float32.

    Raises:
        ProviderError: The provider cannot run the graph.
    """
    engine = Engine(graph.data, provider=provider, threads=threads)

    def predict(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        if images.shape[1:3] != USUAL_SIZE:
            return engine.run(np.ascontiguousarray(images))
        answers = [engine.run(np.ascontiguousarray(image[None])) for image in images]
        masks, probabilities = zip(*answers, strict=True)
        return np.concatenate(masks), np.concatenate(probabilities)

    return predict


def predictors(graph: Graph, *, threads: int = 1) -> tuple[dict[str, Predict], dict[str, str]]:
    """A graph on every provider that is available here.

    Returns:
        Functions by provider; and for each optional provider that cannot run it, why.

    Raises:
        ProviderError: The required one cannot run it.
    """
    running, refused = {REQUIRED: predictor(graph, REQUIRED, threads=threads)}, {}
    for name in providers()[1:]:
        try:
            running[name] = predictor(graph, name, threads=threads)
        except ProviderError as error:
            refused[name] = str(error)
    return running, refused


def same_bits(graph: Graph, provider: str, images: NDArray[np.uint8]) -> bool:
    """Whether a provider gives the same bits with any number of threads, and when it runs again."""
    answers = []
    for threads in (1, 2, 4):
        predict = predictor(graph, provider, threads=threads)
        answers += [_bits(predict, images) for _ in range(2)]
    return len(set(answers)) == 1


def _bits(predict: Predict, images: NDArray[np.uint8]) -> bytes:
    """Every bit of the answers to images that are run one by one."""
    return b"".join(part.tobytes() for image in images for part in predict(image[None]))
