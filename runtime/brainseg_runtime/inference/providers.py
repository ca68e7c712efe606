"""Execution providers: which can be had here, which one `auto` takes and why, and what really runs.

The choice is a fixed rule over what is installed, what the processor can do and what the manifest says was measured; it
never times anything, so one machine always makes the same choice and computes the same bits.
"""

from __future__ import annotations

import importlib
import importlib.util
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from brainseg_runtime.bundles.manifest import Manifest
from brainseg_runtime.errors import ProviderError
from brainseg_runtime.extras import install_remedy
from brainseg_runtime.inference.processor import Processor

PROVIDERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cpu": "CPUExecutionProvider",
        "openvino": "OpenVINOExecutionProvider",
        "cuda": "CUDAExecutionProvider",
        "tensorrt": "TensorrtExecutionProvider",
        "coreml": "CoreMLExecutionProvider",
        "directml": "DmlExecutionProvider",
    }
)
"""The names used here and onnxruntime's."""

PREFERENCE: Final = ("tensorrt", "cuda", "openvino", "cpu")
"""What `auto` would rather have, of those that the manifest says were measured for the variant."""

_REMEDY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cuda": "replace onnxruntime with onnxruntime-gpu: pip uninstall onnxruntime, then pip install onnxruntime-gpu",
        "tensorrt": "replace onnxruntime with onnxruntime-gpu and install TensorRT",
        "coreml": "use macOS, where onnxruntime brings it",
        "directml": "use Windows and replace onnxruntime with onnxruntime-directml",
    }
)
_PLUGIN: Final = "onnxruntime_ep_openvino"
_OTHER_MAKER: Final = f"the plug-in {_PLUGIN} is installed, and offers nothing on this processor; it takes Intel's"
_REGISTERING: Final = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class ProviderStatus:
    """Whether a provider can be had on this machine."""

    name: str
    available: bool
    reason: str
    """Why not, or where it comes from."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A provider and a variant, and why these and not others."""

    provider: str
    variant: str
    reasons: tuple[str, ...]
    """One line for each thing that was considered."""


def list_providers() -> tuple[ProviderStatus, ...]:
    """Every provider that this package knows, and whether it can be had here."""
    return tuple(provider_status(name) for name in PROVIDERS)


def provider_status(name: str) -> ProviderStatus:
    """Whether one provider is available; loads no model.

    An installed plug-in is registered, once and in about 15 ms, since it alone knows the processors that it takes. One
    that cannot be loaded counts as available here, so that using it says why it fails.

    Raises:
        ProviderError: No provider has that name.
    """
    if name not in tuple(PROVIDERS):  # a list is no key, and yet may come
        raise ProviderError(
            "no provider of that name", expected=f"auto or one of {', '.join(PROVIDERS)}", got=repr(name)
        )
    built_in = PROVIDERS[name] in _built_in()
    if name == "openvino" and built_in:
        reason = "onnxruntime brings its own, which does not take the options that bundles are measured with"
        return ProviderStatus(name=name, available=False, reason=reason)
    if built_in:
        return ProviderStatus(name=name, available=True, reason="onnxruntime brings it")
    if name == "openvino" and importlib.util.find_spec(_PLUGIN) is not None:
        if _offers_nothing():
            return ProviderStatus(name=name, available=False, reason=_OTHER_MAKER)
        return ProviderStatus(name=name, available=True, reason=f"plug-in {_PLUGIN} is installed")
    return ProviderStatus(name=name, available=False, reason="not installed")


def require_provider(name: str) -> None:
    """Refuse a provider that is not available, before onnxruntime replaces it with another one and only warns.

    Raises:
        ProviderError: No provider has that name, or it is not installed; the remedy says how to install it.
    """
    status = provider_status(name)
    if not status.available:
        raise ProviderError(
            f"provider {name} is not available",
            expected="a provider that is installed and takes this processor",
            got=status.reason,
            remedy=_remedy(status),
        )


def _remedy(status: ProviderStatus) -> str | None:
    """How to get a provider, or what to take in its place."""
    if status.reason == _OTHER_MAKER:
        return "choose the provider cpu, or auto, which takes what this machine has"
    return _install(status.name)


def _install(name: str) -> str | None:
    """How to install a provider."""
    if name == "openvino":
        return f"{install_remedy('openvino')}, in place of onnxruntime-openvino if that is there"
    return _REMEDY.get(name)


