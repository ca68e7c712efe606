"""The slices that export measures on: those of the validation patients, and training slices for calibration.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_export.errors import ExportError
from brainseg_runtime.evaluation.evaluate import Case
from brainseg_train.data.dataset import DataSet, load_dataset
from brainseg_train.data.split import Split

BATCH: Final = 8
"""Slices in one call: enough to keep the engines busy, few enough for their caches."""


@dataclass(frozen=True, kw_only=True)
class Patients:
    """The patients of one subset of a split; their slices are read one by one when they are needed."""

    dataset: DataSet
    ids: tuple[str, ...]

    @property
    def slices(self) -> int:
        """How many slices they have together."""
        return len(self.dataset.indices(self.ids))

    def cases(self) -> Iterator[Case]:
        """Each patient, with the number, image and mask of each slice."""
        for patient in self.ids:
            yield Case(patient, self._slices(patient))

    def _slices(self, patient: str) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.uint8]]]:
        for index in self.dataset.indices([patient]):
            at = int(index)
            yield self.dataset.slices[at].number, self.dataset.native_image(at), self.dataset.native_mask(at)


def open_dataset(root: Path, *, digest: str, cache: Path | None) -> DataSet:
    """The data set that a run was trained on.

    Args:
        root: Its folder.
        digest: The run's data digest.
        cache: Folder of the cache; None takes the user's cache folder.

    Raises:
        ExportError: It is another data set.
        DatasetError: The data set is faulty.
    """
    dataset = load_dataset(root, cache=cache)
    if dataset.digest != digest:
        raise ExportError(
            f"{root} is not the data set of this run",
            expected=digest,
            got=dataset.digest,
            remedy="name the folder that it was trained on with --data",
        )
    return dataset


def validation_patients(dataset: DataSet, split: Split) -> Patients:
    """The patients on whom threshold, temperature and variants are chosen."""
    return Patients(dataset=dataset, ids=split.validation)


def batches(case: Case, size: int = BATCH) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """A patient's images (n, H, W, 3) and masks (n, H, W), n at most `size`; all slices of a data set have one size."""
    images: list[NDArray[np.uint8]] = []
    truths: list[NDArray[np.uint8]] = []
    for _, image, truth in case.slices:
        images.append(image)
        truths.append(truth)
        if len(images) == size:
            yield np.stack(images), np.stack(truths)
            images, truths = [], []
    if images:
        yield np.stack(images), np.stack(truths)


def calibration_images(dataset: DataSet, split: Split, *, count: int) -> list[NDArray[np.uint8]]:
    """Training slices to observe activations on: half with tumour, spread evenly over the patients, in batches.

    Returns:
        Batches (n, H, W, 3) uint8.
    """
    rows = split.indices(dataset, "train")
    tumour = dataset.tumour_pixels[rows] > 0
    filled = ~dataset.blank[rows]
    chosen = [*_spread(rows[tumour], count // 2), *_spread(rows[filled & ~tumour], count - count // 2)]
    images = [dataset.native_image(int(row)) for row in sorted(chosen)]
    return [np.stack(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]


def _spread(rows: NDArray[np.intp], count: int) -> list[int]:
    """At most `count` of the rows, evenly spaced; they come in order of patient."""
    wanted = min(count, len(rows))
    return [int(rows[(2 * index + 1) * len(rows) // (2 * wanted)]) for index in range(wanted)]
