"""Probability maps, as `brainseg predict --probability` writes them: TIFFs of one page of floating point."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.errors import ImageError
from brainseg_runtime.images.libraries import tifffile
from brainseg_runtime.images.slices import file_bytes, naming
from brainseg_runtime.images.tiff import decode_floats


def read_probability(path: Path | str, *, limits: Limits = DEFAULT_LIMITS) -> NDArray[np.float32]:
    """Read a probability map.

    Args:
        path: A TIFF of one page and one channel, 32-bit floating point; uncompressed, LZW, Deflate, LZMA or PackBits.
        limits: Caps on the file's size and on H and W.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        ImageError: It is missing, too large, damaged, of another form, or holds a value outside [0, 1].
        MissingExtraError: Pillow is not installed, and one of its decoders is needed.
    """
    data = file_bytes(path, limits)
    with naming(str(path)):
        values = decode_floats(data, limits)
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 1):  # also false for NaN
            raise ImageError("probabilities are out of range", expected="0 to 1", got=f"{low:g} to {high:g}")
    return values


def encode_probability(probability: NDArray[np.float32]) -> bytes:
    """A probability map as the bytes of an uncompressed TIFF.

    Args:
        probability: (H, W) float32 in [0, 1].

    Raises:
        MissingExtraError: tifffile is not installed.
    """
    buffer = io.BytesIO()
    tifffile().imwrite(buffer, probability, photometric="minisblack", metadata=None, software=False)
    return buffer.getvalue()
