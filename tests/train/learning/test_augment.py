"""Each transform against a case whose answer is known."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Generator, Tensor

from brainseg_train.config import AugmentConfig
from brainseg_train.learning.augment import (
    affine_matrices,
    augment,
    change_intensity,
    drop_sequences,
    move,
    paste_squares,
    swap_t1,
)
from brainseg_train.learning.head_maps import HeadMaps

OFF = AugmentConfig(missing_sequence=0.0, flip=0.0, paste=0.0).scaled(0.0)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def batch(count: int = 4, side: int = 32) -> tuple[Tensor, Tensor]:
    images = torch.rand(count, 3, side, side, generator=seeded(9))
    masks = torch.zeros(count, 1, side, side)
    masks[:, :, 8:20, 10:18] = 1
    return images, masks


def only(**ranges: float) -> AugmentConfig:
    return dataclasses.replace(OFF, **ranges)


def test_everything_off_changes_nothing() -> None:
    images, masks = batch()
    moved, moved_masks = augment(images, masks, OFF, seeded())
    assert torch.allclose(moved, images, atol=2e-6)
    assert torch.equal(moved_masks, masks)


def test_a_certain_flip_mirrors_left_and_right() -> None:
    images, masks = batch()
    moved, moved_masks = move(images, masks, only(flip=1.0), seeded())
    assert torch.allclose(moved, images.flip(3), atol=2e-6)
    assert torch.equal(moved_masks, masks.flip(3))


def test_rotation_stays_in_its_range_and_keeps_area() -> None:
    matrices = affine_matrices(500, only(rotation=20.0), seeded())[:, :, :2]
    angles = torch.atan2(matrices[:, 1, 0], matrices[:, 0, 0]).rad2deg()
    assert angles.abs().max() <= 20.0001
    assert angles.abs().max() > 15
    assert torch.allclose(torch.linalg.det(matrices), torch.ones(500), atol=1e-5)


def test_scale_changes_the_mask_area_by_its_square() -> None:
    images, masks = batch(64, 64)
    _, moved = move(images, masks, only(scale=0.2), seeded())
    ratio = moved.sum(dim=(1, 2, 3)) / masks.sum(dim=(1, 2, 3))
    assert ratio.max() < 1.2214**2 * 1.15
    assert ratio.min() > 0.8187**2 * 0.85
    assert ratio.max() / ratio.min() > 1.5


def test_a_shift_moves_the_centre_by_at_most_its_share() -> None:
    images, masks = batch(64, 64)
    _, moved = move(images, masks, only(translation=0.1), seeded())
    rows = torch.arange(64, dtype=torch.float32)[:, None]
    before = (masks[:, 0] * rows).sum((1, 2)) / masks.sum((1, 2, 3))
    after = (moved[:, 0] * rows).sum((1, 2)) / moved.sum((1, 2, 3))
    assert (after - before).abs().max() <= 6.4 + 0.5
    assert (after - before).abs().max() > 4


def test_masks_stay_binary_under_every_motion() -> None:
    images, masks = batch(16)
    _, moved = augment(images, masks, AugmentConfig(), seeded())
    assert set(moved.unique().tolist()) == {0.0, 1.0}


def test_elastic_motion_is_one_for_image_and_mask() -> None:
    _, masks = batch(8, 64)
    moved, moved_masks = move(masks.repeat(1, 3, 1, 1), masks, only(elastic=0.03), seeded())
    assert not torch.equal(moved_masks, masks)
    assert torch.equal((moved[:, :1] >= 0.5).float(), moved_masks)


def test_gamma_keeps_black_and_white_and_the_order_between() -> None:
    ramp = torch.linspace(0, 1, 64).reshape(1, 1, 8, 8).repeat(4, 3, 1, 1)
    changed = change_intensity(ramp, only(gamma=0.5), seeded()).flatten(2)
    assert (changed[..., 0] < 1e-3).all()
    assert torch.allclose(changed[..., -1], torch.ones(()))
    assert (changed.diff(dim=2) >= 0).all()
    assert not torch.allclose(changed[:, 0], changed[:, 1])


def test_contrast_keeps_the_channel_mean() -> None:
    images = 0.4 + 0.2 * torch.rand(4, 3, 16, 16, generator=seeded())
    changed = change_intensity(images, only(contrast=0.3), seeded())
    assert torch.allclose(changed.mean(dim=(2, 3)), images.mean(dim=(2, 3)), atol=1e-5)
    assert not torch.allclose(changed, images, atol=1e-3)


def test_brightness_shifts_all_pixels_alike() -> None:
    images = torch.full((4, 3, 8, 8), 0.5)
    shift = change_intensity(images, only(brightness=0.1), seeded()) - images
    assert shift.abs().max() <= 0.1 + 1e-6
    assert torch.allclose(shift, shift[..., :1, :1].expand_as(shift), atol=1e-6)


def test_a_bias_field_is_smooth_and_the_same_for_all_channels() -> None:
    images = torch.full((4, 3, 64, 64), 0.5)
    changed = change_intensity(images, only(bias_field=0.2), seeded())
    assert torch.allclose(changed[:, 0], changed[:, 2])
    # Six nodes over 64 pixels: neighbours may differ by about a tenth of the distance between two nodes.
    assert changed.diff(dim=3).abs().max() < 0.15 * (changed.max() - changed.min())
    assert changed.std() > 0.02


def test_noise_has_at_most_its_deviation() -> None:
    images = torch.full((32, 3, 64, 64), 0.5)
    deviation = change_intensity(images, only(noise=0.05), seeded()).std(dim=(1, 2, 3))
    assert deviation.max() < 0.052
    assert deviation.min() < 0.02


def test_a_missing_sequence_is_overwritten_by_flair_and_flair_never_changes() -> None:
    images, _ = batch(400, 4)
    changed = drop_sequences(images, only(missing_sequence=0.3), seeded())
    assert torch.equal(changed[:, 1], images[:, 1])
    for channel in (0, 2):
        replaced = (changed[:, channel] == images[:, 1]).flatten(1).all(dim=1)
        kept = (changed[:, channel] == images[:, channel]).flatten(1).all(dim=1)
        assert (replaced ^ kept).all()
        assert replaced.float().mean().item() == pytest.approx(0.3, abs=0.07)


def test_a_pasted_square_comes_whole_from_another_slice_of_the_batch_with_its_mask() -> None:
    values = torch.arange(1, 65, dtype=torch.float32) / 64
    images = values.reshape(64, 1, 1, 1).expand(64, 3, 40, 40)
    masks = (values > 0.5).float().reshape(64, 1, 1, 1).expand(64, 1, 40, 40)
    pasted, pasted_masks = paste_squares(images, masks, only(paste=0.5), seeded())
    assert torch.equal(pasted_masks[:, 0], (pasted[:, 0] > 0.5).float()), "image and mask come from the same slice"
    touched = 0
    for index, slice_ in enumerate(pasted[:, 1]):
        foreign = slice_ != values[index]
        assert len(slice_[foreign].unique()) <= 1, "one square, of one slice"
        rows, columns = foreign.any(dim=1), foreign.any(dim=0)
        assert foreign.sum() == rows.sum() * columns.sum(), "a rectangle"
        assert max(int(rows.sum()), int(columns.sum())) <= 28, "at most 70 % of a side"
        touched += bool(foreign.any())
    assert touched == pytest.approx(32, abs=12)


def test_the_generator_alone_decides() -> None:
    images, masks = batch()
    torch.manual_seed(1)
    first = augment(images, masks, AugmentConfig(), seeded(5))
    torch.manual_seed(2)
    second = augment(images, masks, AugmentConfig(), seeded(5))
    other = augment(images, masks, AugmentConfig(), seeded(6))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], other[0])


def test_inputs_are_left_alone_and_results_stay_in_range() -> None:
    images, masks = batch()
    copies = images.clone(), masks.clone()
    changed, _ = augment(images, masks, AugmentConfig().scaled(2.0), seeded())
    assert torch.equal(images, copies[0])
    assert torch.equal(masks, copies[1])
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_a_head_is_made_smaller_with_its_mask_down_to_the_least_size() -> None:
    images, masks = torch.ones(200, 3, 64, 64), torch.zeros(200, 1, 64, 64)
    masks[:, :, 16:48, 16:48] = 1
    moved, moved_masks = move(images, masks, only(zoom_out=0.5, zoom_least=0.4), seeded())
    sides = (moved[:, 0, 32] > 0.5).sum(dim=1)
    assert (sides == 64).float().mean().item() == pytest.approx(0.5, abs=0.12)
    assert 0.4 * 64 - 1.5 <= sides.min() < 0.45 * 64
    assert (moved_masks[:, 0, 32].sum(dim=1) - sides / 2).abs().max() <= 2


def test_fine_detail_is_averaged_and_not_skipped_where_a_head_is_much_smaller() -> None:
    images = torch.ones(60, 3, 64, 64)
    images[:, 1] = 0
    images[:, 1, :, ::3] = 1
    small, _ = move(images, images[:, :1], only(zoom_out=1.0, zoom_least=0.4), seeded())
    sizes = (small[:, 0, 32] > 0.5).sum(dim=1) / 64
    middle = small[:, 1, 30:34, 28:36]
    assert (middle[sizes < 0.66] - 1 / 3).abs().max() < 0.02
    assert (middle[sizes > 0.75] - 1 / 3).abs().max() > 0.3


def test_t1s_are_swapped_with_their_chance_and_flair_stays() -> None:
    images, _ = batch(400, 4)
    changed = swap_t1(images, only(swap=0.2), seeded())
    assert torch.equal(changed[:, 1], images[:, 1])
    swapped = (changed[:, 0] == images[:, 2]).flatten(1).all(dim=1)
    assert torch.equal(changed[swapped], images[swapped].flip(1))
    assert torch.equal(changed[~swapped], images[~swapped])
    assert swapped.float().mean().item() == pytest.approx(0.2, abs=0.06)


def test_a_missing_sequence_is_zeros_with_its_chance() -> None:
    images, _ = batch(600, 4)
    changed = drop_sequences(images, only(missing_sequence=1.0, missing_zero=0.25), seeded())
    assert torch.equal(changed[:, 1], images[:, 1])
    zeros = (changed[:, 0] == 0).flatten(1).all(dim=1)
    assert zeros.float().mean().item() == pytest.approx(0.25, abs=0.06)
    assert (changed[zeros][:, 2] == 0).all(), "both sequences of a slice are replaced alike"
    assert torch.equal(changed[~zeros][:, 0], images[~zeros][:, 1])


def test_with_maps_the_scalp_changes_and_healthy_slices_lose_their_mask() -> None:
    images, masks = batch(8)
    maps = HeadMaps(torch.zeros(8, 1, 32, 32), torch.full((8, 1, 32, 32), 2.0), torch.tensor([[1.0, 0, 0, 1]] * 8))
    settings = only(scalp=1.0)
    assert torch.allclose(augment(images, masks, settings, seeded())[0], images, atol=2e-6)
    assert not torch.allclose(augment(images, masks, settings, seeded(), maps)[0], images, atol=0.1)
    assert augment(images, masks, only(healthy=1.0), seeded(), maps)[1].sum() == 0
