"""The registry of networks: `build` makes one by name."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from torch import nn

from brainseg_train.errors import ModelError
from brainseg_train.models.deeplab import DeepLab
from brainseg_train.models.resunet import ResUNet
from brainseg_train.models.unet import UNet

__all__ = ["NAMES", "SHIPPED_WIDTH", "DeepLab", "ResUNet", "UNet", "build"]

SHIPPED_WIDTH: Final = 32
"""Channels at half resolution in the bundles that ship; fills the vector units of AVX-512 and AMX."""

_NETWORKS: Final = MappingProxyType[str, Callable[[int], nn.Module]](
    {"unet": UNet, "resunet": ResUNet, "deeplab": DeepLab}
)

NAMES: Final = tuple(_NETWORKS)
"""The networks' names, in the order in which they are trained."""


def build(name: str, *, width: int = SHIPPED_WIDTH) -> nn.Module:
    """A network with fresh weights drawn from PyTorch's global generator.

    Args:
        name: One of `NAMES`.
        width: Channels at half the input's resolution, at least 1; deeper levels have multiples of it.

    Returns:
        A module from (N, 3, H, W) float in [0, 1], H and W divisible by 16, to (N, 1, H, W) logits.

    Raises:
        ModelError: No network has that name, or the width is below 1.
    """
    if name not in _NETWORKS:
        raise ModelError("no network of that name", expected=f"one of {', '.join(NAMES)}", got=repr(name))
    if width < 1:
        raise ModelError("a network's width is too small", expected="at least 1", got=str(width))
    return _NETWORKS[name](width)
