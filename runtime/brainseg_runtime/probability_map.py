"""Probability maps from files, such as `brainseg predict --probability` writes: TIFFs of one page of floating point."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.errors import ImageError, MissingExtraError
from brainseg_runtime.files import read_capped

_DAMAGED = (OSError, ValueError, SyntaxError, TypeError, LookupError, ArithmeticError, Warning)
_FLOAT = "F"  # Pillow's name for pixels of one floating-point channel


def read_probability(path: Path | str, *, limits: Limits = DEFAULT_LIMITS) -> NDArray[np.float32]:
    """Read a probability map.

    Args:
        path: A TIFF of one page and one channel, 32-bit floating point; compressed or not.
        limits: Caps on the file's size and on H and W.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        ImageError: It is missing, too large, damaged, of another form, or holds a value outside [0, 1].
        MissingExtraError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("probability maps cannot be read", expected="pillow", got=error) from error
    data = read_capped(Path(os.path.realpath(path)), limits.max_image_file_bytes, error=ImageError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow warns of what is damaged, and goes on
            with Image.open(io.BytesIO(data), formats=["TIFF"]) as image:
                mode, (width, height), pages = image.mode, image.size, getattr(image, "n_frames", 1)
                if mode != _FLOAT or pages != 1 or max(width, height) > limits.max_side:
                    got = f"{pages} page{'s' * (pages != 1)} of {height} x {width}, {mode}"
                    expected = f"one page of 32-bit floating point, sides up to {limits.max_side}"
                    raise ImageError(f"{path}: not a probability map", expected=expected, got=got)
                pixels = np.array(image, dtype=np.float32)
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        raise ImageError(
            f"{path}: the probability map cannot be read", expected="a TIFF", got=ascii(error)[:200]
        ) from (error)
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):  # also false for NaN
        raise ImageError(f"{path}: probabilities are out of range", expected="0 to 1", got=f"{low:g} to {high:g}")
    return pixels
