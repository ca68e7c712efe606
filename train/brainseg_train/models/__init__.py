"""The networks, one a file (`unet`, `resunet`, `deeplab`), and what they share.

`blocks` holds their layers, `pipeline` goes from raw pixels to a mask around them. `blocks` and the networks `unet`,
`resunet` and `deeplab` are tested together by `test_models`; `test_made_up_network` shows that nothing else knows them.

To add a network, write its class in a file of its own here, and name it above and in `_NETWORKS` below. Commands,
presets, comparison, model card and tests take the list from here. PyTorch is loaded by `build`, not by this module, so
that a command can name the networks in its help at once.
"""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from brainseg_train.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NAMES", "SHIPPED_WIDTH", "build", "describe"]

SHIPPED_WIDTH: Final = 32
"""Channels at half resolution in the bundles that ship; fills the vector units of AVX-512 and AMX."""


class _Network(NamedTuple):
    """Where a network's class is, and what it is called in a model card."""

    place: str
    """Module in this folder, and class."""
    description: str


_NETWORKS: Final = MappingProxyType(
    {
        "unet": _Network("unet.UNet", "UNet (Ronneberger et al., 2015)"),
        "resunet": _Network("resunet.ResUNet", "ResUNet, residual units (Zhang et al., 2018)"),
        "deeplab": _Network(
            "deeplab.DeepLab", "simplified DeepLab, atrous spatial pyramid (Chen et al., 2017 and 2018)"
        ),
    }
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

    Examples:
        >>> import torch
        >>> network = build("unet", width=2)
        >>> network(torch.zeros(1, 3, 32, 48)).shape
        torch.Size([1, 1, 32, 48])
    """
    module, _, kind = _found(name).place.partition(".")
    if width < 1:
        raise ModelError("a network's width is too small", expected="at least 1", got=str(width))
    network: nn.Module = getattr(importlib.import_module(f"{__name__}.{module}"), kind)(width)
    return network


def describe(name: str) -> str:
    """A network and its paper in one line, as a model card names it.

    Args:
        name: One of `NAMES`.

    Raises:
        ModelError: No network has that name.

    Examples:
        >>> describe("unet")
        'UNet (Ronneberger et al., 2015)'
    """
    return _found(name).description


def __getattr__(name: str) -> type[nn.Module]:
    """A network's class by its own name, such as `UNet`."""
    for network in _NETWORKS.values():
        module, _, kind = network.place.partition(".")
        if kind == name:
            found: type[nn.Module] = getattr(importlib.import_module(f"{__name__}.{module}"), kind)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _found(name: str) -> _Network:
    """The entry of a name."""
    if name not in _NETWORKS:
        raise ModelError("no network has that name", expected=f"one of {', '.join(NAMES)}", got=repr(name))
    return _NETWORKS[name]
