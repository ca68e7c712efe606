"""What a `Reader` is, and the `Raster` that it gives.

A reader turns the bytes of one file into samples that mean intensity or colour, or says why it cannot. Whether they
make a slice or a mask is for `images.slices` to say. Adding a format takes one file with a `Reader` and its line in
`images.formats`.

Legend: H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import Limits
from brainseg_runtime.errors import ImageError

TO_8_BITS: Final = (
    "scale the values to 0 to 255 with one factor for the whole patient, not for each slice, and save them as 8-bit"
)
"""The remedy for more than 8 bits: with a factor for each slice, slices would no longer be comparable."""
TO_RGB: Final = "convert it to RGB, for example with: magick IN -colorspace sRGB -type TrueColor -depth 8 OUT"
UPRIGHT: Final = "rotate its pixels upright, for example with: magick IN -auto-orient OUT"
WITHOUT_ALPHA: Final = (
    "if the extra channel carries no image, remove it, for example with: magick IN -alpha off OUT; "
    "otherwise save only the three image channels"
)
COPY_AGAIN: Final = "copy or export the file again from its source; missing pixels cannot be restored"
UNCOMPRESSED: Final = (
    "save it without compression in the program that wrote it, or with a program that can read it, for example: "
    "tiffcp -c none IN OUT"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Raster:
    """One decoded picture.

    Attributes:
        pixels: (H, W) or (H, W, 3) uint8, the caller's own. A palette's colours are looked up, and samples of fewer
            than 8 bits are spread over 0 to 255.
        coded: What the file held instead of 8-bit samples, such as "a palette" or "1-bit samples", which a mask may
            have and a slice may not. Empty for 8-bit grey or RGB.
        notes: What was left out or assumed, a sentence each.
    """

    pixels: NDArray[np.uint8]
    coded: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """Reads one format. Its functions are thread-safe and print nothing.

    Attributes:
        name: The format as it is called in messages, such as "PNG".
        suffixes: What names of such files end in, lower case with the dot.
        in_data_sets: Whether patients' folders of a data set may hold slices and masks in this format.
        lossless: Whether it keeps a mask's values, so that masks to be scored may have it.
        recognises: Whether bytes begin as the format does.
        decode: Decodes recognised bytes, a whole file that the caller has capped. No side may exceed `max_side` of the
            limits, which is checked before memory is taken. Raises `ImageError` where they are damaged, truncated, too
            large, or of a kind that is not read, and `MissingExtraError` where the library is not installed.
    """

    name: str
    suffixes: tuple[str, ...]
    in_data_sets: bool
    lossless: bool
    recognises: Callable[[bytes], bool]
    decode: Callable[[bytes, Limits], Raster]


def check_size(height: int, width: int, limits: Limits) -> None:
    """Refuse a picture that is empty or larger than a model takes, before it is decoded.

    >>> check_size(256, 256, Limits())
    """
    if not (0 < height <= limits.max_side and 0 < width <= limits.max_side):
        raise ImageError(
            "the image's size is out of range",
            expected=f"1 to {limits.max_side} pixels a side",
            got=f"{height}x{width}",
            remedy=f"crop or resize it to at most {limits.max_side} pixels a side",
        )


def truncated(got: object) -> ImageError:
    """The error for a file with fewer pixels than its size says; missing pixels are never made up."""
    return ImageError("the file is truncated or damaged", expected="all of its pixels", got=got, remedy=COPY_AGAIN)


def without_opaque(pixels: NDArray[np.uint8], colours: int) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Drop the channels after grey or RGB where they are opaque everywhere.

    Args:
        pixels: (H, W, S) uint8.
        colours: 1 or 3, the channels that carry the picture.

    Returns:
        (H, W) or (H, W, 3) uint8 of the caller's own, and a note if anything was dropped.

    Raises:
        ImageError: A further channel is not 255 everywhere, so dropping it could lose something.
    """
    kept = np.ascontiguousarray(pixels[..., 0] if colours == 1 else pixels[..., :colours])
    extra = pixels[..., colours:]
    if not extra.size:
        return kept, ()
    if int(extra.min()) != 255:
        raise ImageError(
            f"the image has {pixels.shape[2]} channels, and the last is not opaque everywhere",
            expected="grey or RGB, with or without an opaque alpha channel",
            got=f"values {int(extra.min())} to {int(extra.max())} there",
            remedy=WITHOUT_ALPHA,
        )
    return kept, ("An alpha channel that is opaque everywhere was dropped.",)
