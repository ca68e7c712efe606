"""Origin of results: versions, the source tree's state, the machine."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from brainseg_runtime.version import __version__
from brainseg_train.learning.device import cpu_capabilities

_GIT_SECONDS: Final = 10.0
"""Longest wait for git; a large tree on a slow disk takes a second or two."""

_INSTRUCTION_SETS: Final = ("avx2", "avx512_f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of the libraries that compute."""
    return {
        "python": platform.python_version(),
        "brainseg": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "safetensors": importlib.metadata.version("safetensors"),
    }


def hardware(device: torch.device) -> dict[str, Any]:
    """The machine.

    Returns:
        `system`, `machine`, `processor`, `instructions`, `cores`, and `gpu` where one is used.
    """
    capabilities = cpu_capabilities()
    found: dict[str, Any] = {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "processor": _processor_name(),
        "instructions": [name for name in _INSTRUCTION_SETS if capabilities.get(name)],
        "cores": os.cpu_count(),
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found["gpu"] = {"name": properties.name, "bytes": properties.total_memory}
    return found


@functools.cache
def git_state() -> dict[str, Any] | None:
    """`commit` and `dirty` of the repository that tracks this file; None where none does or git is missing."""
    git = shutil.which("git")
    here = Path(__file__)
    if git is None or _run(git, here, "ls-files", "--error-unmatch", here.name) is None:
        return None
    commit = _run(git, here, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit.strip(), "dirty": bool(_run(git, here, "status", "--porcelain", "--untracked-files=no"))}


def _run(git: str, here: Path, *arguments: str) -> str | None:
    """The output of a git command, or None if it fails."""
    command = [git, "-C", str(here.parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True)  # noqa: S603 - fixed arguments, no shell
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _processor_name() -> str:
    """The processor's name, as far as the system says."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
