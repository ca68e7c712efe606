"""One slice as other programs write it: every writer at hand, every compression, strips, tiles, planes, byte orders.

A writer is a function from an array to a file's bytes. `missing` tells which programs and packages are not installed.
"""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Form:
    """A writer with its options.

    Attributes:
        writer: The library or program.
        options: As it takes them.
        exact: Whether it keeps the pixels; JPEG does not.
    """

    writer: str
    options: tuple[Any, ...]
    exact: bool = True

    def __str__(self) -> str:
        """As a test's name."""
        return " ".join(map(str, (self.writer, *self.options)))


def forms() -> Iterator[Form]:
    """Every form that an RGB slice is written in."""
    for name in ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "tiff_lzma"):
        yield from (Form("pillow", (name, strip, big)) for strip, big in ((65536, False), (3000, False), (65536, True)))
    yield from (Form("pillow", ("jpeg", strip, False), exact=False) for strip in (65536, 3000))
    for name in ("none", "lzw", "zlib", "packbits", "lzma"):
        for planar in ("contig", "separate"):
            yield Form("tifffile", (name, planar, "<", False, None, None, False))
            yield Form("tifffile", (name, planar, ">", True, 7, None, name in {"lzw", "zlib"}))
            yield Form("tifffile", (name, planar, "<", False, None, (16, 32), name in {"lzw", "zlib"}))
            yield Form("tifffile", (name, planar, ">", False, None, (128, 128), False))
    yield from (Form("opencv", pair) for pair in ((), (259, 1), (259, 5), (259, 8), (259, 32773), (259, 32946)))
    yield from (Form("opencv", (259, 5, 278, rows, 317, 2)) for rows in (1, 5, 200))
    yield from (Form("imageio", (name,)) for name in ("tif", "tiff", "png"))
    yield from (Form("scikit-image", (name,)) for name in ("tif", "png"))
    yield from magick_forms()
    yield from tiffcp_forms()
    yield from gdal_forms()


def magick_forms() -> Iterator[Form]:
    """ImageMagick's."""
    for name in ("None", "LZW", "Zip", "RLE"):
        yield Form("magick", ("-compress", name))
        yield Form("magick", ("-compress", name, "-endian", "MSB", "-define", "tiff:rows-per-strip=11"))
        yield Form("magick", ("-compress", name, "-define", "tiff:tile-geometry=32x16"))
        yield Form("magick", ("-compress", name, "-interlace", "plane"))
        yield Form("magick", ("-compress", name, "-define", "tiff:fill-order=lsb"))
    yield Form("magick", ("-compress", "JPEG", "-quality", "80"), exact=False)
    yield Form("magick", ("png:",))
    yield Form("magick", ("png:", "-interlace", "PNG"))


def tiffcp_forms() -> Iterator[Form]:
    """Those of libtiff's own tool."""
    for name in ("none", "lzw", "lzw:2", "zip", "zip:2", "packbits", "lzma"):
        for layout in (("-s", "-r", "11"), ("-s", "-r", "1"), ("-t", "-w", "32", "-l", "48")):
            yield Form("tiffcp", ("-c", name, *layout))
            yield Form("tiffcp", ("-c", name, *layout, "-p", "separate", "-B"))
        yield Form("tiffcp", ("-c", name, "-f", "lsb2msb"))
        yield Form("tiffcp", ("-c", name, "-8", "-B"))
    for name in ("jpeg", "jpeg:r", "jpeg:50", "jpeg:r:95"):
        yield Form("tiffcp", ("-c", name, "-s", "-r", "16"), exact=False)
        yield Form("tiffcp", ("-c", name, "-t", "-w", "32", "-l", "16"), exact=False)
    yield Form("tiffcp", ("-c", "jpeg:r", "-p", "separate"), exact=False)


def gdal_forms() -> Iterator[Form]:
    """GDAL's."""
    for name in ("NONE", "LZW", "DEFLATE", "PACKBITS", "LZMA"):
        for extra in (("INTERLEAVE=BAND",), ("TILED=YES", "BLOCKXSIZE=16", "BLOCKYSIZE=32"), ("BIGTIFF=YES",)):
            yield Form("gdal", (f"COMPRESS={name}", *extra))
    yield from (Form("gdal", (f"COMPRESS={name}", "PREDICTOR=2", "ENDIANNESS=BIG")) for name in ("LZW", "DEFLATE"))
    yield Form("gdal", ("COMPRESS=JPEG", "PHOTOMETRIC=YCBCR"), exact=False)
    yield Form("gdal", ("COMPRESS=JPEG", "TILED=YES", "BLOCKXSIZE=16", "BLOCKYSIZE=16"), exact=False)


