"""onnxruntime sessions: made with every option stated, for one size of image or for any, and checked before use.

Legend: N batch, H rows, W columns.

A session for one size knows every shape before it runs: the weights of the resizing are constants there, and nothing is
computed twice. It is made from the same bytes as the session for any size; only the axes are given lengths.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from brainseg_runtime.contract import CONTRACT, Tensor
from brainseg_runtime.errors import BrainsegError, ContractError, ProviderError
from brainseg_runtime.inference.graph_check import Declared
from brainseg_runtime.inference.providers import FALLBACK, Provider, Session, all_providers

if TYPE_CHECKING:
    import onnxruntime

USUAL: Final = MappingProxyType({"N": 1, "H": 256, "W": 256})
"""One slice of the data set's own size, by the contract's names of the axes."""

ANY: Final[Mapping[str, int]] = MappingProxyType({})
"""No axis has a length of its own."""

SPIN_US: Final = 10
"""Microseconds that an idle thread spins: most operators of a network follow sooner."""

_HEAVY: Final = frozenset(
    {"Conv", "FusedConv", "ConvTranspose", "MatMul", "Gemm", "QLinearConv", "ConvInteger", "MatMulInteger"}
)
"""Operators that do the heavy work: all of them must run on the requested provider."""

_TYPES: Final = MappingProxyType({"uint8": "tensor(uint8)", "float32": "tensor(float)"})


def open_session(model: bytes, *, provider: Provider, threads: int, fixed: Mapping[str, int] = ANY) -> Session:
    """A session on the provider, and on onnxruntime's own for what is light and the provider leaves.

    Args:
        model: The ONNX file's bytes, verified by the caller.
        provider: The provider.
        threads: Threads within one operator.
        fixed: Lengths of axes by the names that the model gives them; the rest stay open.

    Raises:
        ProviderError: The provider is not available or cannot run the model.
        ContractError: The model is not one of the contract, or has no axes of these names.
    """
    provider.require()
    options = session_options(provider, threads, fixed=fixed)
    try:
        session = provider.open(model, options)
    except native_errors() as error:
        raise _refused(provider, error) from error
    session.disable_fallback()  # otherwise a failing run would make a new session on another provider
    if session.get_providers()[0] != provider.execution_provider:
        raise ProviderError(
            f"onnxruntime fell back from the requested provider {provider.name}",
            expected=provider.execution_provider,
            got=session.get_providers(),
        )
    return session


def session_options(provider: Provider, threads: int, *, fixed: Mapping[str, int] = ANY) -> onnxruntime.SessionOptions:
    """Session options; every one that matters is stated, since a release may change its default.

    Args:
        provider: The provider.
        threads: Threads within one operator.
        fixed: Lengths of axes by the names that the model gives them.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # An arena keeps the largest image's memory for ever, which is bounded for one size only; the memory pattern would
    # keep a plan for every size, and gains nothing for one.
    options.enable_cpu_mem_arena = bool(fixed)
    options.enable_mem_pattern = False
    options.enable_profiling = False
    options.log_severity_level = 4  # errors come as exceptions
    # Waiting threads spin from one operator to the next, then sleep. Spinning longer takes the host's cores, and is
    # slower when something else runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_US))
    # Models are single files; one that names others would have them read from the current folder.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", f"{os.devnull}/none")
    counted = "0" if provider.runs_everything else "1"
    options.add_session_config_entry("session.record_ep_graph_assignment_info", counted)
    for axis, length in fixed.items():
        options.add_free_dimension_override_by_name(axis, length)
    return options


def own_names(fixed: Mapping[str, int], declared: Sequence[Declared]) -> dict[str, int]:
    """Lengths by the contract's names of the axes, as lengths by the model's names; axes without a name are left out.

    Args:
        fixed: Such as `USUAL`.
        declared: The model's tensors, the input first; `check_contract` has passed them.
    """
    named = zip(CONTRACT.input.shape, declared[0].axes, strict=True)
    return {str(own): fixed[axis] for axis, own in named if axis in fixed and own}


