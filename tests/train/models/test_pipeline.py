"""The pipeline's resizing against PyTorch's own on padded images, and its masks against its probabilities."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor, nn
from torch.nn import functional

from brainseg_train.models.pipeline import (
    Axis,
    InferencePipeline,
    in_square,
    preprocess,
    resize_rows,
    resize_weights,
    restore,
    row_bands,
    shrink,
)

SIZES = [(256, 256), (128, 128), (64, 64), (16, 2048), (301, 177), (1024, 640), (129, 127), (16, 17), (256, 128)]
CPU = torch.device("cpu")

sides = st.integers(16, 300)


def raw(height: int, width: int, *, count: int = 2) -> Tensor:
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=Generator().manual_seed(0))


def padded(x_nchw: Tensor) -> Tensor:
    """Zeros around an image until it is square, the odd one after it."""
    height, width = x_nchw.shape[2:]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    return functional.pad(x_nchw, (left, side - width - left, top, side - height - top))


def cropped(x_nchw: Tensor, height: int, width: int) -> Tensor:
    """The middle of a square, as `padded` puts an image there."""
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    return x_nchw[:, :, top : top + height, left : left + width]


def interpolated(x_nchw: Tensor, size: int) -> Tensor:
    """PyTorch's own antialiased resize."""
    return functional.interpolate(x_nchw, size=(size, size), mode="bilinear", antialias=True, align_corners=False)


