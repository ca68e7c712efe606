"""A made-up format of image files, as a program outside this project might bring one: a head and raw samples."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import Limits
from brainseg_runtime.errors import ImageError
from brainseg_runtime.images.raster import Raster, Reader, check_size, truncated
from brainseg_runtime.images.slices import read_image, read_mask

_MAGIC = b"BSRAW1"


def _decode(data: bytes, limits: Limits) -> Raster:
    height, width, channels = struct.unpack_from("<HHB", data, len(_MAGIC))
    check_size(height, width, limits)
    if channels not in (1, 3):
        raise ImageError("another number of channels", expected="1 or 3", got=channels)
    samples = data[len(_MAGIC) + 5 :]
    if len(samples) != height * width * channels:
        raise truncated(f"{len(samples)} samples")
    pixels = np.frombuffer(samples, np.uint8).reshape(height, width, channels).copy()
    return Raster(pixels=pixels[..., 0].copy() if channels == 1 else pixels)


BSRAW = Reader(
    name="BSRAW",
    suffixes=(".bsraw",),
    in_data_sets=True,
    lossless=True,
    recognises=lambda data: data.startswith(_MAGIC),
    decode=_decode,
)
"""Files of six letters, height, width and channels, and then samples."""


def bsraw(pixels: NDArray[np.uint8]) -> bytes:
    """(H, W) or (H, W, 3) uint8 as the bytes of a file."""
    height, width = pixels.shape[:2]
    return _MAGIC + struct.pack("<HHB", height, width, pixels.size // (height * width)) + pixels.tobytes()


def in_bsraw(root: Path) -> Path:
    """Rewrites every slice and mask below a folder in this format."""
    for path in sorted(root.rglob("*.tif")):
        mask = path.stem.endswith("_mask")
        pixels = read_mask(path) * np.uint8(255) if mask else read_image(path)
        path.with_suffix(".bsraw").write_bytes(bsraw(pixels))
        path.unlink()
    return root
