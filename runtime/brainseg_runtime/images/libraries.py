"""The decoding libraries, imported where they are used: they come with an extra, and a light import stays light."""

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
            "this image cannot be read", expected="pillow", got=error, remedy=install_remedy("io")
        ) from error
    return Image
