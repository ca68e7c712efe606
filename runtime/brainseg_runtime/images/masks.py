"""Masks as TIFF files in the data set's own form: one page, uncompressed, 0 and 255."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import ImageError
from brainseg_runtime.images.libraries import tifffile
from brainseg_runtime.safe_io.files import write_bytes


def write_mask(path: Path | str, mask: NDArray[Any]) -> None:
    """Write a mask; whole or not at all.

    Args:
        path: Where; its folder must exist.
        mask: (H, W) uint8 with 0 and 1, or bool.

    Raises:
        ImageError: It is not a binary mask.
        FileWriteError: The system refused.
        MissingExtraError: tifffile is not installed.

    >>> write_mask("tumour_mask.tif", np.ones((16, 16), np.uint8))
    >>> Path("tumour_mask.tif").exists()
    True
    """
    write_bytes(Path(path), encode_mask(mask, str(path)))


def encode_mask(mask: NDArray[Any], where: str = "the mask") -> bytes:
    """A mask as the bytes of a file.

    Args:
        mask: (H, W) uint8 with 0 and 1, or bool.
        where: What it is called in errors.

    Raises:
        ImageError: It is not a binary mask.
        MissingExtraError: tifffile is not installed.
    """
    if mask.ndim != 2 or not mask.size or mask.dtype not in (np.bool_, np.uint8) or mask.max() > 1:
        raise ImageError(
            f"{where}: not a mask",
            expected="(H, W) of bool, or of uint8 with 0 and 1",
            got=f"{mask.shape} {mask.dtype}",
        )
    buffer = io.BytesIO()
    tifffile().imwrite(buffer, mask.astype(np.uint8) * np.uint8(255), photometric="minisblack")
    return buffer.getvalue()
