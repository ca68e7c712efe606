"""A data set ready for training: patients, slices, and their pixels at the network's size.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from brainseg_runtime.errors import DataError
from brainseg_runtime.images import Patient, read_image
from brainseg_train.data.cache import Cached, open_or_build
from brainseg_train.data.slices import SliceRef, find_slices


@dataclass(frozen=True, kw_only=True, eq=False)
class DataSet(Cached):
    """A `kaggle_3m` folder, read, checked and resized once: its entry of the cache, with patients and slices.

    `images` and `masks` are for training and for choosing among epochs; reported scores start from `native_image` and
    `native_mask`.
    """

    root: Path
    patients: tuple[Patient, ...]
    """In order of name."""
    slices: tuple[SliceRef, ...]
    """In order of patient and number."""

    def native_mask(self, index: int) -> NDArray[np.uint8]:
        """(H, W) uint8, 0 or 1: a slice's mask as its file has it."""
        height, width = self.size
        bits = np.unpackbits(self.native_masks[index], count=height * width)
        return bits.reshape(height, width)

    def native_image(self, index: int) -> NDArray[np.uint8]:
        """(H, W, 3) uint8: a slice's image, read from its file.

        Raises:
            ImageError: The file has been deleted or damaged since the set was opened.
        """
        return read_image(self.slices[index].image)

    def indices(self, patient_ids: Iterable[str]) -> NDArray[np.intp]:
        """Rows of the slices of some patients, ascending.

        Raises:
            DataError: A patient is not in this set.
        """
        wanted = self.patient_indices(patient_ids)
        return np.flatnonzero(np.isin(self.patient_of_slice, wanted))

    def patient_indices(self, patient_ids: Iterable[str]) -> NDArray[np.intp]:
        """Positions of patients in `patients`, in the order given.

        Raises:
            DataError: A patient is not in this set.
        """
        known = {patient.id: index for index, patient in enumerate(self.patients)}
        names = list(patient_ids)
        unknown = [name for name in names if name not in known]
        if unknown:
            raise DataError(
                f"{self.root} has no patient {', '.join(unknown)}",
                remedy="use the split that was made for this data set",
            )
        return np.array([known[name] for name in names], dtype=np.intp)

    @cached_property
    def patient_of_slice(self) -> NDArray[np.intp]:
        """(N,) index into `patients` of each slice."""
        return np.array([ref.patient for ref in self.slices], dtype=np.intp)

    @cached_property
    def burden(self) -> NDArray[np.float64]:
        """(patients,) fraction of each patient's native pixels that is tumour, in [0, 1]."""
        count = len(self.patients)
        tumour = np.bincount(self.patient_of_slice, weights=self.tumour_pixels, minlength=count)
        pixels = np.bincount(self.patient_of_slice, minlength=count) * (self.size[0] * self.size[1])
        return tumour / pixels


def load_dataset(
    root: Path, *, cache: Path | None = None, on_slice: Callable[[int, int], None] | None = None
) -> DataSet:
    """Open a folder in the `kaggle_3m` layout, resizing it into the cache the first time.

    Later the files are only hashed, and the cache is used if it was made from the same bytes and is undamaged.

    Args:
        root: The folder of patient folders.
        cache: Folder of the cache; by default the user's cache folder.
        on_slice: Called after each slice that is resized, with how many of how many are done.

    Raises:
        DatasetError: The set is faulty; it names every fault.
        CacheError: The cache cannot be written.
    """
    root = Path(root)
    patients, slices = find_slices(root)
    folder = default_cache_folder() if cache is None else Path(cache)
    cached = open_or_build(folder, root, patients, slices, on_slice=on_slice)
    return DataSet(root=root, patients=patients, slices=slices, **vars(cached))


def default_cache_folder() -> Path:
    """`brainseg` in the folder where this system keeps the user's caches."""
    return platformdirs.user_cache_path("brainseg", appauthor=False)
