"""Identity: a study is the same if its pixels and the model are, wherever its files lie and whatever their names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from brainseg_runtime.studies.geometry import Volume


class PixelDigest:
    """Digest of arrays in order: kind, shape, type and values of each.

    >>> one, other = PixelDigest(), PixelDigest()
    >>> one.add("a", np.zeros((2, 3), np.uint8)); other.add("a", np.zeros((3, 2), np.uint8))
    >>> one.hex() == other.hex()
    False
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, label: str, array: NDArray[Any]) -> None:
        """Add an array.

        Args:
            label: What it is, such as a role.
            array: Any shape; strides and byte order do not count.
        """
        plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        self._digest.update(f"{label}\0{plain.dtype.str}\0{plain.shape}\0".encode())
        self._digest.update(plain.reshape(-1).view(np.uint8).data)

    def hex(self) -> str:
        """The digest so far, 64 hexadecimal digits."""
        return self._digest.hexdigest()


def of_volumes(volumes: Mapping[str, Volume]) -> str:
    """Digest of a study's volumes: their voxels, and where they lie, which decides the mask as much.

    Args:
        volumes: By role.
    """
    digest = PixelDigest()
    for role in sorted(volumes):
        volume = volumes[role]
        grid = volume.grid
        digest.add(role, volume.voxels)
        digest.add("place", np.concatenate([np.array(grid.spacing), grid.directions.ravel(), grid.origin]))
    return digest.hex()


def row_id(pixels: str, bundle: str) -> str:
    """The identity of a study under a bundle.

    Args:
        pixels: Digest of the pixels.
        bundle: Digest of the bundle.
    """
    return hashlib.sha256(f"study\0{pixels}\0{bundle}".encode()).hexdigest()


def unread_id(source: str, name: str, bundle: str) -> str:
    """The identity of a study whose pixels could not be read: its place.

    Args:
        source: The reference's name.
        name: The study's name within it.
        bundle: Digest of the bundle.
    """
    return hashlib.sha256(f"unread\0{source}\0{name}\0{bundle}".encode("utf-8", "surrogatepass")).hexdigest()


def fingerprint(files: Iterable[tuple[str, int, int | str]]) -> str:
    """Digest of files' names, sizes and times, by which a later start knows a reference again without reading it.

    Args:
        files: Name from the reference on, size in bytes, and time of the last change in ns or a text in its place.

    >>> fingerprint([("a", 1, 2), ("b", 3, 4)]) == fingerprint([("b", 3, 4), ("a", 1, 2)])
    True
    """
    digest = hashlib.sha256()
    for name, size, changed in sorted(files, key=lambda file: file[0]):
        digest.update(f"{name}\0{size}\0{changed}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
