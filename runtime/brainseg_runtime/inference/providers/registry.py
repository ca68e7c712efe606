"""All execution providers, by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from brainseg_runtime.errors import ProviderError
from brainseg_runtime.inference.providers.coreml import COREML
from brainseg_runtime.inference.providers.cpu import CPU
from brainseg_runtime.inference.providers.cuda import CUDA
from brainseg_runtime.inference.providers.directml import DIRECTML
from brainseg_runtime.inference.providers.openvino import OPENVINO
from brainseg_runtime.inference.providers.provider import Provider, ProviderStatus
from brainseg_runtime.inference.providers.tensorrt import TENSORRT

PROVIDERS: Final[tuple[Provider, ...]] = (CPU, OPENVINO, CUDA, TENSORRT, COREML, DIRECTML)
"""In the order in which they are listed."""

FALLBACK: Final = CPU
"""The provider that is always available; `auto` takes it without measurements in the manifest."""

_ADDED: Final[list[Provider]] = []


def all_providers() -> tuple[Provider, ...]:
    """Every provider: `PROVIDERS`, then those that `registered` added."""
    return tuple({each.name: each for each in (*PROVIDERS, *_ADDED)}.values())


@contextmanager
def registered(provider: Provider) -> Iterator[None]:
    """Add a provider of the caller's own for a while, in this process; it stands in for one of the same name.

    Args:
        provider: Such as one for hardware that this package does not know.

    Examples:
        >>> with registered(Provider(name="abacus", execution_provider="AbacusExecutionProvider")):
        ...     find_provider("abacus").name
        'abacus'
    """
    _ADDED.append(provider)
    try:
        yield
    finally:
        _ADDED.remove(provider)


def find_provider(name: str) -> Provider:
    """The provider of a name.

    Raises:
        ProviderError: No provider has that name.

    Examples:
        >>> find_provider("cuda").execution_provider
        'CUDAExecutionProvider'
    """
    for provider in all_providers():
        if provider.name == name:
            return provider
    names = ", ".join(provider.name for provider in all_providers())
    raise ProviderError("no provider of that name", expected=f"auto or one of {names}", got=repr(name))


def auto_candidates() -> tuple[Provider, ...]:
    """The providers that `auto` considers before `FALLBACK`, the most wanted first."""
    ranked = [(each.auto_rank, each) for each in all_providers() if each.auto_rank is not None]
    return tuple(each for _, each in sorted(ranked, key=lambda pair: -pair[0]))


def list_providers() -> tuple[ProviderStatus, ...]:
    """Every provider, and whether it is available here."""
    return tuple(provider.status() for provider in all_providers())
