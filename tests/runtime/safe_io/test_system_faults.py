"""What the system refuses has a name and a remedy."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from brainseg_runtime.errors import FileWriteError, OutOfMemoryError
from brainseg_runtime.safe_io.system_faults import as_fault, naming_shortage, require_writable
from tests.runtime.command_line import BUNDLE, environment
from tests.runtime.made_slices import made_data

SHORTAGES = [
    MemoryError(),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of\nadvice"),
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


def test_a_folder_that_cannot_be_made_names_the_option_and_what_stands_in_the_way(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(FileWriteError, match=r"file/runs cannot be written.*--runs DIR") as caught:
        require_writable(file / "runs", option="--runs")
    assert re.search(r"got .*file, which is a file", str(caught.value))


_STARVED = """
import resource, sys
from brainseg_runtime.cli import main
from brainseg_runtime.commands import predict
def starve(*arguments, **more):
    taken = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (taken + (1 << 20),) * 2)
    return bytearray(64 << 20)
predict.collect = starve
main(sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of a process's memory is Linux's")
def test_a_command_that_runs_out_of_memory_says_so(tmp_path: Path) -> None:
    arguments = ["predict", str(BUNDLE), str(made_data(tmp_path / "data")), "-o", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", _STARVED, *arguments], capture_output=True, text=True, check=False, env=environment()
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: there is not enough memory\n")
    assert "Traceback" not in done.stderr
