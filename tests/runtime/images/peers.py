"""How other readers see a TIFF's first page: Pillow and tifffile, the oracle, and what `brainseg` makes of it.

Run as a script it prints the table over any folders::

    python -m tests.runtime.images.peers FOLDER...
"""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from brainseg_runtime.contract import DEFAULT_LIMITS
from brainseg_runtime.errors import ImageError
from brainseg_runtime.images.formats import read_raster

_FAULTS: tuple[type[Exception], ...] = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
)
_FAULTS = (*_FAULTS, SyntaxError, TypeError, ValueError, UnidentifiedImageError, Image.DecompressionBombError)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One file.

    Attributes:
        path: Where it lies.
        alike: Whether Pillow and tifffile read the same 8-bit grey or RGB pixels.
        outcome: "read", "different" from the peers who are alike, or why it is refused: what and got.
    """

    path: Path
    alike: bool
    outcome: str


def pillow_sees(data: bytes) -> NDArray[np.uint8] | None:
    """The pixels of an 8-bit grey or RGB image, None for anything else."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return np.array(picture) if picture.mode in {"L", "RGB"} else None
    except _FAULTS:
        return None


def tifffile_sees(data: bytes) -> NDArray[np.uint8] | None:
    """The pixels of an 8-bit grey or RGB image, None for anything else."""
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            pixels = page.asarray(maxworkers=1)
    except Exception:  # noqa: BLE001 - codecs have errors of their own, which only their package names
        return None
    if pixels.dtype != np.uint8:
        return None
    return np.moveaxis(pixels, 0, -1) if pixels.ndim == 3 and page.planarconfig == 2 else pixels


def peers_agree(data: bytes) -> NDArray[np.uint8] | None:
    """The pixels that both peers see, None where they differ or one does not read it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pillow, other = pillow_sees(data), tifffile_sees(data)
    same = pillow is not None and other is not None and np.array_equal(pillow, other)
    return pillow if same else None


def verdict(path: Path) -> Verdict:
    """What becomes of a file."""
    data = path.read_bytes()
    expected = peers_agree(data)
    try:
        raster = read_raster(data, path.name, DEFAULT_LIMITS)
    except ImageError as error:
        return Verdict(path, expected is not None, f"{error.what}: {error.got}")
    if expected is not None and not np.array_equal(raster.pixels, expected):
        return Verdict(path, True, "different")
    return Verdict(path, expected is not None, "read")


def tiffs_in(folders: Iterable[Path]) -> Iterator[Path]:
    """Every TIFF below the folders, by name's suffix."""
    for folder in folders:
        yield from sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".tif", ".tiff"})


def table(verdicts: Sequence[Verdict]) -> str:
    """Counts, and the reasons among files that the peers read alike."""
    alike = [each for each in verdicts if each.alike]
    read = sum(each.outcome == "read" for each in alike)
    lines = [
        f"{len(verdicts)} files",
        f"{len(alike)} that Pillow and tifffile read alike as 8-bit grey or RGB, of these",
        f"  {read} read to the same pixels",
        f"  {sum(each.outcome == 'different' for each in alike)} read to different pixels",
    ]
    reasons = Counter(each.outcome for each in alike if each.outcome not in {"read", "different"})
    lines += [f"  {count} refused: {reason}" for reason, count in reasons.most_common()]
    others = Counter(each.outcome == "read" for each in verdicts if not each.alike)
    lines.append(f"{others.total()} that they do not: {others[True]} read, {others[False]} refused")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Print the table of the folders that are named."""
    logging.disable()
    sys.stdout.write(table([verdict(path) for path in tiffs_in(map(Path, arguments))]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