def check_contract(declared: Sequence[Declared], *, fixed: Mapping[str, int] = ANY) -> None:
    """Refuse tensors that are not the contract's.

    Args:
        declared: Inputs, then outputs.
        fixed: Lengths that axes may have, by the contract's names.

    Raises:
        ContractError: Names, types or axes differ.
    """
    wanted = (CONTRACT.input, *CONTRACT.outputs)
    if len(declared) != len(wanted) or not all(_is(d, t, fixed) for d, t in zip(declared, wanted, strict=True)):
        raise ContractError(
            "the model's tensors are not the contract's",
            expected=[_shown(tensor.name, _TYPES[tensor.dtype], tensor.shape) for tensor in wanted],
            got=[_shown(tensor.name, tensor.kind, tensor.axes) for tensor in declared],
        )


def declared_by(session: Session) -> list[Declared]:
    """The tensors of a session, in the form of those of a file."""
    tensors = (*session.get_inputs(), *session.get_outputs())
    return [Declared(name=t.name, kind=t.type, axes=tuple(axis or "" for axis in t.shape)) for t in tensors]


def _is(found: Declared, wanted: Tensor, fixed: Mapping[str, int]) -> bool:
    """Whether a tensor is the contract's; a named axis may have any name here, or its length in `fixed`."""
    if (found.name, found.kind, len(found.axes)) != (wanted.name, _TYPES[wanted.dtype], len(wanted.shape)):
        return False
    pairs = list(zip(found.axes, wanted.shape, strict=True))
    return all(
        own == int(axis) if axis.isdigit() else not isinstance(own, int) or own == fixed.get(axis)
        for own, axis in pairs
    )


def _shown(name: str, kind: str, axes: Sequence[int | str]) -> str:
    """A tensor as errors show it; a dynamic axis is written ``?``, whatever its name."""
    return f"{name}: {kind}({', '.join(str(axis) if str(axis).isdigit() else '?' for axis in axes)})"


def check_assignment(session: Session, provider: Provider) -> Mapping[str, int]:
    """Count nodes by provider and refuse a session that leaves the heavy ones to another.

    Args:
        session: Made with `session_options`.
        provider: The requested provider; nothing is counted if it runs every operator.

    Returns:
        How many nodes each provider runs.

    Raises:
        ProviderError: A heavy node is another provider's.
    """
    if provider.runs_everything:
        return MappingProxyType({})
    names = {each.execution_provider: each.name for each in (*all_providers(), provider)}
    counts: dict[str, int] = {}
    for graph in session.get_provider_graph_assignment_info():
        nodes = graph.get_nodes()
        name = names.get(graph.ep_name, graph.ep_name)
        counts[name] = counts.get(name, 0) + len(nodes)
        strays = sorted({node.op_type for node in nodes} & _HEAVY)
        if name != provider.name and strays:
            raise ProviderError(
                f"provider {provider.name} would leave work to {name}",
                expected=f"all {strays} on {provider.name}",
                remedy=f"use provider {FALLBACK.name}, or another variant",
            )
    return MappingProxyType(counts)


def native_errors() -> tuple[type[Exception], ...]:
    """Every class that onnxruntime raises; its own share no base."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = (getattr(state, name) for name in dir(state))
    own = (item for item in found if isinstance(item, type) and issubclass(item, Exception))
    return (*own, RuntimeError, ValueError, MemoryError)


def first_line(error: BaseException) -> str:
    """The first line of a native message, which may be pages long."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]


def _refused(provider: Provider, error: Exception) -> BrainsegError:
    """The error for a session that onnxruntime would not make: the model's fault, or maybe the provider's."""
    if provider.runs_everything:
        return ContractError(
            "onnxruntime cannot read the model", expected="a standard ONNX file", got=first_line(error)
        )
    return ProviderError(
        f"provider {provider.name} cannot run the model",
        got=first_line(error),
        remedy=f"use provider auto or {FALLBACK.name}",
    )
