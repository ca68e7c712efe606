"""What the system refuses (memory, space, permission) as errors with a name and a remedy, in place of a traceback."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Final

from brainseg_runtime.errors import BrainsegError, FileWriteError
from brainseg_runtime.safe_io.files import refused_by_system
from brainseg_train.errors import OutOfMemoryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SHORTAGES: Final = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "ALLOC_FAILED")
"""What PyTorch's allocators say: of CUDA and MPS, of Linux, of Windows, of C++, of cuBLAS and cuDNN."""

_PRIMITIVE: Final = "could not create a primitive"
"""All that oneDNN says of a shortage; where it goes on with "descriptor", a layer is not supported."""

_REMEDY: Final = "take a smaller --batch or --width, or fewer --workers, or free memory"


def as_fault(error: BaseException) -> BrainsegError | None:
    """The named error for one that the system or PyTorch raised, or None for any other.

    Args:
        error: What reached the edge of a process.
    """
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _is_shortage(error)):
        return OutOfMemoryError("there is not enough memory", got=_first_line(error), remedy=_REMEDY)
    if isinstance(error, OSError):
        return refused_by_system(error)
    return None


@contextlib.contextmanager
def naming_shortage(what: str) -> Iterator[None]:
    """Give a shortage of memory in here a name.

    Args:
        what: What the memory is for.

    Raises:
        OutOfMemoryError: It was not enough.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not _is_shortage(error):
            raise
        raise OutOfMemoryError(
            f"there is not enough memory for {what}", got=_first_line(error), remedy=_REMEDY
        ) from error


def require_writable(folder: Path, *, option: str) -> None:
    """Make a folder if it is not there, and prove that a file can be written in it.

    Args:
        folder: The folder.
        option: Which option names it.

    Raises:
        FileWriteError: It cannot be made or written.
    """
    probe = folder / f".{secrets.token_hex(6)}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"\0")
        probe.unlink()
    except OSError as error:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
        raise FileWriteError(
            f"the folder {folder} cannot be written",
            expected="a writable folder with space",
            got=error.strerror or error,
            remedy=f"name another folder with {option} DIR",
        ) from error


def _is_shortage(error: BaseException) -> bool:
    text = str(error)
    return text.strip() == _PRIMITIVE or any(words in text for words in _SHORTAGES)


def _first_line(error: BaseException) -> str:
    """What was asked for and refused, without PyTorch's advice and stack."""
    lines = str(error).splitlines()
    return lines[0][:300] if lines else type(error).__name__
