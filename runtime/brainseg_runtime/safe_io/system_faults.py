"""What the system refuses (memory, disk space, permission) as named errors with a remedy, in place of a traceback."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from brainseg_runtime.errors import BrainsegError, FileWriteError, OutOfMemoryError
from brainseg_runtime.safe_io.files import refused_by_system

_SHORTAGES: Final = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "ALLOC_FAILED")
"""What PyTorch's allocators say: of CUDA and MPS, of Linux, of Windows, of C++, of cuBLAS and cuDNN."""

_PRIMITIVE: Final = "could not create a primitive"
"""All that oneDNN says of a shortage; where it goes on with "descriptor", a layer is not supported."""

_REMEDY: Final = "free memory, or ask for less at a time: a smaller --batch or --width, fewer --workers"


def as_fault(error: BaseException) -> BrainsegError | None:
    """The named error for one that the system or a library raised; None for any other.

    Args:
        error: What reached the edge of a process.

    >>> as_fault(MemoryError()).what
    'there is not enough memory'
    >>> as_fault(ValueError("a bug")) is None
    True
    """
    if _is_shortage(error):
        return OutOfMemoryError("there is not enough memory", got=_first_line(error), remedy=_REMEDY)
    if isinstance(error, OSError):
        return refused_by_system(error)
    return None


def kind_and_place(error: BaseException) -> str:
    """An exception's kind, and the file and line that raised it: what can be told when its text may quote a study.

    Args:
        error: The exception.

    >>> kind_and_place(ValueError("a name"))
    'ValueError'
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    return f"{type(error).__name__} at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


@contextlib.contextmanager
def naming_shortage(what: str) -> Iterator[None]:
    """Turns a shortage of memory in here into an error that says what the memory was for.

    Args:
        what: What the memory is for.

    Raises:
        OutOfMemoryError: There was not enough.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_shortage(error):
            raise
        raise OutOfMemoryError(
            f"there is not enough memory for {what}", got=_first_line(error), remedy=_REMEDY
        ) from error


def require_writable(folder: Path, *, option: str) -> None:
    """Makes a folder if it does not exist, and checks that a file can be written in it.

    Args:
        folder: The folder.
        option: The option that names it, for the remedy.

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
            got=_refusal(folder, error),
            remedy=f"name another folder with {option} DIR",
        ) from error


def _refusal(folder: Path, error: OSError) -> object:
    """Why a folder cannot be written, with the file that stands in the way where one does."""
    blocking = next((each for each in (folder, *folder.parents) if each.exists()), None)
    if blocking is not None and not blocking.is_dir():
        return f"{blocking}, which is a file"
    return error.strerror or error


def _is_shortage(error: BaseException) -> bool:
    """Whether an error means that memory ran out."""
    if not isinstance(error, RuntimeError):
        return isinstance(error, MemoryError)
    return says_shortage(str(error))


def says_shortage(text: str) -> bool:
    """Whether a library's words mean that memory ran out.

    >>> says_shortage("Status Message: std::bad_alloc")
    True
    """
    return text.strip() == _PRIMITIVE or any(words in text for words in _SHORTAGES)


def _first_line(error: BaseException) -> str:
    """The size of the refused request, without PyTorch's advice and stack trace."""
    lines = str(error).splitlines()
    return lines[0][:300] if lines else type(error).__name__
