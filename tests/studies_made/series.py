"""One file a slice, as scanners of the last thirty years write MR: `write_series`, and `write_study` for all three.

Legend: K slices, R rows, C columns.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pydicom.valuerep import DSfloat

from brainseg_runtime.studies.geometry import Grid
from tests.studies_made.tags import BY_ROLE, FLAIR, STUDY, Tags
from tests.studies_made.uids import made_uid

Edit = Callable[[int, Dataset], "Dataset | Sequence[Dataset] | None"]
"""Changes the dataset of a slice (its index in the array); gives what is written for it, None for nothing."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """How voxels become stored values.

    Attributes:
        bits: BitsAllocated, 8 or 16.
        bits_stored: BitsStored, at most `bits`; None: all of them.
        signed: PixelRepresentation 1.
        slope: RescaleSlope; a voxel is slope × stored + intercept. None writes neither.
        intercept: RescaleIntercept.
        monochrome1: Stored values run from white to black.
        padding: PixelPaddingValue, which takes the place of voxels that are 0.
        window: Writes WindowCenter and WindowWidth.
    """

    bits: int = 16
    bits_stored: int | None = None
    signed: bool = False
    slope: float | None = None
    intercept: float = 0.0
    monochrome1: bool = False
    padding: int | None = None
    window: bool = True

    @property
    def stored_bits(self) -> int:
        """BitsStored."""
        return self.bits if self.bits_stored is None else self.bits_stored

    def encode(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Stored values of voxels: exact, or an error."""
        values = (np.asarray(voxels, np.float64) - self.intercept) / (self.slope or 1.0)
        whole = np.rint(values)
        if self.monochrome1:
            whole = (1 << self.stored_bits) - 1 - whole
        if self.padding is not None:
            whole = np.where(np.asarray(voxels) == 0, self.padding, whole)
        low, high = (-(1 << self.stored_bits - 1), (1 << self.stored_bits - 1) - 1)
        low, high = (low, high) if self.signed else (0, (1 << self.stored_bits) - 1)
        if whole.min() < low or whole.max() > high:
            raise ValueError(f"stored values {whole.min():g} to {whole.max():g} do not fit {low} to {high}")
        kinds = {(8, False): "u1", (8, True): "i1", (16, False): "<u2", (16, True): "<i2"}
        return whole.astype(kinds[self.bits, self.signed])

    def describe(self, dataset: Dataset) -> None:
        """Writes the Image Pixel attributes but the pixels."""
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME1" if self.monochrome1 else "MONOCHROME2"
        dataset.BitsAllocated = self.bits
        dataset.BitsStored = self.stored_bits
        dataset.HighBit = self.stored_bits - 1
        dataset.PixelRepresentation = int(self.signed)
        if self.padding is not None:
            dataset.add_new("PixelPaddingValue", "SS" if self.signed else "US", self.padding)


def write_series(  # noqa: PLR0913 - what can differ between series
    folder: Path,
    voxels: NDArray[Any],
    grid: Grid,
    *,
    tags: Tags = FLAIR,
    stored: Stored | None = None,
    without: Sequence[str] = (),
    edit: Edit | None = None,
    shuffle: int | None = None,
    suffix: str = ".dcm",
) -> list[Path]:
    """Write a volume as a series of single-frame MR images.

    Args:
        folder: Made if it is not there.
        voxels: (K, R, C), what reading must give back.
        grid: Where they lie.
        tags: Header by keyword, over those of `STUDY`; `FLAIR`, `PRE` and `POST` are there to be changed. Values
            of None leave a tag out. Series with another SeriesNumber or description get another UID.
        stored: How values are stored.
        without: Tags to leave out.
        edit: Changes each dataset before it is written; see `faults`.
        shuffle: Seed that puts file names and InstanceNumber out of order.
        suffix: Of the file names; "" as scanners' exports have it.

    Returns:
        The files, in the order of the slices (of those that were written).
    """
    stored = stored or Stored()
    folder.mkdir(parents=True, exist_ok=True)
    order = np.arange(len(voxels))
    if shuffle is not None:
        order = np.random.default_rng(shuffle).permutation(order)
    paths = []
    for k in range(len(voxels)):
        dataset = made_slice(voxels[k], grid, k, tags=tags, stored=stored, number=int(order[k]) + 1)
        for keyword in without:
            if keyword in dataset:
                del dataset[keyword]
        edited = dataset if edit is None else edit(k, dataset)
        datasets = [] if edited is None else [edited] if isinstance(edited, Dataset) else list(edited)
        for copy, each in enumerate(datasets):
            paths.append(folder / f"IM{int(order[k]) + 1:04d}{f'-{copy}' if copy else ''}{suffix}")
            save(each, paths[-1])
    return paths


