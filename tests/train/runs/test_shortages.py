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


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of a process's memory is Linux's")
def test_training_that_runs_out_of_memory_says_so_and_can_go_on(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", _STARVED, str(tmp_path / "run"), "24"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    assert "not enough memory for unet of width 24 with batches of 24" in done.stdout
    assert (tmp_path / "run" / "run.json").exists()
