"""Surface distances against MONAI, medpy and SciPy; lesions against a reckoning of BraTS's rules; made and real masks.

MONAI and medpy take volumes whole; here they get the very masks, and the runtime a patient slice by slice.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from medpy.metric import binary as medpy
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.surface_dice import compute_surface_dice
from monai.metrics.surface_distance import compute_average_surface_distance
from numpy.typing import NDArray
from scipy import ndimage

from brainseg_runtime.images import read_mask, scan_dataset
from brainseg_runtime.metrics import lesion_counts, surface_distances
from brainseg_runtime.metrics.components import components, dilated
from brainseg_runtime.metrics.volume import VolumeMasks, VolumePair

Masks = tuple[NDArray[np.bool_], NDArray[np.bool_]]  # prediction and truth, (Z, Y, X)

CORNERS = ndimage.generate_binary_structure(3, 3)
EDGES = ndimage.generate_binary_structure(3, 2)
SPACING_XYZ = (0.94, 0.9, 5.5)


def made(seed: int, shape: tuple[int, int, int] = (14, 60, 70)) -> Masks:
    """Blobs of varied size, some at the volume's border, and a disturbed copy."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=shape), (1, 5, 5))
    noise = ndimage.gaussian_filter(rng.normal(size=shape), (1, 3, 3))
    noise *= 0.4 * field.std() / noise.std()
    level = np.quantile(field, 0.93)
    return field + noise > level, field > level


def real(number: int) -> Masks:
    """A patient's true mask, and the same moved and worn away at the border."""
    folder = os.environ.get("BRAINSEG_DATA")
    if not folder:
        pytest.skip("BRAINSEG_DATA names no folder of real patients")
    patients = scan_dataset(Path(folder))
    patient = patients[number % len(patients)]
    truth = np.stack([read_mask(paths.mask) for paths in patient.slices if paths.mask is not None]) > 0
    return np.roll(ndimage.binary_opening(truth, CORNERS), (1, 2), axis=(1, 2)), truth


def streamed(masks: Masks, spacing_mm: tuple[float, float, float] | None = None) -> VolumePair:
    gathered = VolumeMasks()
    for number, (prediction, truth) in enumerate(zip(*masks, strict=True), 1):
        gathered.add(number, prediction, truth)
    return gathered.pair(spacing_mm, 1.5)


@pytest.fixture(params=[*range(5), *(pytest.param(f"real {n}", marks=pytest.mark.real) for n in range(3))])
def masks(request: pytest.FixtureRequest) -> Masks:
    return made(request.param) if isinstance(request.param, int) else real(int(request.param.split()[1]))


def batched(mask: NDArray[np.bool_]) -> torch.Tensor:
    return torch.from_numpy(mask.astype(np.float32))[None, None]


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI's, of its own call
@pytest.mark.parametrize("spacing_xyz", [None, SPACING_XYZ])
def test_hd95_assd_and_surface_dice_are_monais(masks: Masks, spacing_xyz: tuple[float, float, float] | None) -> None:
    pair = streamed(masks, spacing_xyz)
    found = pair.surface_px if spacing_xyz is None else pair.surface_mm
    one, other = map(batched, masks)
    spacing = None if spacing_xyz is None else spacing_xyz[::-1]
    expected = compute_hausdorff_distance(one, other, include_background=True, percentile=95, spacing=spacing)
    assert found.hd95() == pytest.approx(expected.item(), rel=1e-6)
    expected = compute_average_surface_distance(one, other, include_background=True, symmetric=True, spacing=spacing)
    assert found.assd() == pytest.approx(expected.item(), rel=1e-6)
    expected = compute_surface_dice(one, other, class_thresholds=[1.5], include_background=True, spacing=spacing)
    assert found.nsd(1.5) == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("spacing_xyz", [None, SPACING_XYZ])