def made_slice(
    voxels_rc: NDArray[Any], grid: Grid, k: int, *, tags: Tags = FLAIR, stored: Stored | None = None, number: int = 1
) -> Dataset:
    """The dataset of slice `k` of a grid, with file meta information, ready to be saved."""
    stored = stored or Stored()
    dataset = begun(tags)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = made_uid(dataset.SeriesInstanceUID, k)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.InstanceNumber = number
    dataset.AcquisitionNumber = 1
    dataset.Rows, dataset.Columns = voxels_rc.shape
    place_slice(dataset, grid, k)
    stored.describe(dataset)
    if stored.slope is not None:
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = (
            ds(stored.slope),
            ds(stored.intercept),
            "US",
        )
    if stored.window:
        dataset.WindowCenter, dataset.WindowWidth = "500", "1000"
    set_pixels(dataset, stored.encode(voxels_rc))
    return dataset


def begun(tags: Tags) -> Dataset:
    """A dataset with the header's tags, its series' UID and its file meta information."""
    dataset = Dataset()
    given = {**STUDY, **tags}
    default = made_uid(given["StudyInstanceUID"], given.get("SeriesNumber"), given.get("SeriesDescription"))
    given.setdefault("SeriesInstanceUID", default)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values that break the standard are made on purpose
        for keyword, value in given.items():
            if value is not None:
                setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def place_slice(dataset: Dataset, grid: Grid, k: int) -> None:
    """Writes the Image Plane module of slice `k`."""
    slices, rows, columns = grid.spacing
    dataset.PixelSpacing = [ds(rows), ds(columns)]
    # A row of pixels runs along the columns' index, so the first vector is the columns' direction.
    dataset.ImageOrientationPatient = [ds(each) for each in (*grid.directions[2], *grid.directions[1])]
    dataset.ImagePositionPatient = [ds(each) for each in grid.positions([k, 0, 0])]
    dataset.SliceThickness = ds(slices)
    dataset.SpacingBetweenSlices = ds(slices)
    dataset.SliceLocation = ds(float(grid.positions([k, 0, 0]) @ grid.directions[0]))


def set_pixels(dataset: Dataset, stored: NDArray[Any]) -> None:
    """Writes uncompressed pixels, of even length."""
    data = stored.tobytes()
    dataset.add_new("PixelData", "OW" if dataset.BitsAllocated == 16 else "OB", data + b"\0" * (len(data) % 2))


def save(dataset: Dataset, path: Path) -> None:
    """Saves a dataset with its preamble; what breaks the standard on purpose is written all the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(path, enforce_file_format=True)


def ds(value: float) -> DSfloat:
    """A decimal string of at most 16 characters, as the standard asks."""
    return DSfloat(float(value), auto_format=True)


def write_study(
    folder: Path,
    volumes: Mapping[str, NDArray[Any]],
    grids: Grid | Mapping[str, Grid],
    *,
    tags: Tags | None = None,
    stored: Stored | None = None,
    by_role: Mapping[str, Tags] = BY_ROLE,
    **options: Any,  # noqa: ANN401 - those of `write_series`
) -> Path:
    """Write several series into folders of one study.

    Args:
        folder: Gets a folder for each series, called after its role.
        volumes: (K, R, C) by role: "flair", "pre", "post", or others with tags in `by_role`.
        grids: One for all, or one for each.
        tags: Over the series' own, such as another study's UIDs.
        stored: How values are stored.
        by_role: Header of each series.
        options: As `write_series` takes them.

    Returns:
        `folder`.
    """
    for role, voxels in volumes.items():
        grid = grids if isinstance(grids, Grid) else grids[role]
        given = {**by_role[role], **(tags or {})}
        write_series(folder / role, voxels, grid, tags=given, stored=stored, **options)
    return folder
