"""What an execution provider is: the base class of all of them, complete for one that onnxruntime has compiled in.

A provider that comes with onnxruntime states its names and how to install it (`cuda.py`); one that comes some other way
overrides the methods too (`openvino.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.bundles.manifest import Tolerance
from brainseg_runtime.errors import ProviderError

if TYPE_CHECKING:
    import onnxruntime

CPU_EXECUTION: Final = "CPUExecutionProvider"
"""Onnxruntime's own provider, which runs what the others leave."""

EXACT: Final = Tolerance(probability=1e-4, mask=0.0)
"""Float32 rounded in another order, and not one pixel of the mask."""


class Session(Protocol):
    """The part of `onnxruntime.InferenceSession` used here; onnxruntime ships without types."""

    def run(self, outputs: list[str], inputs: dict[str, NDArray[np.uint8]]) -> list[NDArray[Any]]:
        """Compute outputs by name."""
        ...

    def get_inputs(self) -> list[Any]:
        """Name, type and shape of the inputs."""
        ...

    def get_outputs(self) -> list[Any]:
        """Name, type and shape of the outputs."""
        ...

    def get_providers(self) -> list[str]:
        """Providers in the order in which they get nodes."""
        ...

    def get_provider_graph_assignment_info(self) -> list[Any]:
        """Which provider runs which nodes."""
        ...

    def disable_fallback(self) -> None:
        """Let a failing run fail."""
        ...


@dataclass(frozen=True, kw_only=True)
class ProviderStatus:
    """Whether a provider is available on this machine."""

    name: str
    available: bool
    reason: str
    """Why it is not available, or what provides it."""


@dataclass(frozen=True, kw_only=True)
class Provider:
    """An execution provider.

    Examples:
        >>> abacus = Provider(name="abacus", execution_provider="AbacusExecutionProvider", install="buy an abacus")
        >>> abacus.status()
        ProviderStatus(name='abacus', available=False, reason='not installed')
    """

    name: str
    """In options, manifests and results."""
    execution_provider: str
    """Onnxruntime's name for it."""
    install: str | None = None
    """How to install it, as the remedy of an error."""
    repair: str = "use provider cpu"
    """The remedy if it is installed but does not work."""
    engines: tuple[str, ...] = ()
    """Distributions of onnxruntime that bring it; only one of them may be installed."""
    plugins: tuple[str, ...] = ()
    """Distributions that bring it as a plug-in beside onnxruntime."""
    auto_rank: int | None = None
    """`auto` takes the highest rank that is available and that the bundle was measured on; None: only if named."""
    no_gain: frozenset[str] = frozenset()
    """Precisions in which it is no faster than the processor's own provider, so that `auto` leaves it out."""
    tolerance: Tolerance = EXACT
    """For golden vectors, where the manifest states none."""
    parity_limit: float | None = None
    """Largest difference of a probability from fp32 in PyTorch that an export lets pass; None: not measured then."""
    sizes_per_session: int | None = None
    """Different (H, W) that one session may see before it is replaced; None: any number."""
    runs_everything: bool = False
    """Whether it runs every standard operator: a graph that it refuses is faulty, and its nodes need no counting."""
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Variables for a process that is started to run it; they change no result."""

    def status(self) -> ProviderStatus:
        """Whether it is available, and why; loads no model."""
        if self.execution_provider in built_in():
            return ProviderStatus(name=self.name, available=True, reason="onnxruntime brings it")
        return ProviderStatus(name=self.name, available=False, reason="not installed")

    def remedy(self, status: ProviderStatus) -> str | None:
        """What to do about a status that is not available."""
        return self.install if not status.available else None

    def require(self) -> None:
        """Refuse an unavailable provider; onnxruntime would only warn and use another one.

        Raises:
            ProviderError: It is not available; the remedy says what to do.
        """
        status = self.status()
        if not status.available:
            raise ProviderError(
                f"provider {self.name} is not available",
                expected="a provider that is installed and supports this processor",
                got=status.reason,
                remedy=self.remedy(status),
            )

    def prepare(self) -> None:
        """Load whatever the provider needs beside onnxruntime; nothing for one that is compiled in.

        Raises:
            ProviderError: It is installed and does not work.
        """

    def open(self, model: bytes, options: onnxruntime.SessionOptions) -> Session:
        """A session on this provider, which may leave light operators to onnxruntime's own.

        Args:
            model: The ONNX file's bytes.
            options: The session's options, as `sessions.session_options` makes them.

        Raises:
            ProviderError: The provider does not work. Faults of onnxruntime come as its own exceptions.
        """
        import onnxruntime

        wanted = list(dict.fromkeys([self.execution_provider, CPU_EXECUTION]))
        session: Session = onnxruntime.InferenceSession(model, options, providers=wanted)
        return session


def built_in() -> frozenset[str]:
    """Providers compiled into the installed onnxruntime; plug-ins that have been registered do not count."""
    import onnxruntime

    plugged = {device.ep_name for device in onnxruntime.get_ep_devices() if "library_path" in device.ep_metadata}
    return frozenset(onnxruntime.get_available_providers()) - plugged
