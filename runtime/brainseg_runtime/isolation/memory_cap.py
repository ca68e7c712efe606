"""A cap on this process's own memory, set by the isolated process before it loads a model.

Linux: ``RLIMIT_DATA``, which counts private writable memory. Windows: a job object that the process puts itself into.
macOS enforces no such limit, so asking for a cap there is an error.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

from brainseg_runtime.errors import WorkerError

LEAST_MIB: Final = 64
"""Lowest cap, in MiB: numpy and onnxruntime cannot be imported with less."""


def cap_own_memory(mebibytes: int) -> None:
    """Cap this process's memory for the rest of its life; allocations beyond it fail.

    Args:
        mebibytes: Most memory, at least 64.

    Raises:
        WorkerError: The cap is too low, or the system has no such cap or refused it.
    """
    if mebibytes < LEAST_MIB:
        raise WorkerError("the memory cap is too low", expected=f"at least {LEAST_MIB} MiB", got=f"{mebibytes} MiB")
    try:
        if sys.platform == "linux":
            import resource

            resource.setrlimit(resource.RLIMIT_DATA, (mebibytes << 20, mebibytes << 20))
        elif sys.platform == "win32":
            _cap_by_job(mebibytes << 20)
        else:
            raise WorkerError("this system enforces no memory cap", expected="Linux or Windows", got=sys.platform)
    except (OSError, ValueError) as error:
        raise WorkerError("the system refused the memory cap", got=error) from error


class _BasicLimits(ctypes.Structure):
    """``JOBOBJECT_BASIC_LIMIT_INFORMATION``."""

    _fields_ = (
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", ctypes.c_uint32),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", ctypes.c_uint32),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", ctypes.c_uint32),
        ("SchedulingClass", ctypes.c_uint32),
    )


class _ExtendedLimits(ctypes.Structure):
    """``JOBOBJECT_EXTENDED_LIMIT_INFORMATION``."""

    _fields_ = (
        ("BasicLimitInformation", _BasicLimits),
        ("IoInfo", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    )


_EXTENDED_LIMIT_INFORMATION = 9
_LIMIT_PROCESS_MEMORY = 0x100


def _cap_by_job(limit: int) -> None:
    """Put this process into a new job whose processes may commit at most `limit` bytes each."""
    kernel = ctypes.CDLL("kernel32")
    kernel.CreateJobObjectW.restype = kernel.GetCurrentProcess.restype = ctypes.c_void_p
    limits = _ExtendedLimits(ProcessMemoryLimit=limit)
    limits.BasicLimitInformation.LimitFlags = _LIMIT_PROCESS_MEMORY
    job = ctypes.c_void_p(kernel.CreateJobObjectW(None, None))
    process = ctypes.c_void_p(kernel.GetCurrentProcess())
    size = ctypes.sizeof(limits)
    if not (
        job.value
        and kernel.SetInformationJobObject(job, _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), size)
        and kernel.AssignProcessToJobObject(job, process)
    ):
        raise OSError("the job object could not be set up")
