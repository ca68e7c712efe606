"""Every random draw of training, seeded by the run's seed and by what it is for: no state is carried between steps.

A run that is resumed at any step therefore draws what it would have drawn, with nothing to restore.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Final

import torch

SCHEME: Final = "first 63 bits of SHA-256 of 'brainseg/<seed>/<purpose>/<epoch>/<step>/<process>'"
"""How a seed is made, as the run's record states it; parts that do not apply are left out."""


def derive_seed(seed: int, purpose: str, *position: int) -> int:
    """A seed for one use at one place.

    Args:
        seed: The run's seed.
        purpose: What is drawn, such as ``order``.
        position: Epoch, step and process, as far as they apply.

    Returns:
        An integer in [0, 2^63).

    Examples:
        >>> derive_seed(0, "order", 1) == derive_seed(0, "order", 1)
        True
        >>> derive_seed(0, "order", 1) == derive_seed(0, "order", 2)
        False
    """
    text = "/".join(["brainseg", str(seed), purpose, *map(str, position)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, purpose: str, *position: int, device: torch.device | None = None) -> torch.Generator:
    """A fresh generator for one use at one place; the arguments are those of `derive_seed`."""
    return torch.Generator(device=device or "cpu").manual_seed(derive_seed(seed, purpose, *position))


@contextlib.contextmanager
def seeded(seed: int, purpose: str, *position: int) -> Iterator[None]:
    """Seed PyTorch's global generator in here, for layers that draw from it, and restore it afterwards.

    The arguments are those of `derive_seed`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, purpose, *position))
        yield
