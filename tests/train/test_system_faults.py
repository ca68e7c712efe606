"""What the system refuses has a name and a remedy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from brainseg_runtime.errors import FileWriteError
from brainseg_train.errors import OutOfMemoryError
from brainseg_train.system_faults import as_fault, naming_shortage, require_writable

SHORTAGES = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of\nadvice"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    RuntimeError("could not create a primitive"),
    RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


@pytest.mark.parametrize("error", SHORTAGES, ids=lambda error: str(error)[:12])
def test_every_allocators_refusal_is_a_shortage_of_memory(error: Exception) -> None:
    fault = as_fault(error)
    assert isinstance(fault, OutOfMemoryError)
    assert "--batch" in (fault.remedy or "")
    assert "advice" not in str(fault)
    with pytest.raises(OutOfMemoryError, match="for unet"), naming_shortage("unet"):
        raise error


def test_an_array_that_is_too_large_is_a_shortage() -> None:
    with pytest.raises(OutOfMemoryError, match="Unable to allocate"), naming_shortage("it"):
        np.empty(1 << 60, dtype=np.uint8)
    with pytest.raises(OutOfMemoryError, match="allocate"), naming_shortage("it"):
        torch.empty(1 << 60, dtype=torch.uint8)


def test_any_other_fault_stays_what_it_is() -> None:
    assert as_fault(RuntimeError("shapes differ")) is None
    assert as_fault(RuntimeError("could not create a primitive descriptor for a convolution")) is None
    assert as_fault(ValueError("out of memory")) is None
    with pytest.raises(RuntimeError, match="shapes differ"), naming_shortage("it"):
        raise RuntimeError("shapes differ")


def test_a_refusal_of_the_file_system_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        (tmp_path / "none").read_bytes()
    fault = as_fault(caught.value)
    assert isinstance(fault, FileWriteError)
    assert str(tmp_path / "none") in str(fault)


def test_a_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    require_writable(tmp_path / "a" / "b", option="--runs")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_folder_that_cannot_be_made_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileWriteError, match=r"file/runs cannot be written.*--runs DIR"):
        require_writable(tmp_path / "file" / "runs", option="--runs")


_STARVED = """
import resource, sys
from pathlib import Path
from brainseg_train.config import TrainConfig
from brainseg_train.runs.fit import fit
from brainseg_train.errors import OutOfMemoryError
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
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", _STARVED, str(tmp_path / "run"), "24"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    assert "not enough memory for unet of width 24 with batches of 24" in done.stdout
    assert (tmp_path / "run" / "run.json").exists()
