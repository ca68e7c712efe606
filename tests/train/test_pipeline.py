"""The pipeline's resizing against PyTorch's own, and its masks against its probabilities."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor, nn
from torch.nn import functional

from brainseg_train.pipeline import InferencePipeline, preprocess, resize, resize_rows, resize_weights, row_bands

SIZES = [(256, 256), (128, 128), (64, 64), (16, 2048), (301, 177), (1024, 640), (129, 127)]


def raw(height: int, width: int, *, count: int = 2) -> Tensor:
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=Generator().manual_seed(0))


class Brightness(nn.Module):
    """A network whose logits are known: FLAIR scaled to [-4, 4]."""

    def forward(self, image: Tensor) -> Tensor:
        return 8 * image[:, 1:2] - 4


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_preprocessing_equals_antialiased_bilinear_resizing(height: int, width: int) -> None:
    image = raw(height, width)
    expected = functional.interpolate(
        image.permute(0, 3, 1, 2).double() / 255, size=(128, 128), mode="bilinear", antialias=True, align_corners=False
    )
    result = preprocess(image)
    assert result.dtype == torch.float32
    assert torch.allclose(result.double(), expected, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_resizing_back_equals_antialiased_bilinear_resizing(height: int, width: int) -> None:
    logits = torch.randn(2, 1, 128, 128, generator=Generator().manual_seed(1))
    expected = functional.interpolate(
        logits.double(), size=(height, width), mode="bilinear", antialias=True, align_corners=False
    )
    assert torch.allclose(resize(logits, height, width).double(), expected, atol=2e-6)


def test_every_row_of_weights_sums_to_one() -> None:
    for source, target in [(256, 128), (128, 256), (16, 128), (2048, 128), (128, 128)]:
        weights = resize_weights(source, target, torch.device("cpu"))
        assert weights.shape == (target, source)
        assert torch.allclose(weights.sum(dim=1), torch.ones(target), atol=1e-5)
        assert weights.min() >= 0


@given(source=st.integers(16, 2048), target=st.integers(16, 2048))
def test_bands_hold_every_weight_of_the_whole_matrix(source: int, target: int) -> None:
    index, weights = row_bands(source, target, torch.device("cpu"))
    assert 0 <= index.min() <= index.max() < source
    whole = torch.zeros(weights.shape[0], weights.shape[1], source)
    whole.scatter_(2, index[:, None, :].expand_as(weights).long(), weights)
    expected = resize_weights(source, target, torch.device("cpu"))
    assert torch.equal(whole.reshape(-1, source)[:target], expected)


@given(source=st.integers(16, 300), target=st.integers(16, 300))
def test_rows_in_bands_are_the_whole_product(source: int, target: int) -> None:
    rows = torch.randint(0, 256, (2, source, 5), dtype=torch.uint8, generator=Generator().manual_seed(source))
    expected = resize_weights(source, target, torch.device("cpu")).double() @ (rows.double() / 255)
    assert torch.allclose(resize_rows(rows, target, unit=255.0).double(), expected, atol=1e-6)


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
