"""Device and arithmetic are what was asked for, or an error."""

from __future__ import annotations

import pytest
import torch

from brainseg_train.config import TrainConfig
from brainseg_train.errors import DeviceError
from brainseg_train.learning.device import NARROW, computes_bf16, computing_with, place
from brainseg_train.models import NAMES, build

ABLE = computes_bf16(torch.device("cpu"))


def test_auto_takes_bf16_exactly_where_the_processor_computes_in_it() -> None:
    assert place(TrainConfig(device="cpu")).precision == ("bf16" if ABLE else "fp32")


def test_fp32_is_had_when_asked_for() -> None:
    placement = place(TrainConfig(device="cpu", precision="fp32"))
    assert placement.precision == "fp32"
    with placement.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.skipif(not ABLE, reason="this processor has no bf16 instructions")
def test_bf16_computes_layers_in_bf16() -> None:
    with place(TrainConfig(device="cpu", precision="bf16")).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


@pytest.mark.skipif(ABLE, reason="this processor has bf16 instructions")
def test_bf16_that_would_be_emulated_is_refused() -> None:
    with pytest.raises(DeviceError, match="bf16"):
        place(TrainConfig(device="cpu", precision="bf16"))


@pytest.mark.parametrize("device", ["abacus", "cuda:99", "meta:x", "meta", "cpu:1x", "xla", "cuda:-1", ""])
def test_a_device_that_is_not_there_is_refused_by_name(device: str) -> None:
    with pytest.raises(DeviceError, match=f"device {device}"):
        place(TrainConfig(device=device))


def test_the_layout_is_the_one_asked_for() -> None:
    assert place(TrainConfig(device="cpu")).memory_format is torch.channels_last
    assert place(TrainConfig(device="cpu", channels_last=False)).memory_format is torch.contiguous_format


@pytest.mark.parametrize("width", [4, NARROW])
@pytest.mark.parametrize("name", NAMES)
def test_fp32_gradients_are_right_in_the_layout_that_is_chosen(name: str, width: int) -> None:
    placement = place(TrainConfig(device="cpu", precision="fp32", width=width))
    torch.manual_seed(0)
    exact = build(name, width=width).double()
    network = build(name, width=width).to(memory_format=placement.memory_format)  # type: ignore[call-overload]
    network.load_state_dict(exact.state_dict())
    image = torch.rand(4, 3, 64, 64)
    # With more threads, sums in another order turn a ReLU here and there, which moves right gradients by up to 0.016.
    with computing_with(1):
        exact(image.double()).square().mean().backward()
        network(image.contiguous(memory_format=placement.memory_format)).square().mean().backward()
    for (key, wanted), found in zip(exact.named_parameters(), network.parameters(), strict=True):
        assert wanted.grad is not None
        assert found.grad is not None
        difference = (found.grad.double() - wanted.grad).norm() / wanted.grad.norm()
        assert difference < 1e-2, key  # of wrong gradients it is about 1; of right ones, below batch norm, up to 1e-4


def test_narrow_networks_keep_the_plain_layout_in_fp32() -> None:
    narrow = TrainConfig(device="cpu", precision="fp32", width=NARROW - 1)
    assert place(narrow).channels_last is False


def test_the_number_of_threads_is_put_back() -> None:
    before = torch.get_num_threads()
    with computing_with(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
