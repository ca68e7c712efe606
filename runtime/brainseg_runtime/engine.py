"""One ONNX graph on one provider: sessions made with every option stated, and run one image at a time.

Legend: N batch, H rows, W columns.

Batches run image by image. On processors that costs nothing measurable, since one image keeps every core busy; it makes
a batch's bits those of its images, and a batch's memory that of one image.

OpenVINO compiles kernels for every new (H, W) and keeps them: 1 to 2 MiB each in the session, and more in a cache of
the process that holds 1,024 kernels. So a session is replaced after `SHAPES_PER_SESSION` different sizes, which bounds
the first; the second is bounded by itself. Together they stay below `OPENVINO_BOUND_MIB`.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.allocator import return_free_memory
from brainseg_runtime.contract import CONTRACT
from brainseg_runtime.errors import BrainsegError, ContractError, InferenceError, ProviderError
from brainseg_runtime.graph_rules import check_model
from brainseg_runtime.providers import PROVIDERS, devices_for, require_provider

if TYPE_CHECKING:
    import onnxruntime

SHAPES_PER_SESSION: Final = 32
"""Different (H, W) that one OpenVINO session may see: a session costs 0.3 s to make, a size in it about 2 MiB."""

OPENVINO_BOUND_MIB: Final = 512
"""Most that OpenVINO adds to the process beyond its first prediction, whatever the sizes; measured: 441."""

SMALL_PIXELS: Final = 512 * 512
"""Up to this size an image leaves less than 5 MiB in the allocator, which is not worth the millisecond."""

_HEAVY: Final = frozenset(
    {"Conv", "FusedConv", "ConvTranspose", "MatMul", "Gemm", "QLinearConv", "ConvInteger", "MatMulInteger"}
)
"""Operators that carry the work: all of them must run on the provider that was asked for."""

_BITS_OF_ONE: Final = 0x3F800000
"""1.0 as IEEE 754 single precision writes it."""

_TYPES: Final = MappingProxyType({"uint8": "tensor(uint8)", "float32": "tensor(float)"})


class Session(Protocol):
    """What is used of `onnxruntime.InferenceSession`, which ships without types."""

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


class Engine:
    """Runs the contract's graph; safe to call from several threads.

    Args:
        model: The ONNX file's bytes, verified by whoever calls.
        provider: A name of `PROVIDERS`.
        threads: Threads within one operator.

    Raises:
        ProviderError: The provider cannot run the model, or would leave its work to another one.
        ContractError: The bytes are no model of the contract.
    """

    def __init__(self, model: bytes, *, provider: str, threads: int) -> None:
        self.provider = provider
        self.threads = threads
        self._model = model if provider == "openvino" else b""
        self._lock = threading.Lock()
        self._shapes: set[tuple[int, int]] = set()
        self._swollen = False
        check_model(model)
        self._session = _open_session(model, provider, threads)
        _check_contract(self._session)
        self.nodes: Mapping[str, int] = check_assignment(self._session, provider)

    def run(self, image_nhwc: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Segment one image.

        Args:
            image_nhwc: (1, H, W, 3) uint8, C-contiguous.

        Returns:
            Mask (1, H, W) uint8 and probability (1, H, W) float32, both new.

        Raises:
            InferenceError: The graph failed, or answered something that is no mask and probability.
        """
        session = self._session if self.provider != "openvino" else self._session_for(image_nhwc.shape[1:3])
        try:
            mask, probability = session.run(_OUTPUTS, {CONTRACT.input.name: image_nhwc})
        except native_errors() as error:
            raise InferenceError(
                f"the model could not be run on an image of {image_nhwc.shape[1:3]}", got=_first_line(error)
            ) from error
        self._settle(image_nhwc.shape[1] * image_nhwc.shape[2])
        check_answer(mask, probability, image_nhwc.shape[:3])
        return mask, probability

    def _settle(self, pixels: int) -> None:
        """Hand back what a large image left, after it and, for what its result held, after the next one too."""
        large = pixels > SMALL_PIXELS
        if large or self._swollen:
            return_free_memory()
        self._swollen = large

    def _session_for(self, size: tuple[int, ...]) -> Session:
        """The session, replaced by a new one once it has seen too many sizes; callers in flight keep the old one."""
        shape = (size[0], size[1])
        with self._lock:
            if shape not in self._shapes:
                if len(self._shapes) >= SHAPES_PER_SESSION:
                    self._session = _open_session(self._model, self.provider, self.threads)
                    self._shapes.clear()
                self._shapes.add(shape)
            return self._session


_OUTPUTS: Final = [tensor.name for tensor in CONTRACT.outputs]


