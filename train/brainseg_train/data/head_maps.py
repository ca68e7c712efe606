"""Brain, depth and midline of every slice, made once for a data set and kept beside its entry of the cache.

Only augmentation reads them, so they are made when a run first asks for them, and not for every set that is opened.
They lie beside the entry as `<entry>.head<FORM>.safetensors`, with a JSON that vouches for them; what does not agree
with it is made again.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from brainseg_runtime.errors import FileWriteError
from brainseg_train.checkpoint.tensor_files import read_tensors, write_tensors
from brainseg_train.data.head import MAX_DEPTH, brain_mask, depth_in, head_mask
from brainseg_train.data.midline import find_midlines
from brainseg_train.errors import CacheError, CheckpointError

if TYPE_CHECKING:
    from brainseg_train.data.dataset import DataSet

FORM: Final = 1
"""Raised when the maps' meaning or making changes, so that older ones are not found."""

EDGE: Final = 0.8
"""Deviation, pixels, of the blur of a brain's edge: a step of one pixel would be seen by a network."""

_KIND: Final = "brainseg head maps"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredMaps:
    """The maps of a data set; row i of each belongs to slice i."""

    brain: Tensor
    """(N, H, W) uint8: 255 inside the brain, falling to 0 over its edge."""
    depth: Tensor
    """(N, H, W) uint8: pixels from the head's outline, at most `MAX_DEPTH`; 0 outside the head."""
    midlines: Tensor
    """(N, 4) float32, as `midline.find_midlines` gives them."""


def open_or_make(dataset: DataSet) -> StoredMaps:
    """The maps of a data set, made first if they are missing or damaged: about 10 ms a slice.

    Args:
        dataset: Slices at the network's size, with the folder of their cache entry.

    Raises:
        CacheError: They cannot be written beside the entry.
    """
    stem = _stem(dataset.folder)
    try:
        tensors, body = read_tensors(stem, _KIND)
        if body.get("data_digest") == dataset.digest and _whole(tensors, dataset):
            return StoredMaps(**tensors)
    except CheckpointError:
        logger.info("making the head maps of %d slices", len(dataset.slices))
    maps = make_maps(dataset.images, dataset.masks, dataset.patient_of_slice)
    try:
        write_tensors(stem, _KIND, vars(maps), {"data_digest": dataset.digest})
    except FileWriteError as error:
        raise CacheError(
            f"the maps of heads cannot be kept beside {dataset.folder}",
            expected=f"a writable folder with space for {len(dataset.slices) * 32} KiB",
            got=error,
            remedy="name another folder with --cache DIR",
        ) from error
    return maps


def make_maps(
    images_nhwc: NDArray[np.uint8], masks_nhw: NDArray[np.uint8], patient_of_slice: NDArray[np.intp]
) -> StoredMaps:
    """Maps of some slices.

    Args:
        images_nhwc: (N, H, W, 3) uint8.
        masks_nhw: (N, H, W) uint8, 0 or 1.
        patient_of_slice: (N,) number of each slice's patient; a patient's slices are in order.
    """
    shape = images_nhwc.shape[:3]
    brain, depth = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
    for i, image in enumerate(images_nhwc):
        head = head_mask(image)
        inside = depth_in(head)
        brain[i] = _soft_edge(_rounded(brain_mask(image, head, inside)))
        depth[i] = np.minimum(np.rint(inside), MAX_DEPTH)
    midlines = np.zeros((len(images_nhwc), 4), np.float32)
    for patient in np.unique(patient_of_slice):
        rows = np.flatnonzero(patient_of_slice == patient)
        midlines[rows] = find_midlines(images_nhwc[rows], depth[rows], masks_nhw[rows])
    return StoredMaps(brain=torch.from_numpy(brain), depth=torch.from_numpy(depth), midlines=torch.from_numpy(midlines))


def _rounded(mask_hw: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask without corners and teeth of single pixels: where its blur is above one half, in steps of 1/255."""
    rounded: NDArray[np.bool_] = ndimage.gaussian_filter(mask_hw.astype(np.float64), EDGE) >= 128 / 255
    return rounded


def _soft_edge(mask_hw: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(H, W) uint8: a mask as 0 and 255, blurred."""
    blurred = ndimage.gaussian_filter(mask_hw.astype(np.float64), EDGE, mode="constant", truncate=3 / EDGE)
    soft: NDArray[np.uint8] = np.rint(255 * blurred).astype(np.uint8)
    return soft


def _stem(entry: Path) -> Path:
    """Where a data set's maps lie, without the ending."""
    return entry.with_name(f"{entry.name}.head{FORM}")


def _whole(tensors: dict[str, Tensor], dataset: DataSet) -> bool:
    """Whether tensors that were read are maps of this data set."""
    pixels = (torch.Size(dataset.masks.shape), torch.uint8)
    lines = (torch.Size((len(dataset.masks), 4)), torch.float32)
    expected = {"brain": pixels, "depth": pixels, "midlines": lines}
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()} == expected
