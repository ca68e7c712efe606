"""Random draws on the generator's own device, which every augmentation takes its numbers from.

The generator is handed in and nothing else is drawn from; no draw moves a number between device and processor, so that
a whole step can be recorded as a CUDA graph.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def uniform(shape: tuple[int, ...], generator: Generator, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Uniform draws in [low, high), float32.

    Args:
        shape: Of the result.
        generator: Source of the draws; the result lies on its device.
        low: Least value.
        high: Upper end.

    Examples:
        >>> uniform((2, 1), torch.Generator().manual_seed(0), -1.0, 1.0).shape
        torch.Size([2, 1])
    """
    drawn = torch.rand(shape, generator=generator, device=generator.device)
    return drawn if (low, high) == (0.0, 1.0) else low + (high - low) * drawn


def symmetric(shape: tuple[int, ...], limit: float, generator: Generator) -> Tensor:
    """Uniform draws in [-limit, limit), float32."""
    return (2 * uniform(shape, generator) - 1) * limit


def normal(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Draws of mean 0 and deviation 1, float32."""
    return torch.randn(shape, generator=generator, device=generator.device)


def chosen(count: int, chance: float, generator: Generator) -> Tensor:
    """(count, 1, 1, 1) bool, true with the given chance, one draw for each slice."""
    return uniform((count, 1, 1, 1), generator) < chance
