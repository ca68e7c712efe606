"""Pictures of a result: outlines of masks drawn on one channel of the slice, and PNG bytes of any picture.

Legend: H rows, W columns, S enlargement.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.images.libraries import pillow

FLAIR = 1  # channel order of the data set: pre-contrast, FLAIR, post-contrast
TRUTH = (92, 214, 120)  # green
PREDICTION = (255, 138, 48)  # orange: colour-blind readers can tell it from green
BOTH = (255, 246, 190)  # where the two outlines coincide

Pixels = NDArray[np.uint8]


def overlay(
    image_hwc: Pixels,
    truth: Pixels | None = None,
    prediction: Pixels | None = None,
    *,
    channel: int = FLAIR,
    enlarge: int = 2,
) -> Pixels:
    """Draws outlines of masks on one channel, shown in grey.

    Args:
        image_hwc: (H, W, 3) uint8.
        truth: (H, W), nonzero inside the reader's outline, drawn green; None draws none.
        prediction: (H, W), nonzero inside the model's outline, drawn orange; None draws none.
        channel: Which channel is the grey background.
        enlarge: Side of the square that a pixel becomes, so that outlines cover little of the image.

    Returns:
        (H * enlarge, W * enlarge, 3) uint8; the arguments are left as they are.

    Raises:
        ValueError: A mask's size is not the image's.
    """
    grey = _enlarge(image_hwc[:, :, channel], enlarge)
    picture = np.repeat(grey[:, :, None], 3, axis=2)
    truth_edge = _edge(truth, image_hwc, enlarge)
    prediction_edge = _edge(prediction, image_hwc, enlarge)
    picture[truth_edge] = TRUTH
    picture[prediction_edge] = PREDICTION
    picture[truth_edge & prediction_edge] = BOTH
    return picture


def outline(mask: NDArray[np.generic]) -> NDArray[np.bool_]:
    """The pixels of a mask with a neighbour outside it (up, down, left or right, or beyond the border).

    Args:
        mask: (H, W), nonzero inside.

    Returns:
        (H, W) bool.

    >>> int(outline(np.ones((4, 4))).sum())
    12
    """
    inside: NDArray[np.bool_] = np.asarray(mask, dtype=bool)
    padded = np.pad(inside, 1)
    kept: NDArray[np.bool_] = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return inside & ~kept


def encode_png(rgb: Pixels) -> bytes:
    """Encodes a picture without loss.

    Args:
        rgb: (H, W, 3) uint8, or (H, W) uint8 for grey.

    Returns:
        The bytes of a PNG file.

    Raises:
        MissingExtraError: pillow is not installed.
    """
    buffer = io.BytesIO()
    pillow().fromarray(np.ascontiguousarray(rgb)).save(buffer, format="PNG")
    return buffer.getvalue()


def _edge(mask: Pixels | None, image_hwc: Pixels, enlarge: int) -> NDArray[np.bool_]:
    """The outline of a mask at the picture's size; nowhere for None."""
    if mask is None:
        return np.zeros((image_hwc.shape[0] * enlarge, image_hwc.shape[1] * enlarge), dtype=bool)
    if mask.shape != image_hwc.shape[:2]:
        message = f"mask and image differ in size: {mask.shape} and {image_hwc.shape[:2]}"
        raise ValueError(message)
    return outline(_enlarge(mask, enlarge))


def _enlarge(values: Pixels, times: int) -> Pixels:
    """Repeats each pixel `times` in both directions."""
    return values.repeat(times, axis=0).repeat(times, axis=1)
