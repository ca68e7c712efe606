"""What can be wrong with a series' files, as edits for `write_series(edit=...)`.

Each takes the datasets one by one, with the index of their slice.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset

from tests.studies_made.series import Edit, ds
from tests.studies_made.uids import made_uid


def missing(*slices: int) -> Edit:
    """Slices that were lost on the way: a gap."""
    return lambda k, dataset: None if k in slices else dataset


def duplicate(*slices: int, same_uid: bool = True) -> Edit:
    """Slices sent twice: the same object, or one with a UID of its own."""

    def edit(k: int, dataset: Dataset) -> Dataset | list[Dataset]:
        if k not in slices:
            return dataset
        other = copy.deepcopy(dataset)
        if not same_uid:
            other.SOPInstanceUID = made_uid(dataset.SOPInstanceUID, "again")
            other.file_meta.MediaStorageSOPInstanceUID = other.SOPInstanceUID
        return [dataset, other]

    return edit


def moved(millimetres: dict[int, float]) -> Edit:
    """Slices moved along the normal: uneven spacing."""

    def edit(k: int, dataset: Dataset) -> Dataset:
        if k in millimetres:
            row, column = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
            shift(dataset, np.cross(row, column) * millimetres[k])
        return dataset

    return edit


def sheared(millimetres: float) -> Edit:
    """Each slice moved further along the rows than the one before: a tilted gantry."""

    def edit(k: int, dataset: Dataset) -> Dataset:
        down = np.array(dataset.ImageOrientationPatient, float)[3:]
        shift(dataset, down * millimetres * k)
        return dataset

    return edit


def shift(dataset: Dataset, by_mm: Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    """Moves a slice by a vector, mm."""
    dataset.ImagePositionPatient = [ds(a + b) for a, b in zip(dataset.ImagePositionPatient, by_mm, strict=True)]


def changed(**values: object) -> Edit:
    """Other values of tags in every slice; None takes the tag out."""

    def edit(_: int, dataset: Dataset) -> Dataset:
        return _with(dataset, values)

    return edit


def changed_in(slices: Sequence[int], **values: object) -> Edit:
    """Other values of tags in some slices; None takes the tag out."""
    return lambda k, dataset: _with(dataset, values) if k in slices else dataset


def _with(dataset: Dataset, values: dict[str, object]) -> Dataset:
    """The dataset with other values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword, value in values.items():
            if value is not None:
                setattr(dataset, keyword, value)
            elif keyword in dataset:
                del dataset[keyword]
    return dataset
