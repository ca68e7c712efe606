"""What each sub-command of `brainseg` does once its options are read: works, tells, and returns the exit code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io.files import refused_by_system
from brainseg_runtime.terminal.console import Console
from brainseg_runtime.terminal.interrupts import interruptible
from brainseg_runtime.terminal.start import DONE, FAULT, INTERRUPTED

if TYPE_CHECKING:
    from brainseg_runtime.segmenter import Segmenter

__all__ = ["DONE", "FAULT", "INTERRUPTED", "Model", "run", "running"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """Which model is to run, and how.

    Attributes:
        bundle: The bundle's folder.
        provider: Execution provider by name, or "auto".
        variant: Variant by name, or "auto".
        threads: Threads of one inference; None leaves the choice to the runtime.
        digest: What the bundle's digest must be, or None.
    """

    bundle: Path
    provider: str = "auto"
    variant: str = "auto"
    threads: int | None = None
    digest: str | None = None

    def load(self) -> Segmenter:
        """The model, verified and ready.

        Raises:
            BrainsegError: The bundle, the provider or the variant is not available.
        """
        from brainseg_runtime.segmenter import Segmenter

        return Segmenter.load(
            self.bundle, digest=self.digest, provider=self.provider, variant=self.variant, threads=self.threads
        )


def run(json_target: str | None, work: Callable[[Console], int], *, quiet: bool = False) -> int:
    """Does a command's work, and turns faults and interrupts into messages and exit codes.

    Args:
        json_target: What `--json` was given, if it was.
        work: The command.
        quiet: Whether only warnings and faults are told.

    Returns:
        0 done, 1 a fault in the input or the result, 130 interrupted.
    """
    console = Console(json_target, quiet=quiet)
    try:
        with interruptible():
            return work(console)
    except BrainsegError as error:
        console.fault(error)
        console.record_problems(error)
        return FAULT
    except OSError as error:
        console.fault(refused_by_system(error))
        return FAULT
    except KeyboardInterrupt:
        console.note("interrupted")
        return INTERRUPTED


def running(segmenter: Segmenter) -> str:
    """What runs, in words: model, variant, provider, threads."""
    info = segmenter.info
    return f"{info.provenance.model} ({info.variant}) on {info.provider}, {counted(info.threads, 'thread')}"
