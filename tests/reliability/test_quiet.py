"""Loading, predicting and evaluating touch nothing but the bundle: no sockets, processes, or other files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from brainseg_runtime.inference.providers import find_provider
from tests.runtime.tiny import TINY

ROOT = Path(__file__).parents[2]
SYSTEM = {"/proc/cpuinfo", "/proc/self/cgroup", "/etc/os-release"}
# How many cores a control group grants, the group's own and those above it.
QUOTAS = re.compile(r"/sys/fs/cgroup/(.*/)?cpu\.(max|cfs_quota_us|cfs_period_us)")
# Python's own modules are read when they are first imported; a file that is open already goes by its number. What Linux
# says of the processor tells its features, and onnxruntime looks at what it says of itself.
CODE = tuple(
    str(Path(path).resolve()) for path in [*sysconfig.get_paths().values(), sys.base_prefix, f"{ROOT}/runtime"]
)


@pytest.mark.parametrize("provider", [name for name in ("cpu", "openvino") if find_provider(name).status().available])
def test_nothing_outside_is_touched(provider: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.reliability.quiet_run", TINY, provider],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    seen: list[str] = json.loads(done.stdout)
    assert seen[-1] == f"write {os.devnull}"
    outside = [event for event in seen[:-1] if not is_expected(event)]
    assert outside == []
    assert {f"read {path}" for path in TINY.iterdir()} <= set(seen)


def is_expected(event: str) -> bool:
    """Reads of the bundle, of code, of what Linux says of the machine, and of shared libraries that code brings."""
    kind, _, rest = event.partition(" ")
    if kind == "ctypes.dlopen":
        return True
    path = str(Path(rest).resolve())
    known = path.startswith((str(TINY), *CODE)) or rest.isdigit()
    return kind == "read" and bool(known or rest in SYSTEM or QUOTAS.fullmatch(rest))