_COMMANDS = {"tiffcp": ("tiffcp",), "magick": ("magick", "convert"), "gdal": ("gdal_translate",)}
_PACKAGES = {"tiffcp": "libtiff-tools", "magick": "imagemagick", "gdal": "gdal-bin"}
_MODULES = {"opencv": "cv2", "imageio": "imageio", "scikit-image": "skimage", "tifffile": "imagecodecs"}


def missing(form: Form) -> str:
    """What to install for a form, empty if it can be written here."""
    module = _MODULES.get(form.writer, "")
    if module and importlib.util.find_spec(module) is None:
        return f"needs {module} from PyPI"
    names = _COMMANDS.get(form.writer, ())
    return f"needs the Debian package {_PACKAGES[form.writer]}" if names and not any(map(shutil.which, names)) else ""


def written(form: Form, pixels: Pixels) -> bytes:
    """A file's bytes; each is made once, since some writers are programs."""
    key = form, pixels.tobytes(), pixels.shape
    if key not in _MADE:
        _MADE[key] = _WRITERS[form.writer](pixels, *form.options)
    return _MADE[key]


_MADE: dict[tuple[Form, bytes, tuple[int, ...]], bytes] = {}


def _pillow(pixels: Pixels, compression: str, strip: int, big: bool) -> bytes:
    buffer = io.BytesIO()
    form = {"compression": compression} if compression != "raw" else {}
    Image.fromarray(pixels).save(buffer, "TIFF", strip_size=strip, big_tiff=big, **form)
    return buffer.getvalue()


def _tifffile(
    pixels: Pixels,
    compression: str,
    planar: str,
    order: Literal["<", ">"],
    big: bool,
    rows: int | None,
    tile: tuple[int, int] | None,
    predictor: bool,
) -> bytes:
    buffer = io.BytesIO()
    stored = np.moveaxis(pixels, -1, 0) if planar == "separate" and pixels.ndim == 3 else pixels
    colours: dict[str, Any] = (
        {"photometric": "rgb", "planarconfig": planar} if pixels.ndim == 3 else {"photometric": "minisblack"}
    )
    form: dict[str, Any] = {"compression": None if compression == "none" else compression, "predictor": predictor}
    tifffile.imwrite(buffer, stored, byteorder=order, bigtiff=big, rowsperstrip=rows, tile=tile, **form, **colours)
    return buffer.getvalue()


def _opencv(pixels: Pixels, *options: int) -> bytes:
    import cv2

    done, data = cv2.imencode(".tif", pixels[..., ::-1] if pixels.ndim == 3 else pixels, list(options))
    assert done
    return bytes(data)


def _imageio(pixels: Pixels, kind: str) -> bytes:
    import imageio.v3 as imageio

    return bytes(imageio.imwrite("<bytes>", pixels, extension=f".{kind}"))


def _scikit_image(pixels: Pixels, kind: str) -> bytes:
    import skimage.io

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"out.{kind}")
        skimage.io.imsave(path, pixels, check_contrast=False)
        return path.read_bytes()


def _magick(pixels: Pixels, *options: str) -> bytes:
    kind = options[0] if options[0].endswith(":") else "tif:"
    rest = [option for option in options if option != kind]
    return _converted("magick", pixels, lambda source, out: [source, *rest, f"{kind}{out}"])


def _tiffcp(pixels: Pixels, *options: str) -> bytes:
    return _converted("tiffcp", pixels, lambda source, out: [*options, source, out])


def _gdal(pixels: Pixels, *options: str) -> bytes:
    pairs = [word for option in options for word in ("-co", option)]
    return _converted("gdal", pixels, lambda source, out: ["-q", "-of", "GTiff", *pairs, source, out])


def _converted(writer: str, pixels: Pixels, arguments: Any) -> bytes:  # noqa: ANN401 - a function of two names
    command = next(filter(None, map(shutil.which, _COMMANDS[writer])))
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "source.tif"), Path(folder, "out.tif")
        tifffile.imwrite(source, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack", metadata=None)
        call = [command, *arguments(str(source), str(out))]
        subprocess.run(call, check=True, capture_output=True, timeout=60, env={**os.environ, "GDAL_PAM_ENABLED": "NO"})
        return out.read_bytes()


_WRITERS: dict[str, Callable[..., bytes]] = {
    "pillow": _pillow,
    "tifffile": _tifffile,
    "opencv": _opencv,
    "imageio": _imageio,
    "scikit-image": _scikit_image,
    "magick": _magick,
    "tiffcp": _tiffcp,
    "gdal": _gdal,
}
