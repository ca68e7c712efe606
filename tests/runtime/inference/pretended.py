"""Providers that pretend to be installed, or not, or broken, in place of the real ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from brainseg_runtime.errors import ProviderError
from brainseg_runtime.inference.providers import PROVIDERS, Provider, ProviderStatus, Session, registered

if TYPE_CHECKING:
    import onnxruntime


@dataclass(frozen=True, kw_only=True)
class Pretended(Provider):
    """A provider that says of itself what the test wants."""

    there: bool
    fault: str = ""
    """What is wrong with it once it is used; empty: nothing."""

    def status(self) -> ProviderStatus:
        """As the test wants it."""
        reason = "there" if self.there else "not installed"
        return ProviderStatus(name=self.name, available=self.there, reason=reason)

    def prepare(self) -> None:
        """Fail if the test wants it."""
        if self.fault:
            raise ProviderError(self.fault)

    def open(self, model: bytes, options: onnxruntime.SessionOptions) -> Session:
        """Fail if the test wants it."""
        self.prepare()
        return super().open(model, options)


def stand_in(provider: Provider, *, there: bool, fault: str = "") -> Pretended:
    """A provider of the same name and properties that pretends."""
    known = {field.name: getattr(provider, field.name) for field in fields(Provider)}
    return Pretended(**known, there=there, fault=fault)


@contextmanager
def installed(names: Iterable[str], *, faults: dict[str, str] | None = None) -> Iterator[None]:
    """Every provider pretends to be installed or not, for a while."""
    wanted = set(names)
    with ExitStack() as stack:
        for provider in PROVIDERS:
            fault = (faults or {}).get(provider.name, "")
            stack.enter_context(registered(stand_in(provider, there=provider.name in wanted, fault=fault)))
        yield
