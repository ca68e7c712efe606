"""Pictures of slices with the outline: upright, with square pixels, with letters for the patient's sides.

A slice is shown the way its plane is always shown: axial with the front up and the patient's right on the left, coronal
with the head up, sagittal with the head up and the face to the left.

Legend: R rows, C columns of the slice; H, W of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.images.libraries import pillow
from brainseg_runtime.images.overlay import outline
from brainseg_runtime.plurals import counted
from brainseg_runtime.studies.geometry import Grid

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB."""

Colour = tuple[int, int, int]
Line = tuple[str, Colour]
"""A text and its colour."""

WHITE: Final = (235, 235, 235)
RED: Final = (170, 0, 0)
_LETTERS: Final = (("L", "R"), ("P", "A"), ("H", "F"))
"""By axis of LPS: the side that it grows towards, and the other."""

_DOWN: Final = ((0, 0, -1), (0, 0, -1), (0, 1, 0))
"""Where a picture's lower edge lies in sagittal, coronal and axial slices, LPS."""

_RIGHT: Final = ((0, 1, 0), (1, 0, 0), (1, 0, 0))
"""Where its right edge lies."""

_PERCENTILE: Final = 99.5
"""Of the values above 0, shown white: the brightest spots, fat and flow, would leave the brain dark."""


@dataclass(frozen=True, kw_only=True)
class View:
    """How the slices of a grid are shown.

    Attributes:
        swapped: Whether the picture's rows are the slice's columns.
        flipped: Whether rows and columns of the picture run backwards, after swapping.
        pixel_mm: Side of the slice's smaller pixel.
        extent_mm: Height and width of the picture.
        letters: Sides of the patient at the picture's left, right, upper and lower edge.
        patient_orientation: PatientOrientation of the picture: along its rows, along its columns.
    """

    swapped: bool
    flipped: tuple[bool, bool]
    pixel_mm: float
    extent_mm: tuple[float, float]
    letters: tuple[str, str, str, str]
    patient_orientation: tuple[str, str]

    @classmethod
    def of(cls, grid: Grid) -> View:
        """The view of a grid.

        Args:
            grid: Any orientation; a tilted one is shown as the plane that it is nearest to.
        """
        plane = int(np.abs(grid.directions[0]).argmax())
        down, right = np.array(_DOWN[plane]), np.array(_RIGHT[plane])
        along = grid.directions[1:]
        straight = abs(along[0] @ down) + abs(along[1] @ right)
        swapped = bool(abs(along[1] @ down) + abs(along[0] @ right) > straight)
        rows, columns = along[::-1] if swapped else along
        flipped = bool(rows @ down < 0), bool(columns @ right < 0)
        rows, columns = rows * (-1) ** flipped[0], columns * (-1) ** flipped[1]
        spacing = np.array(grid.spacing[1:])
        lengths = np.array(grid.shape[1:]) * spacing
        if swapped:
            lengths = lengths[::-1]
        return cls(
            swapped=swapped,
            flipped=flipped,
            pixel_mm=float(spacing.min()),
            extent_mm=(float(lengths[0]), float(lengths[1])),
            letters=(_side(-columns), _side(columns), _side(-rows), _side(rows)),
            patient_orientation=(_side(columns), _side(rows)),
        )

    def upright(self, slice_rc: NDArray[Any]) -> NDArray[Any]:
        """A slice turned as it is shown; still with its own pixels."""
        turned: NDArray[Any] = slice_rc.T if self.swapped else slice_rc
        return turned[:: -1 if self.flipped[0] else 1, :: -1 if self.flipped[1] else 1]

    def size(self, longest: int) -> tuple[int, int]:
        """Height and width of a picture with square pixels, its longer side about `longest`, an exact enlargement."""
        factor = longest * self.pixel_mm / max(self.extent_mm)
        factor = float(int(factor)) if factor >= 1 else factor
        height, width = (max(1, round(side * factor / self.pixel_mm)) for side in self.extent_mm)
        return height, width


