"""Head and brain from the pixels of a patient's slices, by a classical method and without a trained model.

The head is what is brighter than the background in any sequence. The brain is found in the slice where one tissue fills
most of the head, and followed from there from slice to slice: tissue that is neither as dark as bone and air nor as
bright on T1 as fat, cut loose from the scalp by erosion, and near the brain of the slice before. The threshold of
tissue is a fraction of the volume's own median, so that the grey levels' scale does not matter.

It is an approximation, made to dim, brighten or remove the scalp in a picture, not to measure a brain. In slices that
are skull-stripped already the brain is the whole head.

Legend: N slices, H rows, W columns; the last axis of an image is pre-contrast, FLAIR, post-contrast.
Source: the erosion, selection and conditional dilation of Brummer et al., IEEE Trans Med Imaging 12:153, 1993, with
fixed fractions in the place of the histogram analysis, and slice by slice, as slices are far apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.perturbations.morphology import closed, depths, eroded, filled, grown, main_parts, smoothed

Mask = NDArray[np.bool_]

_UNIFORM: Final = 4  # grey levels between the quartiles of a frame that is background, not head
_NO_HEAD: Final = 10  # grey level that a slice with a head exceeds
_BACKGROUND: Final = 0.12  # of the slice's 99th percentile: noise and ghosts lie below it
_DIM: Final = 0.18  # of the volume's: below, there is noise alone beyond the head's end
_LARGE: Final = 1.6  # times the median head: larger, noise around it was taken for head
_LEAST_LEVEL: Final = 0.15  # of a channel's white: a T1 whose tissue is darker shows none, such as a difference of two
_LEAST_OWN: Final = 0.3  # of the volume's levels: a slice whose tissue is dimmer has none
_DARK: Final = 0.45  # of the median of deep tissue: on FLAIR bone, air and CSF lie below it
_DARK_T1: Final = 0.33  # the same on T1, where tumour and oedema are darker than tissue, but not as dark as bone
_FAT: Final = 1.8  # of the same on T1: fat lies above it, enhancing tumour on one of the two T1s alone
_LEAST_PART: Final = 0.08  # of the largest part's pixels: the other hemisphere near the vertex stays, specks go
_SOLID: Final = 0.8  # of its convex hull: above the skull's base a brain is more than that, and its bays are tumour
_SKULL: Final = 6  # steps: scalp and skull are at least that thick at the scale of 256 pixels
_LEAST_HEAD: Final = 60  # pixels; below, a slice has no head that could be taken apart


@dataclass(frozen=True, slots=True)
class HeadMasks:
    """Where head and brain are in a patient's slices.

    Attributes:
        head: (H, W) bool for each slice.
        brain: The same; a subset of the head.
    """

    head: tuple[Mask, ...]
    brain: tuple[Mask, ...]


def head_masks(images: Sequence[NDArray[np.uint8]]) -> HeadMasks:
    """Head and brain in the slices of one patient.

    Args:
        images: (H, W, 3) uint8 each, of one size, in anatomical order in either direction.

    >>> rows, columns = np.mgrid[:64, :64]
    >>> radius = np.hypot(rows - 32, columns - 32)
    >>> head = np.select([radius < 20, radius < 24, radius < 29], [90, 5, 220], 0).astype(np.uint8)
    >>> found = head_masks([np.repeat(head[..., None], 3, axis=2)])
    >>> bool(0.9 < found.brain[0].sum() / (radius < 20).sum() < 1.1)
    True
    """
    signals = _signals(images)
    whites = _whites(signals)
    heads = tuple(_head(signal, whites) for signal in signals)
    areas = [int(head.sum()) for head in heads]
    if max(areas, default=0) < _LEAST_HEAD:
        return HeadMasks(heads, heads)
    scale = np.sqrt(max(areas)) / 160  # 1 for a head that fills 256 x 256
    depth = [depths(head) for head in heads]
    levels = _levels(signals, heads, depth)
    t1s = [channel for channel in (0, 2) if levels[channel] > _LEAST_LEVEL * whites[channel]]
    if _is_stripped(signals, heads, depth, levels, scale):
        return HeadMasks(heads, heads)
    tissue = [
        _tissue(*each, levels, t1s, scale) if each[1].sum() >= _LEAST_HEAD else np.zeros_like(each[1])
        for each in zip(signals, heads, depth, strict=True)
    ]
    return HeadMasks(heads, tuple(_followed(tissue, heads, scale)))


def _signals(images: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """The images without a grey level that a channel has all around the head, such as that of a signed range."""
    if not images:
        return []
    frame = np.concatenate([part.reshape(-1, 3) for image in images for part in (image[:2], image[-2:])])
    low, middle, high = np.percentile(frame, (25, 50, 75), axis=0)
    offset = np.where(high - low <= _UNIFORM, np.floor(middle), 0).astype(np.uint8)
    return [np.maximum(image, offset) - offset for image in images]


def _whites(signals: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """(3,) 99th percentile of each channel in the middle one of the slices; at least 1."""
    if not signals:
        return np.ones(3)
    whites: NDArray[np.float64] = np.median([np.percentile(each, 99, axis=(0, 1)) for each in signals], axis=0)
    return np.maximum(whites, 1.0)


def _head(signal_hwc: NDArray[np.uint8], whites: NDArray[np.float64]) -> Mask:
    """The head in one slice, from the mean of the channels that hold anything: their noise is not in one place."""
    holding = whites > 1
    if not holding.any() or signal_hwc.max() < _NO_HEAD:
        return np.zeros(signal_hwc.shape[:2], np.bool_)
    mean = (signal_hwc[..., holding] / whites[holding]).mean(axis=2)
    bright = smoothed(mean, signal_hwc.shape[1] / 256)
    found = bright > max(_DIM, _BACKGROUND * float(np.percentile(bright, 99)))
    return main_parts(filled(closed(found, max(1, round(signal_hwc.shape[1] / 64)))))


def _levels(
    images: Sequence[NDArray[np.uint8]], heads: Sequence[Mask], depth: Sequence[NDArray[np.int32]]
) -> NDArray[np.float64]:
    """(3,) median of each sequence over tissue deep in the head, in the half of the slices with the largest heads."""
    order = sorted(range(len(images)), key=lambda at: -int(heads[at].sum()))[: (len(images) + 1) // 2]
    deep = [images[at][_deep(heads[at], depth[at])] for at in order]
    levels: NDArray[np.float64] = np.maximum(np.median(np.concatenate(deep), axis=0), 1.0)
    return levels


def _deep(head: Mask, depth: NDArray[np.int32]) -> Mask:
    """Where a head is deepest: brain, but for the face's slices."""
    deep: Mask = head & (depth > 0.45 * depth.max())
    return deep


