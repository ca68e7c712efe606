"""Files written whole or not at all, and read under a cap.

A write goes to a temporary file beside the target, is flushed to the disk, and takes the target's name in one step, so
a reader sees the old file or the new one, never half of either. On POSIX the folder is flushed too, so that the name
survives a power cut; Windows has no such call, and journals the rename itself. A link is followed and stays a link;
devices and pipes are written to directly (`special_files`).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Final

from brainseg_runtime.errors import BrainsegError, FileWriteError, InputError
from brainseg_runtime.safe_io.special_files import write_through

_UNFINISHED: Final = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{12}\.tmp", re.DOTALL)
"""The name that `_sibling` gives to a file until it is whole."""


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; an existing one is replaced, a device or a pipe is written to.

    Args:
        path: The file; its folder must exist. A link stands for the file that it leads to.
        data: The bytes.

    Raises:
        FileWriteError: The system refused; the file that was there before is untouched.
    """
    path = Path(path)
    temporary = _sibling(path)
    try:
        if write_through(path, data):
            return
        if path.is_symlink():
            path = Path(os.path.realpath(path))
            temporary = _sibling(path)
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    r"""Write UTF-8 text with ``\\n`` line ends on every system, whole or not at all.

    Raises:
        FileWriteError: The system refused; the file that was there before is untouched.
    """
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write JSON in insertion order, indented by two, whole or not at all.

    Raises:
        FileWriteError: The value holds NaN, infinity or something that JSON has no form for, or the system refused.
    """
    write_text(path, encode_json(value))


def encode_json(value: object) -> str:
    r"""The text that `write_json` writes: insertion order, indent 2, a final newline, no NaN.

    Raises:
        FileWriteError: The value holds NaN, infinity or something that JSON has no form for.

    Examples:
        >>> encode_json({"area": 3})
        '{\n  "area": 3\n}\n'
    """
    try:
        return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise FileWriteError(
            "the value cannot be written as JSON", expected="finite numbers, text, lists and objects", got=error
        ) from error


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, unless it is there.

    Raises:
        FileWriteError: The system refused, or a file stands there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileWriteError(
            f"the folder {path} cannot be made", expected="a writable place", got=error.strerror
        ) from error


@contextlib.contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Fill a temporary sibling folder, then give it the target's name; on failure the old folder is untouched.

    The swap is two renames (the old one aside, the new one in), since no portable system call exchanges two folders;
    if the second fails, the old folder is put back.

    Args:
        path: The folder that is to exist afterwards; its parent is created.

    Yields:
        The temporary folder, empty, on the same file system.

    Raises:
        FileWriteError: The system refused, or the path is something other than a folder.
    """
    path = Path(path)
    temporary = _sibling(path)
    try:
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise FileWriteError(f"{path} cannot be replaced", expected="a folder or nothing", got="something else")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        sync_tree(temporary)
        _swap(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_capped(
    path: Path, limit: int, *, error: type[BrainsegError] = InputError, too_large: type[BrainsegError] | None = None
) -> bytes:
    """Read a whole regular file, once, refusing one that is larger than a cap.

    The cap holds for the bytes that are read, not for the size that the file system states, so a file that grows
    meanwhile cannot exceed it. Pipes, devices and links are refused before a byte is read.

    Args:
        path: The file.
        limit: Most bytes.
        error: The class of error to raise.
        too_large: The class for a file beyond the cap; None: `error`.

    Returns:
        Its bytes.

    Raises:
        BrainsegError: Of the given class: missing, not a regular file, too large, or unreadable.
    """
    path = Path(path)
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        if path.is_symlink():  # O_NOFOLLOW does not exist on Windows
            raise error(f"{path} cannot be read", expected="a regular file", got="a link")
        with open(os.open(path, flags), "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor, not a path
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise error(f"{path} cannot be read", expected="a regular file", got="something else")
            data = _read_at_most(file.fileno(), limit + 1)
    except (OSError, ValueError) as cause:  # ValueError: a name that no file can have
        got = getattr(cause, "strerror", None) or cause
        raise error(f"{path} cannot be read", expected="a readable file", got=got) from cause
    if len(data) > limit:
        raise (too_large or error)(f"{path} is too large", expected=f"at most {limit} bytes", got="more")
    return data


def _read_at_most(descriptor: int, count: int) -> bytes:
    """Up to `count` bytes; one read where the size is known, so that no second copy is held."""
    wanted = min(count, os.fstat(descriptor).st_size + 1)
    chunks: list[bytes] = []
    while count > 0 and (chunk := os.read(descriptor, min(count, max(wanted, 1 << 16)))):
        chunks.append(chunk)
        count -= len(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _sibling(path: Path) -> Path:
    """A name beside the target that nothing else uses."""
    if not path.name or "\0" in str(path):
        raise FileWriteError(f"{path} cannot be written", expected="a path that ends in a name", got=repr(str(path)))
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")


def is_unfinished(name: str, of: Container[str]) -> bool:
    """Whether a file is what a killed process left of one that it was writing.

    Args:
        name: The file's name, without its folder.
        of: Names of the files that it may have been writing.

    Examples:
        >>> is_unfinished(".1.png.0123456789ab.tmp", {"1.png"})
        True
    """
    found = _UNFINISHED.fullmatch(name)
    return found is not None and found["name"] in of


def _swap(new: Path, path: Path) -> None:
    """Give `new` the name `path`, putting the old folder back if that fails."""
    if not path.exists():
        new.rename(path)
        return
    old = _sibling(path)
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def sync_tree(folder: Path) -> None:
    """Flush every file below a folder, then the folders."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with (Path(parent) / name).open("r+b") as file:
                os.fsync(file.fileno())
        sync_folder(Path(parent))


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries; Windows cannot open a folder for that and needs no such call."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refused_by_system(error: OSError) -> FileWriteError:
    """An error of this package for one of the system that nothing foresaw, such as a name that is too long.

    Args:
        error: The system's error, caught at the edge of a command.
    """
    return FileWriteError(
        f"the system refused {error.filename or 'a request'}",
        expected="files and folders that can be read and written, with space",
        got=error.strerror or error,
    )


def _refused(path: Path, error: OSError) -> FileWriteError:
    """The error for a write that the system refused."""
    return FileWriteError(
        f"{path} cannot be written",
        expected="an existing, writable folder with space",
        got=error.strerror or error,
    )
