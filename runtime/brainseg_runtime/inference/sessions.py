"""onnxruntime sessions: made with every option stated, for one size of image or for any, and checked before use.

Legend: N batch, H rows, W columns.

A session for one size knows every shape before it runs: the weights of the resizing are constants there, and nothing is
worked out a second time. It is made of the same bytes as the one for any size; only the axes are given lengths.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import CONTRACT, Tensor
from brainseg_runtime.errors import BrainsegError, ContractError, ProviderError
from brainseg_runtime.inference.graph_check import Declared
from brainseg_runtime.inference.providers import PROVIDERS, devices_for, require_provider

if TYPE_CHECKING:
    import onnxruntime

USUAL: Final = MappingProxyType({"N": 1, "H": 256, "W": 256})
"""One slice of the data set's own size, by the contract's names of the axes."""

ANY: Final[Mapping[str, int]] = MappingProxyType({})
"""No axis has a length of its own."""

SPIN_US: Final = 10
"""Microseconds that a thread without work waits awake: most operators of a network follow within them."""

_HEAVY: Final = frozenset(
    {"Conv", "FusedConv", "ConvTranspose", "MatMul", "Gemm", "QLinearConv", "ConvInteger", "MatMulInteger"}
)
"""Operators that carry the work: all of them must run on the provider that was asked for."""

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


def open_session(model: bytes, *, provider: str, threads: int, fixed: Mapping[str, int] = ANY) -> Session:
    """A session on the provider and nothing but the provider and ``cpu``, its tensors the contract's.

    Args:
        model: The ONNX file's bytes, verified by whoever calls.
        provider: A name of `PROVIDERS`.
        threads: Threads within one operator.
        fixed: Lengths of axes by the names that the model gives them; the rest stay open.

    Raises:
        ProviderError: The provider cannot run the model.
        ContractError: The model is none of the contract, or has no use for these lengths.
    """
    import onnxruntime

    require_provider(provider)
    options = session_options(provider, threads, fixed=fixed)
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


def session_options(provider: str, threads: int, *, fixed: Mapping[str, int] = ANY) -> onnxruntime.SessionOptions:
    """Session options; nothing is left to a default that a release may change.

    Args:
        provider: A name of `PROVIDERS`.
        threads: Threads within one operator.
        fixed: Lengths of axes by the names that the model gives them.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # An arena keeps the largest image's memory for ever, which is bounded where there is one size; the pattern would
    # keep a plan for every size, and gains nothing for one.
    options.enable_cpu_mem_arena = bool(fixed)
    options.enable_mem_pattern = False
    options.enable_profiling = False
    options.log_severity_level = 4  # errors come as exceptions
    # Waiting threads spin from one operator to the next, then sleep: longer, they take the host's cores, and are slower
    # when something else runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_US))
    # Models are whole files; one that names others would have them read from the current folder.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", f"{os.devnull}/none")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "0" if provider == "cpu" else "1")
    for axis, length in fixed.items():
        options.add_free_dimension_override_by_name(axis, length)
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


def own_names(fixed: Mapping[str, int], declared: Sequence[Declared]) -> dict[str, int]:
    """Lengths by the contract's names of the axes as lengths by the model's own; axes without a name drop out.

    Args:
        fixed: Such as `USUAL`.
        declared: The model's tensors, the input first, that passed `check_contract`.
    """
    named = zip(CONTRACT.input.shape, declared[0].axes, strict=True)
    return {str(own): fixed[axis] for axis, own in named if axis in fixed and own}


def check_contract(declared: Sequence[Declared], *, fixed: Mapping[str, int] = ANY) -> None:
    """Refuse tensors that are not the contract's.

    Args:
        declared: Inputs, then outputs.
        fixed: Lengths that axes may have, by the contract's names.

    Raises:
        ContractError: Names, types or axes are other ones.
    """
    wanted = (CONTRACT.input, *CONTRACT.outputs)
    if len(declared) != len(wanted) or not all(_is(d, t, fixed) for d, t in zip(declared, wanted, strict=True)):
        raise ContractError(
            "the model's tensors are not the contract's",
            expected=[_shown(tensor.name, _TYPES[tensor.dtype], tensor.shape) for tensor in wanted],
            got=[_shown(tensor.name, tensor.kind, tensor.axes) for tensor in declared],
        )


def declared_by(session: Session) -> list[Declared]:
    """The tensors of a session as those of a file."""
    tensors = (*session.get_inputs(), *session.get_outputs())
    return [Declared(name=t.name, kind=t.type, axes=tuple(axis or "" for axis in t.shape)) for t in tensors]


def _is(found: Declared, wanted: Tensor, fixed: Mapping[str, int]) -> bool:
    """Whether a tensor is the contract's; an axis that has a name there may have any here, or its length of `fixed`."""
    if (found.name, found.kind, len(found.axes)) != (wanted.name, _TYPES[wanted.dtype], len(wanted.shape)):
        return False
    pairs = list(zip(found.axes, wanted.shape, strict=True))
    return all(
        own == int(axis) if axis.isdigit() else not isinstance(own, int) or own == fixed.get(axis)
        for own, axis in pairs
    )


def _shown(name: str, kind: str, axes: Sequence[int | str]) -> str:
    """A tensor as errors show it; a dynamic axis by whatever name is written ``?``."""
    return f"{name}: {kind}({', '.join(str(axis) if str(axis).isdigit() else '?' for axis in axes)})"


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


def native_errors() -> tuple[type[Exception], ...]:
    """Everything that onnxruntime raises; its own classes share no root."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = (getattr(state, name) for name in dir(state))
    own = (item for item in found if isinstance(item, type) and issubclass(item, Exception))
    return (*own, RuntimeError, ValueError, MemoryError)


def first_line(error: BaseException) -> str:
    """The start of a native message, which may run over pages."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]


def _refused(provider: str, error: Exception) -> BrainsegError:
    """The error for a session that onnxruntime would not make: the model's fault on cpu, maybe the provider's else."""
    if provider == "cpu":
        return ContractError(
            "onnxruntime cannot read the model", expected="a standard ONNX file", got=first_line(error)
        )
    return ProviderError(
        f"provider {provider} cannot run the model", got=first_line(error), remedy="use provider auto or cpu"
    )