def to_grey(flair: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(K, R, C) uint8: 0 for values up to 0, 255 for the brightest half percent."""
    above = flair[flair > 0]
    top = float(np.percentile(above, _PERCENTILE)) if above.size else 1.0
    grey: NDArray[np.uint8] = np.clip(flair * (255 / top), 0, 255).astype(np.uint8)
    return grey


def draw(
    grey_rc: NDArray[np.uint8], mask_rc: NDArray[np.uint8], view: View, *, longest: int, colour: tuple[int, int, int]
) -> Picture:
    """One slice, upright, with the outline of the mask and the letters of the sides.

    Args:
        grey_rc: (R, C) uint8.
        mask_rc: (R, C), 0 or 1.
        view: Of the grid.
        longest: About the picture's longer side.
        colour: Of the outline.
    """
    image = pillow()
    height, width = view.size(longest)
    grey = image.fromarray(np.ascontiguousarray(view.upright(grey_rc))).resize(
        (width, height), image.Resampling.BILINEAR
    )
    mask = image.fromarray(np.ascontiguousarray(view.upright(mask_rc))).resize(
        (width, height), image.Resampling.NEAREST
    )
    picture = np.repeat(np.asarray(grey)[:, :, None], 3, axis=2)
    picture[outline(np.asarray(mask))] = colour
    return _with_letters(picture, view.letters)


def with_text(picture: Picture, lines: Sequence[Line], *, size: int = 13) -> Picture:
    """A picture with lines of text in a black band below it.

    Args:
        picture: (H, W, 3).
        lines: Texts and their colours, from top to bottom; each is broken where it is too long.
        size: Height of the letters in pixels.
    """
    return np.concatenate([picture, _band(lines, picture.shape[1], size=size)])


def with_warnings(picture: Picture, warnings: Sequence[str], *, size: int = 14) -> Picture:
    """A picture with its warnings in a red band above it; the picture itself if there are none.

    Args:
        picture: (H, W, 3).
        warnings: Reasons to distrust the result.
        size: Height of the letters in pixels.
    """
    if not warnings:
        return picture
    lines = [(f"{counted(len(warnings), 'WARNING', 'WARNINGS')}: CHECK THIS RESULT BEFORE ANY USE", WHITE)]
    lines += [(f"- {warning}", WHITE) for warning in warnings]
    return np.concatenate([_band(lines, picture.shape[1], size=size, background=RED), picture])


def _band(lines: Sequence[Line], width: int, *, size: int, background: Colour = (0, 0, 0)) -> Picture:
    """Lines of text, as high as they need."""
    font = _font(size)
    broken = [(part, colour) for text, colour in lines for part in _broken(text, font, width - 8)]
    step = size + 4
    band = pillow().new("RGB", (width, step * len(broken) + 8), background)
    pen = _pen(band)
    for row, (text, colour) in enumerate(broken):
        pen.text((4, 4 + row * step), text, fill=colour, font=font)
    return np.asarray(band)


def _with_letters(picture: Picture, letters: Sequence[str]) -> Picture:
    """Letters at the middle of the left, right, upper and lower edge."""
    canvas = pillow().fromarray(picture)
    pen, font = _pen(canvas), _font(12)
    height, width = picture.shape[:2]
    places = (
        (3, height // 2, "lm"),
        (width - 3, height // 2, "rm"),
        (width // 2, 3, "mt"),
        (width // 2, height - 3, "mb"),
    )
    for letter, (x, y, anchor) in zip(letters, places, strict=True):
        pen.text((x, y), letter, fill=WHITE, font=font, anchor=anchor, stroke_width=1, stroke_fill=(0, 0, 0))
    return np.array(canvas)


def _broken(text: str, font: Any, width: int) -> list[str]:  # noqa: ANN401 - Pillow's fonts share no base
    """A text in lines of at most `width` pixels, broken between words; within a word that is wider, such as a UID."""
    most = max(1, int(width / font.getlength("M")))
    lines: list[str] = []
    for word in (part for whole in text.split() for part in _parts(whole, font, width, most)):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines or [""]


def _parts(word: str, font: Any, width: int, most: int) -> list[str]:  # noqa: ANN401 - Pillow's fonts share no base
    """A word; if it is wider than `width` pixels, pieces of `most` letters."""
    if font.getlength(word) <= width:
        return [word]
    return [word[start : start + most] for start in range(0, len(word), most)]


def _font(size: int) -> Any:  # noqa: ANN401 - Pillow's fonts share no base
    """Pillow's built-in font."""
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _pen(canvas: Any) -> Any:  # noqa: ANN401 - Pillow's image and its pen
    """What draws on an image."""
    from PIL import ImageDraw

    return ImageDraw.Draw(canvas)


def _side(direction: NDArray[np.float64]) -> str:
    """The side of the patient that a direction points to, by its largest component."""
    axis = int(np.abs(direction).argmax())
    return _LETTERS[axis][0 if direction[axis] > 0 else 1]
