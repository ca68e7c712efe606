"""A contact sheet of a set's head maps, to be judged by eye: slices of many patients with outlines of head and brain.

Each picture is FLAIR with the head outlined in green, the brain in orange and the midline in blue, and beside it the
slice with the tumour's half replaced by the other half's mirror image, where that is possible.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from brainseg_train.learning.healthy import replace_half

if TYPE_CHECKING:
    from brainseg_train.data.dataset import DataSet
    from brainseg_train.data.head_maps import StoredMaps

COLUMNS = 5
GREEN, ORANGE, BLUE = (0, 200, 0), (255, 120, 0), (60, 140, 255)


def sheet(dataset: DataSet, maps: StoredMaps, *, count: int = 60, seed: int = 0) -> bytes:
    """A PNG of some slices drawn at random, a multiple of `COLUMNS`."""
    from PIL import Image

    rows = np.random.default_rng(seed).choice(len(dataset.slices), min(count, len(dataset.slices)), replace=False)
    pictures = [picture(dataset.images[i], maps, int(i)) for i in rows]
    while len(pictures) % COLUMNS:
        pictures.append(np.zeros_like(pictures[0]))
    lines = [np.concatenate(pictures[k : k + COLUMNS], axis=1) for k in range(0, len(pictures), COLUMNS)]
    content = io.BytesIO()
    Image.fromarray(np.concatenate(lines, axis=0)).save(content, "PNG")
    return content.getvalue()


def picture(image_hwc: NDArray[np.uint8], maps: StoredMaps, index: int) -> NDArray[np.uint8]:
    """(H, 2 W, 3): a slice with its maps drawn in, and its healthy form, black where there is none."""
    height, width = image_hwc.shape[:2]
    drawn = np.repeat(image_hwc[..., 1:2], 3, axis=2)
    for mask, colour in ((maps.depth[index].numpy() > 0, GREEN), (maps.brain[index].numpy() > 127, ORANGE)):
        drawn[mask & ~ndimage.binary_erosion(mask)] = colour
    cosine, sine, offset, side = maps.midlines[index].tolist()
    y, x = np.mgrid[:height, :width]
    across = cosine * ((2 * x + 1) / width - 1) + sine * ((2 * y + 1) / height - 1) - offset
    drawn[np.abs(across) < 1 / width] = BLUE
    healthy = np.zeros_like(drawn)
    if side:
        whole = torch.from_numpy(np.array(image_hwc)).permute(2, 0, 1)[None].float()
        half = replace_half(whole, maps.midlines[index : index + 1])[0, 1].round().clamp(0, 255).byte().numpy()
        healthy = np.repeat(half[..., None], 3, axis=2)
    both: NDArray[np.uint8] = np.concatenate([drawn, healthy], axis=1)
    return both