def native_errors() -> tuple[type[Exception], ...]:
    """Everything that onnxruntime raises; its own classes share no root."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = (getattr(state, name) for name in dir(state))
    own = (item for item in found if isinstance(item, type) and issubclass(item, Exception))
    return (*own, RuntimeError, ValueError, MemoryError)


def _open_session(model: bytes, provider: str, threads: int) -> Session:
    """A session with every option stated, on the provider and nothing but the provider and ``cpu``."""
    import onnxruntime

    require_provider(provider)
    options = _options(provider, threads)
    devices = devices_for(provider)
    name = PROVIDERS[provider]
    try:
        if devices:
            options.add_provider_for_devices(devices, _openvino_options(threads))
            session: Session = onnxruntime.InferenceSession(model, options)
        else:
            wanted = [name] if provider == "cpu" else [name, PROVIDERS["cpu"]]
            session = onnxruntime.InferenceSession(model, options, providers=wanted)
    except native_errors() as error:
        raise _refused(provider, error) from error
    session.disable_fallback()  # else a failing run would make a new session on another provider
    if session.get_providers()[0] != name:
        raise ProviderError(
            f"provider {provider} was asked for and onnxruntime fell back", expected=name, got=session.get_providers()
        )
    return session


def _options(provider: str, threads: int) -> onnxruntime.SessionOptions:
    """Session options; nothing is left to a default that a release may change."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # The arena would keep the largest image's memory for ever, the pattern one plan for every size.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.enable_profiling = False
    options.log_severity_level = 4  # errors come as exceptions
    # Waiting threads sleep: spinning ones take the host's cores, and are slower when something else runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Models are whole files; one that names others would have them read from the current folder.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", f"{os.devnull}/none")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "0" if provider == "cpu" else "1")
    return options


def _openvino_options(threads: int) -> dict[str, str]:
    """OpenVINO's own options: whole precision, a stated number of threads, one stream, nothing cached on disk."""
    processor = {
        # Else bfloat16 where the processor has it: another answer on another machine, and blurred pixel positions.
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": "1",
        "ENABLE_CPU_PINNING": "NO",  # pinning would take cores from the host's own threads
    }
    return {"load_config": json.dumps({"CPU": processor})}


def _check_contract(session: Session) -> None:
    """Refuse a graph whose inputs and outputs are not the contract's."""
    expected = [_signature(t.name, _TYPES[t.dtype], t.shape) for t in (CONTRACT.input, *CONTRACT.outputs)]
    found = [_signature(t.name, t.type, t.shape) for t in (*session.get_inputs(), *session.get_outputs())]
    if found != expected:
        raise ContractError("the model's tensors are not the contract's", expected=expected, got=found)


def _signature(name: str, kind: str, shape: Sequence[int | str | None]) -> str:
    """A tensor as errors show it; a dynamic axis by whatever name is written ``?``."""
    axes = ", ".join(str(axis) if isinstance(axis, int) or str(axis).isdigit() else "?" for axis in shape)
    return f"{name}: {kind}({axes})"


def check_assignment(session: Session, provider: str) -> Mapping[str, int]:
    """Count nodes by provider and refuse a session that leaves the heavy ones to another.

    Args:
        session: Made with ``session.record_ep_graph_assignment_info``.
        provider: Which one was asked for; ``cpu`` runs everything, so nothing is counted there.

    Returns:
        How many nodes each provider runs.

    Raises:
        ProviderError: A heavy node is another provider's.
    """
    if provider == "cpu":
        return MappingProxyType({})
    names = {full: short for short, full in PROVIDERS.items()}
    counts: dict[str, int] = {}
    for graph in session.get_provider_graph_assignment_info():
        nodes = graph.get_nodes()
        short = names.get(graph.ep_name, graph.ep_name)
        counts[short] = counts.get(short, 0) + len(nodes)
        strays = sorted({node.op_type for node in nodes} & _HEAVY)
        if short != provider and strays:
            raise ProviderError(
                f"provider {provider} would leave work to {short}", expected=f"all {strays} on {provider}",
                remedy="use provider cpu, or another variant",
            )  # fmt: skip
    return MappingProxyType(counts)


def check_answer(mask: NDArray[Any], probability: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Refuse an answer that is no mask and probability of the image.

    Args:
        mask: What should be N x H x W of uint8, 0 or 1.
        probability: What should be N x H x W of float32, in [0, 1].
        shape: (N, H, W) of the image.

    Raises:
        InferenceError: They are not.
    """
    shapes_fit = mask.shape == probability.shape == shape
    if not shapes_fit or mask.dtype != np.uint8 or probability.dtype != np.float32:
        raise InferenceError(
            "the model's answer has another form", expected=shape, got=(mask.shape, mask.dtype, probability.shape)
        )
    if mask.max() > 1 or not _within_one(probability):
        raise InferenceError(
            "the model's answer is no mask and probability", expected="mask 0 or 1, probability in [0, 1]",
            got=f"mask up to {mask.max()}, probability {probability.min()} to {probability.max()}",
        )  # fmt: skip


def _within_one(probability: NDArray[np.float32]) -> bool:
    """Whether every value is in [0, 1], which NaN is not.

    Bit patterns of floats from 0 upwards are ordered as their values are, and those of negative ones and of NaN lie
    above all that are finite: one pass over integers answers, unless there is a -0.0.
    """
    if int(probability.view(np.uint32).max()) <= _BITS_OF_ONE:
        return True
    return bool(probability.min() >= 0 and probability.max() <= 1)


def _refused(provider: str, error: Exception) -> BrainsegError:
    """The error for a session that onnxruntime would not make: the model's fault on cpu, maybe the provider's else."""
    if provider == "cpu":
        return ContractError(
            "onnxruntime cannot read the model", expected="a standard ONNX file", got=_first_line(error)
        )
    return ProviderError(
        f"provider {provider} cannot run the model", got=_first_line(error), remedy="use provider auto or cpu"
    )


def _first_line(error: BaseException) -> str:
    """The start of a native message, which may run over pages."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
