"""A data set opened for training: what its rows are, against the files read by other means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from torch.nn import functional

from brainseg_runtime.errors import DataError
from brainseg_train.data.dataset import DataSet, default_cache_folder, load_dataset
from brainseg_train.phantom.patients import write_phantom


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """Three patients of four slices of 150 pixels: no multiple of the network's size, and no batch is full."""
    folder = tmp_path_factory.mktemp("data")
    root = write_phantom(folder / "set", patients=3, seed=4, slices=(4, 4), side=150)
    return load_dataset(root, cache=folder / "cache")


def files(dataset: DataSet) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and masks as another reader sees them, (N, C, H, W) float."""
    images = np.stack([tifffile.imread(ref.image) for ref in dataset.slices])
    masks = np.stack([tifffile.imread(ref.mask) for ref in dataset.slices])
    return torch.from_numpy(images).permute(0, 3, 1, 2).float(), torch.from_numpy(masks)[:, None].float() / 255


def test_images_are_the_files_resized_with_antialiasing(dataset: DataSet) -> None:
    images, _ = files(dataset)
    expected = functional.interpolate(images, size=(128, 128), mode="bilinear", antialias=True)
    got = torch.from_numpy(np.array(dataset.images)).permute(0, 3, 1, 2).float()
    assert dataset.images.dtype == np.uint8
    assert (got - expected).abs().max() <= 0.501


def test_masks_are_the_files_resized_and_one_where_at_least_half(dataset: DataSet) -> None:
    _, masks = files(dataset)
    soft = functional.interpolate(masks, size=(128, 128), mode="bilinear", antialias=True)[:, 0].numpy()
    clear = np.abs(soft - 0.5) > 1e-4
    assert clear.mean() > 0.99
    assert set(np.unique(dataset.masks)) == {0, 1}
    np.testing.assert_array_equal(dataset.masks[clear], (soft > 0.5)[clear])


def test_an_exact_half_is_tumour(tmp_path: Path) -> None:
    """At 256 pixels the weights are eighths, so a straight edge between pixel pairs gives exact halves."""
    root = write_phantom(tmp_path / "set", patients=1, slices=(1, 1), side=256)
    path = next(root.glob("*/*_mask.tif"))
    mask = np.zeros((256, 256), dtype=np.uint8)
    mask[:, 101:] = 255
    tifffile.imwrite(path, mask, photometric="minisblack")
    dataset = load_dataset(root, cache=tmp_path / "cache")
    assert dataset.masks[0, :, 50].all()
    assert not dataset.masks[0, :, 49].any()


def test_native_pixels_are_the_files_own(dataset: DataSet) -> None:
    assert dataset.size == (150, 150)
    for index, ref in enumerate(dataset.slices):
        np.testing.assert_array_equal(dataset.native_image(index), tifffile.imread(ref.image))
        np.testing.assert_array_equal(dataset.native_mask(index) * 255, tifffile.imread(ref.mask))
        assert dataset.tumour_pixels[index] == np.count_nonzero(tifffile.imread(ref.mask))


def test_indices_are_the_rows_of_the_patients_asked_for(dataset: DataSet) -> None:
    names = [patient.id for patient in dataset.patients]
    assert names == sorted(names)
    assert dataset.indices([names[2], names[0]]).tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
    assert dataset.indices([]).tolist() == []
    assert dataset.patient_of_slice.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_a_patient_of_another_set_is_refused_by_name(dataset: DataSet) -> None:
    with pytest.raises(DataError, match="TCGA_XX_9999_20000101"):
        dataset.indices([dataset.patients[0].id, "TCGA_XX_9999_20000101"])


def test_burden_is_the_share_of_tumour_pixels(dataset: DataSet) -> None:
    _, masks = files(dataset)
    expected = masks.reshape(3, -1).mean(dim=1).numpy()
    np.testing.assert_allclose(dataset.burden, expected, rtol=1e-6)


def test_arrays_cannot_be_written(dataset: DataSet) -> None:
    with pytest.raises(ValueError, match="read-only"):
        dataset.images[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        dataset.masks[0] = 0


def test_without_a_cache_folder_the_users_own_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name, appauthor: tmp_path / f"{name}-{appauthor}")
    root = write_phantom(tmp_path / "set", patients=1, slices=(1, 1), side=32)
    load_dataset(root)
    assert default_cache_folder() == tmp_path / "brainseg-False"
    assert len(list(default_cache_folder().iterdir())) == 1


@pytest.mark.real
def test_the_real_set_is_cached_whole(real_patients: Path) -> None:
    dataset = load_dataset(real_patients)
    count = len(dataset.slices)
    assert dataset.size == (256, 256)
    assert dataset.images.shape == (count, 128, 128, 3)
    rows = np.linspace(0, count - 1, 40).astype(int)
    for row in rows.tolist():
        np.testing.assert_array_equal(dataset.native_mask(row) * 255, tifffile.imread(dataset.slices[row].mask))
        image = torch.from_numpy(tifffile.imread(dataset.slices[row].image)).permute(2, 0, 1)[None].float()
        expected = functional.interpolate(image, size=(128, 128), mode="bilinear", antialias=True)[0].permute(1, 2, 0)
        assert np.abs(dataset.images[row] - expected.numpy()).max() <= 0.501
