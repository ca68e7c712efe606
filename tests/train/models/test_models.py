"""The three networks: shapes, gradients, capacity, determinism and what makes them fold and quantise."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from brainseg_train import models
from brainseg_train.errors import ModelError
from brainseg_train.learning.losses import segmentation_loss
from brainseg_train.models.blocks import CONTRAST_FLOOR, standardise

each_network = pytest.mark.parametrize("name", models.NAMES)


@each_network
@pytest.mark.parametrize(("height", "width"), [(16, 16), (32, 48), (128, 128), (64, 16)])
def test_logits_have_the_size_of_the_image(name: str, height: int, width: int) -> None:
    network = models.build(name, width=4).eval()
    with torch.no_grad():
        logits = network(torch.rand(2, 3, height, width))
    assert logits.shape == (2, 1, height, width)


@each_network
def test_gradients_reach_every_parameter(name: str) -> None:
    torch.manual_seed(0)
    network = models.build(name, width=4)
    network(torch.rand(2, 3, 64, 64)).square().sum().backward()
    silent = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert silent == []


@each_network
def test_overfits_four_slices(name: str) -> None:
    torch.manual_seed(0)
    images = torch.rand(4, 3, 32, 32) * 0.3
    masks = torch.zeros(4, 1, 32, 32)
    for index in range(4):
        masks[index, 0, 4 + 3 * index : 14 + 3 * index, 8 : 18 + index] = 1
    images[:, 1:2] += 0.5 * masks
    network = models.build(name, width=8)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    dice = 0.0
    for _ in range(400):
        optimiser.zero_grad()
        logits = network(images)
        segmentation_loss(logits, masks).backward()
        optimiser.step()
        predicted = (logits >= 0).float()
        dice = float(2 * (predicted * masks).sum() / (predicted.sum() + masks.sum()))
        if dice > 0.98:
            break
    assert dice > 0.98


@each_network
def test_one_seed_gives_one_network(name: str) -> None:
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([value.flatten() for value in models.build(name, width=2).parameters()])

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))


@each_network
def test_every_normalisation_follows_a_convolution_and_can_fold_into_it(name: str) -> None:
    network = models.build(name, width=2)
    pairs = [list(unit)[:2] for unit in network.modules() if isinstance(unit, models.blocks.ConvUnit)]
    assert all(isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) for conv, norm in pairs)
    assert len(pairs) == sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


@each_network
def test_no_layer_stays_in_float_or_depends_on_the_image_size(name: str) -> None:
    forbidden = (nn.ConvTranspose2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Upsample)
    assert not [layer for layer in models.build(name, width=2).modules() if isinstance(layer, forbidden)]


@each_network
def test_the_shipped_width_is_the_default(name: str) -> None:
    network = models.build(name)
    stem = next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    assert stem.out_channels == models.SHIPPED_WIDTH


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match="unet, resunet, deeplab"):
        models.build("segnet")


def test_a_width_of_nothing_is_refused() -> None:
    with pytest.raises(ModelError, match="at least 1"):
        models.build("unet", width=0)


@each_network
def test_a_scanner_s_gain_and_offset_hardly_change_the_answer(name: str) -> None:
    torch.manual_seed(0)
    network = models.build(name, width=4).eval()
    image = torch.rand(1, 3, 32, 32)
    gain, offset = torch.tensor([0.5, 0.7, 0.6]).reshape(1, 3, 1, 1), torch.tensor([0.1, 0.3, 0.0]).reshape(1, 3, 1, 1)
    with torch.inference_mode():
        plain, other = network(image), network(image * gain + offset)
    assert (plain - other).abs().max() < 0.25 * plain.std()


def test_standardised_slices_have_mean_0_and_deviation_just_below_1() -> None:
    image = torch.rand(3, 3, 16, 16, dtype=torch.float64) * torch.tensor([0.2, 0.6, 1.0]).reshape(3, 1, 1, 1)
    found = standardise(image)
    assert found.mean(dim=(2, 3)).abs().max() < 1e-12
    deviation = image.std(dim=(2, 3), correction=0)
    assert torch.allclose(found.std(dim=(2, 3), correction=0), deviation / (deviation + CONTRAST_FLOOR))


def test_a_blank_slice_is_standardised_to_zeros() -> None:
    assert torch.equal(standardise(torch.full((1, 3, 16, 16), 0.5)), torch.zeros(1, 3, 16, 16))


def test_each_network_is_a_class_that_can_be_imported() -> None:
    classes = (models.UNet, models.ResUNet, models.DeepLab)
    assert tuple(type(models.build(name, width=2)) for name in models.NAMES) == classes
    with pytest.raises(AttributeError, match="no attribute 'VNet'"):
        models.VNet  # noqa: B018 - the name is looked up
