"""A data set in one file is the same data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brainseg_runtime.errors import DatasetError
from brainseg_train.data.dataset import DataSet
from experiments.packed import open_set, pack


def test_a_packed_set_has_the_pixels_digest_and_patients_of_the_folder(small_set: DataSet, tmp_path: Path) -> None:
    pack(small_set, tmp_path / "set.npz")
    opened = open_set(tmp_path / "set.npz")
    assert opened.digest == small_set.digest
    assert [patient.id for patient in opened.patients] == [patient.id for patient in small_set.patients]
    for name in ("images", "masks", "native_masks", "patient_of_slice"):
        np.testing.assert_array_equal(getattr(opened, name), getattr(small_set, name))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_another_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="not a packed data set"):
        open_set(path)


def test_an_archive_with_objects_is_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", names=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DatasetError, match="not a packed data set"):
        open_set(tmp_path / "set.npz")
