"""The most memory that this process ever had, as Linux, macOS and Windows report it."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_rss_mib() -> float | None:
    """The most resident memory that this process ever had, in MiB; None if the system does not say.

    Linux counts by program (`VmHWM`); its `getrusage` also counts what the process held before the program started.
    """
    if sys.platform == "win32":
        return _peak_of_windows()
    high_water = _peak_of_linux() if sys.platform == "linux" else None
    if high_water is not None:
        return high_water
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2.0**20 if sys.platform == "darwin" else 1024.0)


def _peak_of_linux() -> float | None:
    """`VmHWM` in MiB; None without /proc."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii", errors="replace").splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024.0 for line in lines if line.startswith("VmHWM:")), None)


if sys.platform == "win32":

    def _peak_of_windows() -> float:
        """Peak working set in MiB, from the system's own library."""
        import ctypes

        class Counters(ctypes.Structure):
            """PROCESS_MEMORY_COUNTERS of the Windows API."""

            _fields_ = (
                ("size", ctypes.c_uint32),
                ("page_faults", ctypes.c_uint32),
                *((name, ctypes.c_size_t) for name in ("peak_working_set", "working_set", *"abcdef")),
            )

        counters = Counters(size=ctypes.sizeof(Counters))
        kernel = ctypes.WinDLL("kernel32")
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        kernel.K32GetProcessMemoryInfo.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)
        kernel.K32GetProcessMemoryInfo(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.size)
        return float(counters.peak_working_set) / 2.0**20