def _tissue(
    image_hwc: NDArray[np.uint8],
    head: Mask,
    depth: NDArray[np.int32],
    levels: NDArray[np.float64],
    t1s: list[int],
    scale: float,
) -> Mask:
    """What in a head may be brain, by the volume's levels and the slice's own: the ends of a coil's field are dim.

    What is dark is dark by the lower of both, as a large bright tumour raises a slice's own.
    """
    pixels = smoothed(image_hwc, 0.7 * scale)
    own = np.clip(np.median(image_hwc[_deep(head, depth)], axis=0), _LEAST_OWN * levels, levels / _LEAST_OWN)
    found: Mask = head & (pixels[..., 1] > _DARK * min(own[1], levels[1]))
    if t1s:
        found &= (pixels[..., t1s] / np.minimum(own, levels)[t1s]).min(axis=2) > _DARK_T1
        found &= (pixels[..., t1s] / own[t1s]).min(axis=2) < _FAT
    return found


def _is_stripped(
    images: Sequence[NDArray[np.uint8]],
    heads: Sequence[Mask],
    depth: Sequence[NDArray[np.int32]],
    levels: NDArray[np.float64],
    scale: float,
) -> bool:
    """Whether there is no dark bone between the rim and the inside: the profile from the rim inwards only rises."""
    # Not the largest: where noise was taken for a head, that one is.
    large_head = sorted(range(len(heads)), key=lambda at: int(heads[at].sum()))[3 * len(heads) // 4]
    most = round(24 * scale)
    near = range(max(0, large_head - 3), min(len(heads), large_head + 4))
    rings = [[images[at][depth[at] == ring].max(axis=1) for at in near] for ring in range(1, most + 1)]
    profile = [float(np.mean(np.concatenate(ring))) if any(map(len, ring)) else 0.0 for ring in rings]
    drop = max((max(profile[:at]) - profile[at] for at in range(1, most)), default=0.0)
    return drop < 0.1 * float(levels.max())


def _followed(tissue: Sequence[Mask], heads: Sequence[Mask], scale: float) -> list[Mask]:
    """The brain in each slice, followed from the slice where it fills most of the head."""
    cut = max(1, round(2.5 * scale))
    cores = [main_parts(eroded(each, cut), 0.5) for each in tissue]
    filling = [int(core.sum()) ** 2 / max(int(head.sum()), 1) for core, head in zip(cores, heads, strict=True)]
    areas = np.array([int(head.sum()) for head in heads])
    noisy = areas > _LARGE * np.median(areas[areas > 0])
    start = int(np.argmax(np.where(noisy, 0, filling)))
    found = [np.zeros_like(head) for head in heads]
    found[start] = _restored(cores[start], tissue[start], heads[start], cut, scale)
    for step in (1, -1):
        at = start
        while 0 <= at + step < len(heads):
            reach = grown(found[at], round(6 * scale))
            at += step
            core = main_parts(eroded(tissue[at], cut) & reach, _LEAST_PART)
            if not core.any():
                break
            found[at] = _restored(core, tissue[at] & reach, heads[at], cut, scale)
    return found


def _restored(core: Mask, tissue: Mask, head: Mask, cut: int, scale: float) -> Mask:
    """A core grown back within its tissue, with ventricles, sulci and dark tumours filled."""
    again = grown(core, cut + 1) & tissue
    found = filled(closed(again, max(1, round(8 * scale)))) & eroded(head, max(1, round(2 * scale)))
    hull = _hull(found)
    if found.sum() < _SOLID * hull.sum():
        return found
    return found | (hull & eroded(head, max(1, round(_SKULL * scale))))


def _hull(mask: Mask) -> Mask:
    """The convex hull of a mask, by the half-planes of 32 directions; nothing of an empty mask."""
    if not mask.any():
        return mask
    rows, columns = np.indices(mask.shape)
    inside = np.ones_like(mask)
    for angle in np.arange(32) * (np.pi / 32):
        across = np.cos(angle) * columns + np.sin(angle) * rows
        reached = across[mask]
        inside &= (across >= reached.min()) & (across <= reached.max())
    return inside
