"""Small patients on the disk, laid out as the data set is, for tests that need files and not brains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tifffile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def made_image(seed: int, *, height: int = 32, width: int = 48) -> NDArray[np.uint8]:
    """A noisy slice with a bright disc in FLAIR; the disc moves with the seed."""
    rng = np.random.default_rng(seed)
    image = rng.integers(20, 90, (height, width, 3), dtype=np.uint8)
    image[made_mask(seed, height=height, width=width) > 0, 1] = 230
    return image


def made_mask(seed: int, *, height: int = 32, width: int = 48) -> NDArray[np.uint8]:
    """The disc, 0 and 255."""
    rows, columns = np.mgrid[:height, :width]
    inside = (rows - height / 2) ** 2 + (columns - width / 3 - seed % 7) ** 2 < (4 + seed % 3) ** 2
    return np.where(inside, 255, 0).astype(np.uint8)


def made_patient(folder: Path, *, slices: int = 3, seed: int = 0, masks: bool = True) -> Path:
    """A patient's folder; the first slice is without tumour where there is more than one."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, slices + 1):
        truth = made_mask(seed + number) * (number > 1 or slices == 1)
        tifffile.imwrite(folder / f"{folder.name}_{number}.tif", made_image(seed + number), photometric="rgb")
        if masks:
            tifffile.imwrite(folder / f"{folder.name}_{number}_mask.tif", truth.astype(np.uint8))
    return folder


def made_data(root: Path, *, patients: int = 2, slices: int = 3, masks: bool = True) -> Path:
    """A data set with the files beside it that the public one has."""
    for index in range(patients):
        made_patient(root / f"TCGA_DU_{5800 + index}_19950101", slices=slices, seed=10 * index, masks=masks)
    (root / "README.md").write_text("about", encoding="utf-8")
    return root
