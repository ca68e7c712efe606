"""How busy the first NVIDIA GPU is while something runs, as nvidia-smi tells it twice a second."""

from __future__ import annotations

import shutil
import statistics
import subprocess
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

QUERY = ("--id=0", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=500")


class GpuUse:
    """Watches from ``with`` to its end; `percent` is the mean, NaN where nvidia-smi is missing or said nothing."""

    def __init__(self) -> None:
        self.percent = float("nan")
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Start asking."""
        command = shutil.which("nvidia-smi")
        if command is not None:
            self._process = subprocess.Popen([command, *QUERY], stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop asking, and take the mean."""
        if self._process is None:
            return
        self._process.terminate()
        told, _ = self._process.communicate()
        values = [float(line) for line in told.splitlines() if line.strip().isdigit()]
        if values:
            self.percent = statistics.fmean(values)