def test_distances_are_medpys(masks: Masks, spacing_xyz: tuple[float, float, float] | None) -> None:
    """In medpy HD95 is one percentile of both directions together."""
    pair = streamed(masks, spacing_xyz)
    found = pair.surface_px if spacing_xyz is None else pair.surface_mm
    spacing = None if spacing_xyz is None else spacing_xyz[::-1]
    assert found.assd() == pytest.approx(medpy.assd(*masks, voxelspacing=spacing), rel=1e-12)
    assert found.to_truth.mean() == pytest.approx(medpy.asd(*masks, voxelspacing=spacing), rel=1e-12)
    together = np.concatenate([found.to_truth, found.to_prediction])
    assert together.max() == pytest.approx(medpy.hd(*masks, voxelspacing=spacing), rel=1e-12)
    assert np.percentile(together, 95) == pytest.approx(medpy.hd95(*masks, voxelspacing=spacing), rel=1e-12)
    assert found.hd95() >= np.percentile(together, 95) - 1e-9


def test_distances_are_those_of_scipys_distance_transform(masks: Masks) -> None:
    prediction, truth = masks
    spacing = SPACING_XYZ[::-1]
    found = surface_distances(prediction, truth, spacing=spacing)
    edges = [mask & ~ndimage.binary_erosion(mask) for mask in masks]
    to_truth = ndimage.distance_transform_edt(~edges[1], sampling=spacing)[edges[0]]
    to_prediction = ndimage.distance_transform_edt(~edges[0], sampling=spacing)[edges[1]]
    np.testing.assert_allclose(found.to_truth, to_truth, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.to_prediction, to_prediction, rtol=1e-12, atol=1e-12)


def test_components_and_dilation_are_scipys(masks: Masks) -> None:
    for mask in masks:
        labels, n = components(mask)
        expected, expected_n = ndimage.label(mask, CORNERS)
        assert n == expected_n
        assert np.array_equal(labels, expected)
        assert np.array_equal(dilated(mask, 3), ndimage.binary_dilation(mask, EDGES, iterations=3))


def by_the_rules(masks: Masks, voxel_mm3: float) -> tuple[int, int, int, int, float]:
    """Lesions one at a time, as the challenge's rules tell them, with SciPy."""
    prediction, truth = masks
    grown, n_grown = ndimage.label(ndimage.binary_dilation(truth, EDGES, iterations=3), CORNERS)
    parts, n_parts = ndimage.label(prediction, CORNERS)
    found = missed = small = 0
    total, claimed = 0.0, set()
    for number in range(1, n_grown + 1):
        lesion = truth & (grown == number)
        reach = ndimage.binary_dilation(lesion, EDGES, iterations=3)
        touching = set(np.unique(parts[reach])) - {0}
        claimed |= touching
        if lesion.sum() * voxel_mm3 <= 50:
            small += 1
            continue
        predicted = np.isin(parts, list(touching))
        total += 2 * np.sum(predicted & lesion) / (np.sum(predicted) + np.sum(lesion))
        found, missed = found + bool(touching), missed + (not touching)
    return found, missed, n_parts - len(claimed), small, total


@pytest.mark.parametrize("spacing_xyz", [None, SPACING_XYZ])
def test_lesions_are_those_of_the_challenges_rules(
    masks: Masks, spacing_xyz: tuple[float, float, float] | None
) -> None:
    volume = 1.0 if spacing_xyz is None else float(np.prod(spacing_xyz))
    *counts, total = by_the_rules(masks, volume)
    for made_by in (streamed(masks, spacing_xyz).lesions, lesion_counts(*masks, voxel_volume=volume)):
        assert [made_by.found, made_by.missed, made_by.false, made_by.small] == counts
        assert made_by.dice_sum == pytest.approx(total)
    found, missed, false, _ = counts
    assert made_by.dice() == pytest.approx(total / max(found + missed + false, 1))
    assert made_by.f1() == pytest.approx(2 * found / max(2 * found + missed + false, 1))
