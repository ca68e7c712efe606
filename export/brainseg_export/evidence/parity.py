"""Parity: whether a graph computes what the network computes; every difference in probability and mask is counted.

The reference is the trained network in PyTorch, in fp32, with batch normalisation not folded, in the same pipeline that
training scores with. Both get the same raw pixels.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from brainseg_export.errors import ParityError
from brainseg_runtime.evaluation.evaluate import Predict
from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io.strict_json import Json
from brainseg_runtime.safe_io.typed_json import to_json
from brainseg_train.models.pipeline import InferencePipeline

LIMIT: Final = 1e-5
"""Largest allowed difference in probability between fp32 on a CPU and PyTorch: the order of summation accounts for
1e-6, a wrong weight makes far more."""

SIZES: Final = (
    (64, 64), (65, 63), (96, 128), (128, 128), (127, 129), (192, 160), (200, 311), (255, 257), (256, 256),
    (240, 320), (512, 64), (333, 500), (512, 512), (511, 767), (1024, 640), (1023, 1021), (1024, 1024),
)  # fmt: skip
"""Rows and columns, pixels: 63 to 1024, odd and even, square and not."""

BATCHES: Final = (1, 2, 7)
"""Slices in one call."""

ADVERSARIAL: Final = 200
"""How many adversarial images are made: constant, extreme, noise, checkerboard."""


@dataclass(frozen=True, kw_only=True)
class ParityConfig:
    """How closely fp32 on the CPU must follow PyTorch, and on what made-up images beside the validation slices."""

    limit: float = LIMIT
    sizes: tuple[tuple[int, int], ...] = SIZES
    adversarial: int = ADVERSARIAL


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How the answers of two models differ over some slices; two of these add up with `+`.

    >>> first = Agreement(slices=1, pixels=100, max_difference=2e-6)
    >>> total = first + Agreement(slices=1, pixels=100, max_difference=1e-6, mask_differences=1)
    >>> total.max_difference, total.mask_agreement
    (2e-06, 0.995)
    """

    slices: int = 0
    pixels: int = 0
    max_difference: float = 0.0
    """Largest absolute difference of a probability."""
    mask_differences: int = 0
    """Pixels whose masks differ."""
    outside_band: int = 0
    """Those of them whose reference probability is further from the threshold than the limit."""

    def __add__(self, other: Agreement) -> Agreement:
        """Both sets of slices together."""
        return Agreement(
            slices=self.slices + other.slices,
            pixels=self.pixels + other.pixels,
            max_difference=max(self.max_difference, other.max_difference),
            mask_differences=self.mask_differences + other.mask_differences,
            outside_band=self.outside_band + other.outside_band,
        )

    @property
    def mask_agreement(self) -> float:
        """Fraction of the pixels whose masks are equal."""
        return 1.0 - self.mask_differences / max(self.pixels, 1)

    def within(self, limit: float) -> bool:
        """Whether rounding explains every difference."""
        return self.max_difference <= limit and self.outside_band == 0

    def to_json(self) -> dict[str, Json]:
        """Its fields and `mask_agreement`."""
        return {**to_json(self), "mask_agreement": self.mask_agreement}


