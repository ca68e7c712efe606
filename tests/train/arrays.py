"""A data set of small made-up slices, for tests of the engine: bright squares to find on a noisy ground.

Made straight in memory, so that a run over it takes a second; everything else about it is a data set like any other.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.images.dataset import Patient
from brainseg_train.data.dataset import DataSet
from brainseg_train.data.slices import SliceRef
from brainseg_train.data.split import Split

SLICES_A_PATIENT = 8


def make_dataset(*, patients: int = 7, size: int = 32, seed: int = 0) -> DataSet:
    """Patients of eight slices, two thirds of which hold a square that is bright in the second channel."""
    count = patients * SLICES_A_PATIENT
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 80, (count, size, size, 3), dtype=np.uint8)
    masks = np.zeros((count, size, size), dtype=np.uint8)
    for index in range(count):
        if index % 3:
            top, left = draw.integers(2, size - 12, 2)
            side = int(draw.integers(5, 10))
            masks[index, top : top + side, left : left + side] = 1
            images[index, top : top + side, left : left + side, 1] += 120
    folder = Path("made-up")
    refs = tuple(
        SliceRef(
            patient=index // SLICES_A_PATIENT,
            number=index % SLICES_A_PATIENT + 1,
            image=folder / f"{index}.tif",
            mask=folder,
        )
        for index in range(count)
    )
    people = tuple(Patient(id=f"TCGA_XX_{number:04}_20000101", site="XX", slices=()) for number in range(patients))
    return DataSet(
        root=folder,
        patients=people,
        slices=refs,
        folder=folder,
        digest=hashlib.sha256(images.tobytes() + masks.tobytes()).hexdigest(),
        size=(size, size),
        images=images,
        masks=masks,
        native_masks=np.packbits(masks.reshape(count, -1), axis=1),
        image_digests=_digests(images),
        mask_digests=_digests(masks),
        tumour_pixels=masks.sum(axis=(1, 2), dtype=np.int64),
        blank=np.zeros(count, dtype=np.bool_),
    )


def _digests(arrays: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, 32) SHA-256 of each row."""
    return np.stack([np.frombuffer(hashlib.sha256(row.tobytes()).digest(), dtype=np.uint8) for row in arrays])


def make_split(dataset: DataSet) -> Split:
    """The last patient tests, the two before validate, the others train."""
    names = tuple(patient.id for patient in dataset.patients)
    return Split(train=names[:-3], validation=names[-3:-1], test=names[-1:], seed=0, data_digest=dataset.digest)