def choose(manifest: Manifest, provider: str, variant: str, processor: Processor) -> Choice:
    """Provider and variant by the fixed rule.

    - A provider named outright must be available. `auto` takes the first of `PREFERENCE` that is available and whose
      bits the manifest says were stable (`same_bits`) for the variant; ``cpu`` needs no such evidence.
    - A variant named outright must be in the bundle. `auto` takes ``int8`` where the bundle has it and the processor
      multiplies 8-bit integers exactly, else ``fp32``, else the first.
    - With ``fp32`` on a processor, `auto` stays with ``cpu``: OpenVINO gains on integers.

    Raises:
        ProviderError: The provider or the variant that was named is not available.
    """
    picked, reasons = _choose_variant(manifest, variant, processor)
    if provider != "auto":
        require_provider(provider)
        return Choice(provider=provider, variant=picked, reasons=(*reasons, f"provider {provider}: asked for"))
    name, more = _choose_provider(manifest, picked)
    return Choice(provider=name, variant=picked, reasons=(*reasons, *more))


def devices_for(name: str) -> list[Any]:
    """Onnxruntime's devices of a plug-in provider, registering the plug-in once; empty for a built-in one.

    Raises:
        ProviderError: The plug-in is broken or finds no device.
    """
    if name != "openvino":
        return []
    devices = _registered_devices()
    if not devices:
        raise ProviderError("provider openvino finds no processor that it takes", expected="an Intel processor")
    return devices[:1]


def _registered_devices() -> list[Any]:
    """What the OpenVINO plug-in offers here, after registering it once.

    Raises:
        ProviderError: The plug-in is broken.
    """
    with _REGISTERING:
        _register_openvino()
        return _openvino_devices()


def _offers_nothing() -> bool:
    """Whether the installed plug-in loads and takes none of this machine's processors."""
    try:
        return not _registered_devices()
    except ProviderError:
        return False


def _choose_variant(manifest: Manifest, variant: str, processor: Processor) -> tuple[str, tuple[str, ...]]:
    """The variant and why."""
    names = list(manifest.variants)
    if variant != "auto":
        if variant not in names:
            raise ProviderError("no variant of that name", expected=f"auto or one of {names}", got=repr(variant))
        return variant, (f"variant {variant}: asked for",)
    floating = "fp32" if "fp32" in names else names[0]
    if "int8" not in names:
        return floating, (f"variant {floating}: the bundle has no int8",)
    if not processor.exact_integers:
        return floating, (f"variant {floating}: no VNNI, AMX or dot product found, with which int8 was measured",)
    return "int8", ("variant int8: in the bundle, and the processor multiplies 8-bit integers exactly",)


def _choose_provider(manifest: Manifest, variant: str) -> tuple[str, tuple[str, ...]]:
    """The provider that `auto` takes for a variant, and why not those before it."""
    evidence = manifest.variants[variant].same_bits
    reasons = []
    for name in PREFERENCE[:-1]:
        status = provider_status(name)
        if not status.available:
            reasons.append(f"not {name}: {status.reason}")
        elif not evidence.get(name, False):
            reasons.append(f"not {name}: the bundle holds no evidence of stable bits on it for {variant}")
        elif name == "openvino" and manifest.variants[variant].precision == "fp32":
            reasons.append("not openvino: it gains on integers, not on fp32")
        else:
            return name, (*reasons, f"provider {name}: {status.reason}, and the bundle was measured on it")
    return "cpu", (*reasons, "provider cpu: always there")


def _built_in() -> frozenset[str]:
    """Providers compiled into the installed onnxruntime; plug-ins that were registered meanwhile do not count."""
    import onnxruntime

    plugged = {device.ep_name for device in onnxruntime.get_ep_devices() if "library_path" in device.ep_metadata}
    return frozenset(onnxruntime.get_available_providers()) - plugged


def _openvino_devices() -> list[Any]:
    """The processors that a registered OpenVINO plug-in offers."""
    import onnxruntime

    processor = onnxruntime.OrtHardwareDeviceType.CPU
    name = PROVIDERS["openvino"]
    return [item for item in onnxruntime.get_ep_devices() if item.ep_name == name and item.device.type == processor]


@cache
def _register_openvino() -> None:
    """Register the plug-in with onnxruntime, once for the life of the process; a failure is tried again."""
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import EPFail, Fail, NoSuchFile, NotFound, RuntimeException

    try:
        library = importlib.import_module(_PLUGIN).get_library_path()
        onnxruntime.register_execution_provider_library("brainseg-openvino", library)
    except (ImportError, OSError, EPFail, Fail, NoSuchFile, NotFound, RuntimeException) as error:
        raise ProviderError(
            "the OpenVINO plug-in cannot be loaded",
            expected=f"a {_PLUGIN} that fits onnxruntime {onnxruntime.__version__}",
            got=error,
            remedy=_install("openvino"),
        ) from error