def reference(pipeline: InferencePipeline) -> Predict:
    """The trained network as a function of images.

    Args:
        pipeline: In evaluation mode, on the CPU.
    """

    def predict(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        with torch.inference_mode():
            mask, probability = pipeline(torch.from_numpy(images))
        return mask.numpy(), probability.numpy()

    return predict


def compare(
    expected: tuple[NDArray[np.uint8], NDArray[np.float32]],
    got: tuple[NDArray[np.uint8], NDArray[np.float32]],
    *,
    threshold: float,
    limit: float = LIMIT,
) -> Agreement:
    """Compare two answers to the same slices.

    Args:
        expected: Mask and probability (N, H, W) of the reference.
        got: Those of the other model.
        threshold: Of both models.
        limit: Half the width of the band around the threshold in which masks may differ.

    Returns:
        The differences; a probability that is not a number counts as a difference of 1.
    """
    difference = np.abs(expected[1].astype(np.float64) - got[1])
    changed = expected[0] != got[0]
    far = np.abs(expected[1] - threshold) > limit
    return Agreement(
        slices=len(changed),
        pixels=changed.size,
        max_difference=float(np.nan_to_num(difference, nan=1.0, posinf=1.0).max()),
        mask_differences=int(np.count_nonzero(changed)),
        outside_band=int(np.count_nonzero(changed & far)),
    )


def over(
    expected: Predict, others: Mapping[str, Predict], images: Iterable[NDArray[np.uint8]], *, threshold: float
) -> dict[str, Agreement]:
    """Compare several models with the reference over batches of images; the reference computes each batch once.

    Returns:
        The differences by name.
    """
    totals = dict.fromkeys(others, Agreement())
    for batch in images:
        right = expected(batch)
        for name, predict in others.items():
            totals[name] += compare(right, predict(batch), threshold=threshold)
    return totals


def size_images(sizes: Iterable[tuple[int, int]] = SIZES, *, seed: int = 0) -> Iterator[NDArray[np.uint8]]:
    """One image of every size, then a batch of each length in `BATCHES`."""
    rng = np.random.default_rng(seed)
    for height, width in sizes:
        yield _blobs(rng, 1, height, width)
    for count in BATCHES:
        yield _blobs(rng, count, 144, 112)


def adversarial_images(count: int = ADVERSARIAL, seed: int = 1) -> Iterator[NDArray[np.uint8]]:
    """Images meant to bring out differences, one a batch, of varying sizes.

    >>> [image.shape for image in adversarial_images(2)]
    [(1, 128, 133, 3), (1, 83, 175, 3)]
    """
    rng = np.random.default_rng(seed)
    makers = (_constant, _extreme, _noise, _checkerboard, _impulses, _ramp)
    for index in range(count):
        height, width = (int(side) for side in rng.integers(64, 200, 2))
        yield makers[index % len(makers)](rng, height, width)[None]


def require(name: str, agreement: Agreement, *, limit: float = LIMIT) -> None:
    """Refuse a model that differs from the reference.

    Args:
        name: What was compared, for the error.
        agreement: The differences.
        limit: Largest allowed difference in probability.

    Raises:
        ParityError: A probability differs by more, or a mask differs outside the band around the threshold.
    """
    if not agreement.within(limit):
        raise ParityError(
            f"{name} does not compute what the network computes",
            expected=f"differences of at most {limit:g} and equal masks outside ±{limit:g} of the threshold",
            got=f"{agreement.max_difference:.3g}, and {counted(agreement.outside_band, 'mask pixel')} outside the band",
            remedy="please report this fault of the exporter or the engine; no bundle was written",
        )


def _blobs(rng: np.random.Generator, count: int, height: int, width: int) -> NDArray[np.uint8]:
    """Smooth bright shapes on a dark background, a little like heads."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    image = rng.normal(0, 4, (count, height, width, 3))
    for index in range(count):
        for _ in range(6):
            cy, cx, radius = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8), rng.uniform(0.05, 0.4)
            blob = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / radius**2)
            image[index] += blob[..., None] * rng.uniform(0, 120, 3)
    return np.clip(image, 0, 255).astype(np.uint8)


def _constant(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """One value for each channel, extremes included."""
    values = rng.choice(np.array([0, 1, 127, 128, 254, 255], np.uint8), 3)
    return np.broadcast_to(values, (height, width, 3)).copy()


def _extreme(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Each value 0 or 255, independently."""
    return rng.integers(0, 2, (height, width, 3), dtype=np.uint8) * np.uint8(255)


def _noise(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Uniform noise."""
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def _checkerboard(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Squares of 1 to 16 pixels: finer and coarser than what resizing keeps."""
    side = int(rng.integers(1, 17))
    y, x = np.mgrid[0:height, 0:width]
    return np.repeat((((y // side + x // side) % 2) * 255).astype(np.uint8)[..., None], 3, axis=2)


def _impulses(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """A few white pixels on black, the corners included."""
    image = np.zeros((height, width, 3), np.uint8)
    image[rng.integers(0, height, 8), rng.integers(0, width, 8)] = 255
    image[[0, 0, -1, -1], [0, -1, 0, -1]] = 255
    return image


def _ramp(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Linear ramps, in a direction that differs by channel."""
    y, x = np.mgrid[0:height, 0:width]
    slope = rng.uniform(-3, 3, (2, 3))
    values: NDArray[np.float64] = np.mod(y[..., None] * slope[0] + x[..., None] * slope[1], 256)
    return values.astype(np.uint8)
