"""The libraries that decode and encode, imported where they are used: they come with an extra."""

from __future__ import annotations

from types import ModuleType

from brainseg_runtime.errors import MissingExtraError
from brainseg_runtime.extras import install_remedy


def pillow() -> ModuleType:
    """`PIL.Image`.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError(
            "reading or writing this image needs Pillow", expected="pillow", got=error, remedy=install_remedy("io")
        ) from error
    return Image


def tifffile() -> ModuleType:
    """`tifffile`.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import tifffile
    except ImportError as error:
        raise MissingExtraError(
            "TIFF files cannot be written", expected="tifffile", got=error, remedy=install_remedy("io")
        ) from error
    return tifffile
