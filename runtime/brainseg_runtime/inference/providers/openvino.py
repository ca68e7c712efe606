"""Intel's OpenVINO, as a plug-in beside onnxruntime.

OpenVINO compiles kernels for every new (H, W) and keeps them: 1 to 2 MiB each in the session, and more in a cache of
the process that holds 1,024 kernels. So a session is replaced after 32 different sizes, which bounds the first; the
second is bounded by itself. Together they stay below `BOUND_MIB`.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import threading
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from brainseg_runtime.errors import ProviderError
from brainseg_runtime.extras import install_remedy
from brainseg_runtime.inference.providers.provider import Provider, ProviderStatus, Session, built_in

if TYPE_CHECKING:
    import onnxruntime

BOUND_MIB: Final = 512
"""Most that OpenVINO adds to the process beyond its first prediction, whatever the sizes; measured: 441."""

PLUGIN: Final = "onnxruntime_ep_openvino"
_EXECUTION_PROVIDER: Final = "OpenVINOExecutionProvider"
_UNSUPPORTED: Final = f"the plug-in {PLUGIN} is installed, but supports Intel processors only, and this is not one"
_REGISTERING: Final = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class OpenVino(Provider):
    """OpenVINO on Intel processors."""

    def status(self) -> ProviderStatus:
        """Whether the plug-in is installed and supports this processor.

        The plug-in is registered for that, once and in about 15 ms, since it alone knows its processors. One that
        cannot be loaded counts as available here, so that using it says why it fails.
        """
        if self.execution_provider in built_in():
            reason = "onnxruntime brings its own, which does not take the options that bundles are measured with"
            return ProviderStatus(name=self.name, available=False, reason=reason)
        if importlib.util.find_spec(PLUGIN) is None:
            return ProviderStatus(name=self.name, available=False, reason="not installed")
        try:
            supported = bool(plugin_devices())
        except ProviderError:
            supported = True
        reason = f"plug-in {PLUGIN} is installed" if supported else _UNSUPPORTED
        return ProviderStatus(name=self.name, available=supported, reason=reason)

    def remedy(self, status: ProviderStatus) -> str | None:
        """How to install the plug-in, or what to use in its place on another maker's processor."""
        if status.reason == _UNSUPPORTED:
            return "use provider cpu, or auto, which takes what is available here"
        return _how_to_install()

    def prepare(self) -> None:
        """Register the plug-in and look for a processor that it supports."""
        self.devices()

    def open(self, model: bytes, options: onnxruntime.SessionOptions) -> Session:
        """A session on the first processor that the plug-in supports."""
        import onnxruntime

        options.add_provider_for_devices(self.devices(), _own_options(options.intra_op_num_threads))
        session: Session = onnxruntime.InferenceSession(model, options)
        return session

    def devices(self) -> list[Any]:
        """The one device to open a session on.

        Raises:
            ProviderError: The plug-in is broken, or supports no processor here.
        """
        devices = plugin_devices()
        if not devices:
            raise ProviderError("provider openvino supports no processor here", expected="an Intel processor")
        return devices[:1]


def plugin_devices() -> list[Any]:
    """The processors that the plug-in supports here, after registering it once.

    Raises:
        ProviderError: The plug-in is broken.
    """
    import onnxruntime

    with _REGISTERING:
        _register()
        processor = onnxruntime.OrtHardwareDeviceType.CPU
        found = [each for each in onnxruntime.get_ep_devices() if each.ep_name == _EXECUTION_PROVIDER]
        return [each for each in found if each.device.type == processor]


@cache
def _register() -> None:
    """Register the plug-in with onnxruntime, once for the life of the process; a failure is tried again."""
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import EPFail, Fail, NoSuchFile, NotFound, RuntimeException

    try:
        library = importlib.import_module(PLUGIN).get_library_path()
        onnxruntime.register_execution_provider_library("brainseg-openvino", library)
    except (ImportError, OSError, EPFail, Fail, NoSuchFile, NotFound, RuntimeException) as error:
        raise ProviderError(
            "the OpenVINO plug-in cannot be loaded",
            expected=f"a {PLUGIN} that fits onnxruntime {onnxruntime.__version__}",
            got=error,
            remedy=_how_to_install(),
        ) from error


def _own_options(threads: int) -> dict[str, str]:
    """OpenVINO's own options: full precision, a stated number of threads, one stream, nothing cached on disk."""
    processor = {
        # Otherwise bfloat16 where the processor has it: another answer on another machine, and blurred pixel positions.
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": "1",
        "ENABLE_CPU_PINNING": "NO",  # pinning would take cores from the host's own threads
    }
    return {"load_config": json.dumps({"CPU": processor})}


def _how_to_install() -> str:
    return f"{install_remedy('openvino')}, in place of onnxruntime-openvino if that is there"


OPENVINO: Final = OpenVino(
    name="openvino",
    execution_provider=_EXECUTION_PROVIDER,
    repair="pip install --force-reinstall onnxruntime-ep-openvino",
    engines=("onnxruntime-openvino",),
    plugins=("onnxruntime-ep-openvino",),
    auto_rank=1,
    no_gain=frozenset({"fp32"}),
    parity_limit=1e-4,  # it fuses and reorders more freely
    sizes_per_session=32,  # a session takes 0.3 s to make, and a size in it about 2 MiB
    # Its cache of kernels: 1,024 by default, several MiB for each new image size.
    environment=MappingProxyType({"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64"}),
)
