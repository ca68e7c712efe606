"""What this machine's processor can do, as far as results and choices depend on it.

Integer models need instructions that multiply 8-bit values without saturating (VNNI, AMX, Arm's dot product): without
them onnxruntime's u8 x s8 kernels saturate at 16 bits and give another answer.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from brainseg_runtime.inference.control_groups import granted_cores
from brainseg_runtime.safe_io.arguments import MAX_THREADS, check_integer

MAX_DEFAULT_THREADS: Final = 4
"""Threads that are used by default: a slice gains little from more, and a workstation has other work."""

_KNOWN = ("avx2", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimddp", "i8mm")


@dataclass(frozen=True, kw_only=True)
class Processor:
    """The processor as `inspect_processor` found it."""

    architecture: str
    """``x86_64``, ``arm64``, or the system's own name for another one."""
    features: tuple[str, ...]
    """The instruction sets that matter here, in Linux's spelling."""
    cores: int
    """Cores that this process may use."""
    name: str | None
    """The maker's name for it; None if the system does not say."""

    @property
    def exact_integers(self) -> bool:
        """Whether 8-bit models give the answers here that were measured."""
        return any(name in self.features for name in ("avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm"))


def inspect_processor() -> Processor:
    """What the processor can do.

    On Linux this reads ``/proc/cpuinfo``; elsewhere it relies on numpy's detection, which does not know the VNNI of
    client processors without AVX-512 (`avx_vnni`), so `auto` takes floating point there.
    """
    machine = platform.machine().lower()
    architecture = {"amd64": "x86_64", "aarch64": "arm64"}.get(machine, machine)
    name, flags = _from_proc() if platform.system() == "Linux" else (None, frozenset[str]())
    flags |= _from_numpy()
    if platform.system() == "Darwin" and architecture == "arm64":
        flags |= {"asimddp"}  # every Apple processor that runs macOS has it
    features = tuple(flag for flag in _KNOWN if flag in flags)
    return Processor(architecture=architecture, features=features, cores=usable_cores(), name=name)


def usable_cores() -> int:
    """Cores that this process may use: on Linux as far as affinity and control groups allow, elsewhere all."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return min(cores, granted_cores() or cores)


def thread_count(threads: object) -> int:
    """The requested number of threads; None gives the usable cores, at most `MAX_DEFAULT_THREADS`.

    Raises:
        ArgumentError: It is neither None nor an integer from 1 to 256.

    Examples:
        >>> thread_count(2)
        2
    """
    if threads is None:
        return min(usable_cores(), MAX_DEFAULT_THREADS)
    return check_integer("threads", threads, low=1, high=MAX_THREADS)


def _from_proc() -> tuple[str | None, frozenset[str]]:
    """Name and flags of the first core."""
    fields: dict[str, str] = {}
    with contextlib.suppress(OSError), Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
        for line in file:
            key, _, value = line.partition(":")
            fields.setdefault(key.strip().lower(), value.strip())
            if not line.strip() and fields:
                break
    flags = frozenset((fields.get("flags") or fields.get("features") or "").split())
    return fields.get("model name"), flags


def _from_numpy() -> frozenset[str]:
    """Flags that numpy found, in Linux's spelling."""
    # The only portable detection without code of our own; numpy 1 has it under another name.
    module = "numpy.core._multiarray_umath" if np.__version__.startswith("1.") else "numpy._core._multiarray_umath"
    found: dict[str, bool] = getattr(importlib.import_module(module), "__cpu_features__", {})
    spelling = {"AVX2": "avx2", "AVX512VNNI": "avx512_vnni", "AVX512BF16": "avx512_bf16", "ASIMDDP": "asimddp"}
    return frozenset(linux for numpy_name, linux in spelling.items() if found.get(numpy_name))
