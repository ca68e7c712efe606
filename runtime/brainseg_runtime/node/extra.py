"""The libraries of the extra "node": all of them are there, or the node does not start.

A node that lacked one of them might take images for days before it had to send, or to decompress, what it took.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from brainseg_runtime.errors import MissingExtraError
from brainseg_runtime.extras import install_remedy

LIBRARIES: Final = (
    "PIL", "SimpleITK", "dicomweb_client", "fastapi", "h11", "highdicom", "jpeg_ls", "libjpeg", "openjpeg",
    "prometheus_client", "pydicom", "pylibjpeg", "pynetdicom", "requests", "starlette", "uvicorn",
)  # fmt: skip
"""Names to import of what the extra asks for, that of the extra "study" in it included."""


def require_extra() -> None:
    """Look for every library, without importing it.

    Raises:
        MissingExtraError: One is missing.
    """
    missing = [each for each in LIBRARIES if find_spec(each) is None]
    if missing:
        raise MissingExtraError(
            "a node needs libraries that are not installed",
            expected="all of the extra node",
            got=f"{', '.join(missing)} missing",
            remedy=install_remedy("node"),
        )
