"""Training that runs out of memory says so by name, whichever allocator it was, and can go on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from brainseg_runtime.errors import OutOfMemoryError
from brainseg_runtime.safe_io.system_faults import as_fault, naming_shortage


def test_pytorchs_refusals_are_shortages_of_memory() -> None:
    assert isinstance(as_fault(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")), OutOfMemoryError)
    with pytest.raises(OutOfMemoryError, match="allocate"), naming_shortage("it"):
        torch.empty(1 << 60, dtype=torch.uint8)


_STARVED = """
import resource, sys
from pathlib import Path
from brainseg_train.config import TrainConfig
from brainseg_train.runs.fit import fit
from brainseg_runtime.errors import OutOfMemoryError
from tests.train.arrays import make_dataset, make_split
dataset = make_dataset(size=64)
def starve(progress):
    taken = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (taken + (8 << 20),) * 2)
config = TrainConfig(width=int(sys.argv[2]), batch=24, epochs=2, device="cpu", precision="fp32", channels_last=False)
try:
    fit(config, dataset, make_split(dataset), Path(sys.argv[1]), threads=1, progress=starve)
except OutOfMemoryError as error:
    sys.stdout.write(str(error))
"""

_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the limit of a process's memory is Linux's")


@_LINUX
def test_training_that_runs_out_of_memory_says_so_and_can_go_on(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", _STARVED, str(tmp_path / "run"), "24"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    assert "not enough memory for unet of width 24 with batches of 24" in done.stdout
    assert (tmp_path / "run" / "run.json").exists()


_STARVED_FILES = """
import resource, sys
from pathlib import Path
import torch
from brainseg_runtime.safe_io.system_faults import as_fault
from brainseg_train.checkpoint.tensor_files import read_tensors, write_tensors
size = 32 << 20
tensors = {str(n): torch.zeros(size // 4 // 8) for n in range(8)}
stem = Path(sys.argv[1]) / "best"
write_tensors(stem, "kind", tensors, {})
before = stem.with_name("best.safetensors").stat().st_mtime_ns
taken = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
for copies in (0.5, 1.2, 1.6, 2.2, 2.8):
    for step in (lambda: write_tensors(stem, "kind", tensors, {}), lambda: read_tensors(stem, "kind")):
        resource.setrlimit(resource.RLIMIT_AS, (taken + int(copies * size), -1))
        try:
            step()
        except MemoryError as error:
            resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
            print(as_fault(error).what)
        else:
            resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
            print("enough")
print(stem.with_name("best.safetensors").stat().st_mtime_ns == before, len(read_tensors(stem, "kind")[0]))
"""


@_LINUX
def test_tensors_that_do_not_fit_into_memory_are_a_named_shortage_and_leave_the_file_as_it_was(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", _STARVED_FILES, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    *told, last = done.stdout.splitlines()
    assert set(told[0::2]) == {"there is not enough memory"}  # of writing
    assert told[1] == "there is not enough memory"  # of reading
    assert last == "True 8"