class Brightness(nn.Module):
    """A network whose logits are known: FLAIR scaled to [-4, 4]."""

    def forward(self, image: Tensor) -> Tensor:
        return 8 * image[:, 1:2] - 4


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_preprocessing_equals_padding_and_antialiased_bilinear_resizing(height: int, width: int) -> None:
    image = raw(height, width)
    expected = interpolated(padded(image.permute(0, 3, 1, 2).double() / 255), 128)
    result = preprocess(image)
    assert result.dtype == torch.float32
    assert torch.allclose(result.double(), expected, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_shrinking_maps_equals_padding_and_antialiased_bilinear_resizing(height: int, width: int) -> None:
    maps = torch.randn(2, 1, height, width, generator=Generator().manual_seed(1))
    assert torch.allclose(shrink(maps).double(), interpolated(padded(maps.double()), 128), atol=2e-6)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_restoring_equals_antialiased_bilinear_resizing_and_cropping(height: int, width: int) -> None:
    logits = torch.randn(2, 1, 128, 128, generator=Generator().manual_seed(1))
    expected = cropped(interpolated(logits.double(), max(height, width)), height, width)
    assert torch.allclose(restore(logits, height, width).double(), expected, atol=2e-6)


@given(height=st.integers(96, 300), width=st.integers(96, 300))
def test_a_circle_stays_a_circle(height: int, width: int) -> None:
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    radius = min(height, width) / 2.5
    disc = ((y - height / 2).hypot(x - width / 2) <= radius).to(torch.uint8) * 255
    seen = preprocess(disc[None, :, :, None].repeat(1, 1, 1, 3))[0, 1] > 0.5
    spread = [int(seen.any(dim=axis).sum()) for axis in (0, 1)]
    assert abs(spread[0] - spread[1]) <= 2
    assert abs(spread[0] - 2 * radius * 128 / max(height, width)) <= 3


@given(height=sides, width=sides)
def test_an_image_lies_in_the_middle_of_its_square(height: int, width: int) -> None:
    rows, columns = in_square(height, width)
    assert rows.side == columns.side == max(height, width)
    for axis, count in ((rows, height), (columns, width)):
        assert axis.length == count
        assert 0 <= (axis.side - axis.length - axis.first) - axis.first <= 1


def test_every_row_of_weights_sums_to_one() -> None:
    for source, target in [(256, 128), (128, 256), (16, 128), (2048, 128), (128, 128)]:
        weights = resize_weights(Axis.whole(source), Axis.whole(target), CPU)
        assert weights.shape == (target, source)
        assert torch.allclose(weights.sum(dim=1), torch.ones(target), atol=1e-5)
        assert weights.min() >= 0


def axis_within(side: int, count: int) -> Axis:
    count = min(side, count)
    return Axis(side, (side - count) // 2, count)


@given(source=sides, held=sides, target=sides, wanted=sides)
def test_bands_hold_every_weight_of_the_whole_matrix(source: int, held: int, target: int, wanted: int) -> None:
    rows, made = axis_within(source, held), axis_within(target, wanted)
    index, weights = row_bands(rows, made, CPU)
    assert 0 <= index.min() <= index.max() < rows.length
    whole = torch.zeros(weights.shape[0], weights.shape[1], rows.length)
    whole.scatter_add_(2, index[:, None, :].expand_as(weights).long(), weights)
    assert torch.equal(whole.reshape(-1, rows.length)[: made.length], resize_weights(rows, made, CPU))


@given(source=st.integers(16, 2048), target=st.integers(16, 2048))
def test_bands_of_a_square_hold_every_weight_once(source: int, target: int) -> None:
    index, weights = row_bands(Axis.whole(source), Axis.whole(target), CPU)
    assert 0 <= index.min() <= index.max() < source
    assert (index.diff(dim=1) == 1).all()
    whole = torch.zeros(weights.shape[0], weights.shape[1], source)
    whole.scatter_(2, index[:, None, :].expand_as(weights).long(), weights)
    assert torch.equal(whole.reshape(-1, source)[:target], resize_weights(Axis.whole(source), Axis.whole(target), CPU))


@given(source=sides, held=sides, target=sides, wanted=sides)
def test_rows_in_bands_are_the_whole_product(source: int, held: int, target: int, wanted: int) -> None:
    axis, made = axis_within(source, held), axis_within(target, wanted)
    rows = torch.randint(0, 256, (2, axis.length, 5), dtype=torch.uint8, generator=Generator().manual_seed(source))
    expected = resize_weights(axis, made, CPU).double() @ (rows.double() / 255)
    assert torch.allclose(resize_rows(rows, axis, made, unit=255.0).double(), expected, atol=1e-6)


def test_a_size_that_fits_is_left_as_it_is() -> None:
    image = raw(128, 128)
    assert torch.allclose(preprocess(image), image.permute(0, 3, 1, 2) / 255, atol=1e-7)


@pytest.mark.parametrize(("height", "width"), [(256, 256), (33, 190)])
def test_results_have_the_size_and_types_of_the_contract(height: int, width: int) -> None:
    mask, probability = InferencePipeline(Brightness())(raw(height, width, count=3))
    assert mask.shape == probability.shape == (3, height, width)
    assert mask.dtype == torch.uint8
    assert probability.dtype == torch.float32
    assert 0 <= probability.min() <= probability.max() <= 1


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_the_mask_is_the_probability_at_the_threshold(threshold: float) -> None:
    mask, probability = InferencePipeline(Brightness(), threshold=threshold)(raw(128, 128))
    assert torch.equal(mask.bool(), probability >= threshold)
    assert 0 < mask.float().mean() < 1


def test_a_temperature_softens_the_probability_and_keeps_the_half() -> None:
    image = raw(128, 128)
    plain, plain_probability = InferencePipeline(Brightness())(image)
    soft, soft_probability = InferencePipeline(Brightness(), temperature=2.0)(image)
    assert torch.equal(plain, soft)
    assert ((soft_probability - 0.5).abs() <= (plain_probability - 0.5).abs() + 1e-7).all()
    assert torch.allclose(soft_probability.logit() * 2, plain_probability.logit(), atol=1e-3)


def test_a_slice_gives_the_same_whatever_stands_beside_it_in_the_batch() -> None:
    torch.manual_seed(0)
    pipeline = InferencePipeline(Brightness())
    image = raw(200, 180, count=5)
    together = pipeline(image)[1]
    alone = torch.cat([pipeline(image[index : index + 1])[1] for index in range(5)])
    assert torch.allclose(together, alone, atol=1e-6)


@given(height=sides, width=sides)
def test_an_image_gives_what_it_gives_with_zeros_around_it(height: int, width: int) -> None:
    image = raw(height, width, count=1)
    square = padded(image.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).contiguous()
    probability = InferencePipeline(Brightness())(image)[1]
    expected = cropped(InferencePipeline(Brightness())(square)[1][:, None], height, width)[:, 0]
    assert torch.allclose(probability, expected, atol=1e-6)
