"""A data set at the network's size in one compressed file, for a machine that has no more than that file.

What training and measuring take is in it; the native images are not. `numpy.load` reads it without unpickling, and the
set's digest, which every record of a run holds, is checked when it is read.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np

from brainseg_runtime.errors import DatasetError
from brainseg_runtime.images import Patient
from brainseg_runtime.safe_io.files import read_capped, write_bytes
from brainseg_train.data.dataset import DataSet, load_dataset
from brainseg_train.data.slices import SliceRef, digest_of_slices

_ARRAYS: Final = ("images", "masks", "native_masks", "image_digests", "mask_digests", "tumour_pixels", "blank")
_MAX_BYTES: Final = 1 << 30
"""Of a packed set; 3,426 slices take 75 MB."""


def pack(dataset: DataSet, path: Path) -> None:
    """Write a data set's arrays and the names of its patients.

    Raises:
        FileWriteError: The file could not be written.
    """
    content = io.BytesIO()
    arrays: dict[str, Any] = {name: np.asarray(getattr(dataset, name)) for name in _ARRAYS}
    names = np.array([(patient.id, patient.site) for patient in dataset.patients], dtype=np.str_)
    places = np.array([(ref.patient, ref.number) for ref in dataset.slices], dtype=np.int64)
    size = np.array(dataset.size, dtype=np.int64)
    np.savez_compressed(content, names=names, places=places, size=size, **arrays)
    write_bytes(path, content.getvalue())


def open_set(data: Path, *, cache: Path | None = None) -> DataSet:
    """A folder of patients, or a packed set.

    Args:
        data: A folder in the `kaggle_3m` layout, or a file that `pack` wrote.
        cache: Folder of the cache, for a folder of patients.

    Raises:
        DatasetError: The folder is faulty, or the file is no packed set or damaged.
        CacheError: The cache cannot be written.
    """
    if data.is_dir():
        return load_dataset(data, cache=cache)
    content = read_capped(data, _MAX_BYTES, error=DatasetError)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return _unpacked(data, dict(arrays))
    except (ValueError, KeyError, OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise DatasetError(
            f"{data} is not a packed data set", problems=[str(error)], remedy="make it by python -m experiments pack"
        ) from error


def _unpacked(path: Path, arrays: dict[str, Any]) -> DataSet:
    """The data set in the arrays of a packed file; its native images are not there."""
    patients = tuple(Patient(id=str(name), site=str(site), slices=()) for name, site in arrays["names"])
    slices = tuple(
        SliceRef(patient=int(patient), number=int(number), image=path, mask=path)
        for patient, number in arrays["places"]
    )
    pairs = zip(arrays["image_digests"], arrays["mask_digests"], strict=True)
    digest = digest_of_slices(patients, slices, ((image.tobytes(), mask.tobytes()) for image, mask in pairs))
    height, width = (int(side) for side in arrays["size"])
    chosen = {name: arrays[name] for name in _ARRAYS}
    return DataSet(
        root=path, patients=patients, slices=slices, folder=path, digest=digest, size=(height, width), **chosen
    )
