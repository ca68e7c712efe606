"""A patient of the data set as three volumes and the readers' mask.

Legend: K slices, R rows, C columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Patient:
    """Slices from the neck up, as the set numbers them; rows run to the back, columns to the patient's left."""

    images: NDArray[np.uint8]
    """(K, R, C, 3): pre-contrast, FLAIR, post-contrast."""
    mask: NDArray[np.uint8]
    """(K, R, C), 0 or 1."""

    @property
    def volumes(self) -> Mapping[str, NDArray[np.uint8]]:
        """(K, R, C) by role."""
        return {role: self.images[..., channel] for channel, role in enumerate(("pre", "flair", "post"))}


def read_patient(folder: Path) -> Patient:
    """Read `<name>_<n>.tif` and their masks."""
    paths = sorted(
        (path for path in folder.glob("*.tif") if not path.stem.endswith("_mask")),
        key=lambda path: int(path.stem.rpartition("_")[2]),
    )
    images = np.stack([tifffile.imread(path) for path in paths])
    masks = np.stack([tifffile.imread(path.with_name(f"{path.stem}_mask.tif")) for path in paths])
    return Patient(images=images, mask=(masks > 0).astype(np.uint8))
