"""What the figures were taken on: processor, cores, instruction sets, versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
PACKAGES = ("numpy", "onnxruntime", "onnxruntime-ep-openvino", "scikit-learn", "torch")


def describe() -> dict[str, object]:
    """Name, cores, vector instructions and versions, for the record that goes with every figure."""
    return {
        "processor": _cpu_field("model name") or platform.processor() or platform.machine(),
        "cores": cores(),
        "instructions": [flag for flag in FLAGS if flag in (_cpu_field("flags") or "").split()],
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
    }


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_field(name: str) -> str | None:
    """A field of the first processor in Linux's own list; None elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return None
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None
