"""Trees of files: a folder of this machine, or an address that fsspec opens, listed alike.

Only addresses whose protocol is in `PROTOCOLS` are opened: fsspec chains protocols, runs some of them through others
and has some that read code, and a list from outside must not choose among those.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from brainseg_runtime.archive.finding.references import Reference, is_address
from brainseg_runtime.errors import InputError, MissingExtraError, StudyError
from brainseg_runtime.extras import install_remedy
from brainseg_runtime.problems import printable
from brainseg_runtime.safe_io.litter import is_hidden

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

PROTOCOLS: Final = ("file", "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hdfs", "sftp", "smb")
"""Protocols of addresses that are opened."""

MOST_BYTES: Final = 8 << 30
"""Most bytes of one reference that are fetched: the largest studies have 2 GiB."""

MOST_FILES: Final = 200_000
"""Most files of one reference."""

_MOST_HEAD: Final = 16 << 20
"""Largest file that is fetched to tell which study it belongs to."""

File = tuple[str, int, int | str]
"""Name from the reference on, size in bytes, and what changes when it does."""


class Tree(Protocol):
    """Folders and files that can be listed."""

    def listed(self, folder: str) -> tuple[list[str], list[str]]:
        """The folders and the files in a folder, sorted, without hidden ones; StudyError if it cannot be listed."""
        ...

    def head(self, file: str, count: int) -> bytes:
        """The first bytes of a file; b"" if it cannot be read."""
        ...

    def name(self, path: str) -> str:
        """A path from the root on, with "/"."""
        ...

    def local(self, file: str) -> Any:  # noqa: ANN401 - a context manager that gives a path
        """The file as one of this machine, for as long as the context lasts."""
        ...


class LocalTree:
    """A folder of this machine. Links are followed; a folder that was listed before is not listed again.

    Args:
        root: An existing folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        above = Path(os.path.realpath(root)).parents
        self._seen = {(status.st_dev, status.st_ino) for each in above if (status := _status(each)) is not None}

    def listed(self, folder: str) -> tuple[list[str], list[str]]:  # noqa: D102 - the protocol documents it
        folders: list[str] = []
        files: list[str] = []
        try:
            status = os.stat(folder)  # noqa: PTH116 - text, as all paths here
            key = (status.st_dev, status.st_ino)
            if status.st_ino and key in self._seen:
                return [], []
            self._seen.add(key)
            with os.scandir(folder) as entries:
                for entry in entries:
                    if is_hidden(entry.name):
                        continue
                    (folders if entry.is_dir() else files).append(entry.path)
        except OSError as error:
            raise _unlisted(folder, error) from error
        return sorted(folders), sorted(files)

    def head(self, file: str, count: int) -> bytes:  # noqa: D102 - as above
        try:
            if not Path(file).is_file():
                return b""
            with open(file, "rb") as opened:  # noqa: PTH123 - text, as all paths here
                return opened.read(count)
        except OSError:
            return b""

    def name(self, path: str) -> str:  # noqa: D102 - as above
        return Path(os.path.relpath(path, self.root)).as_posix()

    @contextmanager
    def local(self, file: str) -> Iterator[Path]:  # noqa: D102 - as above
        yield Path(file)


class AddressTree:
    """A folder at an address.

    Args:
        address: Such as s3://bucket/folder.

    Raises:
        InputError: Its protocol is not among `PROTOCOLS`, or it cannot be opened.
        MissingExtraError: fsspec, or what it needs for the protocol, is not installed.
    """

    def __init__(self, address: str) -> None:
        self._system, self.root = opened(address)
        self._protocol = address.partition("://")[0]
        self.root = self.root.rstrip("/")

    def listed(self, folder: str) -> tuple[list[str], list[str]]:  # noqa: D102 - the protocol documents it
        folders: list[str] = []
        files: list[str] = []
        try:
            for entry in self._system.ls(_bare(folder), detail=True):
                path = str(entry["name"]).rstrip("/")
                if is_hidden(path.rpartition("/")[2]) or path == _bare(folder).rstrip("/"):
                    continue
                kind = entry["type"]
                below = kind == "directory" or (kind != "file" and self._system.isdir(path))  # a link says "other"
                (folders if below else files).append(f"{self._protocol}://{path}")
        except OSError as error:
            raise _unlisted(folder, error) from error
        return sorted(folders), sorted(files)

    def head(self, file: str, count: int) -> bytes:  # noqa: D102 - as above
        try:
            found: bytes = self._system.cat_file(_bare(file), start=0, end=count)
        except OSError:
            return b""
        return found

    def name(self, path: str) -> str:  # noqa: D102 - as above
        return _bare(path).removeprefix(self.root).strip("/") or "."

    @contextmanager
    def local(self, file: str) -> Iterator[Path]:  # noqa: D102 - as above
        with tempfile.TemporaryDirectory(prefix="brainseg-") as folder:
            path = Path(folder) / "file"
            path.write_bytes(self.head(file, _MOST_HEAD))
            yield path


def opened(address: str) -> tuple[AbstractFileSystem, str]:
    """The file system of an address, and the path there.

    Raises:
        InputError: Its protocol is not among `PROTOCOLS`, or it cannot be opened.
        MissingExtraError: fsspec, or what it needs for the protocol, is not installed.
    """
    protocol = address.partition("://")[0]
    if protocol not in PROTOCOLS or "::" in address:
        raise InputError(
            f"{printable(address)[:200]} cannot be opened",
            expected=f"an address that begins with one of {', '.join(f'{each}://' for each in PROTOCOLS)}",
            got=repr(protocol[:40]),
        )
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(address)
    except ImportError as error:
        raise MissingExtraError(
            f"addresses that begin with {protocol}:// need a library that is not installed",
            got=error,
            remedy=f"{install_remedy('archive')}, and what fsspec needs for {protocol}, such as s3fs or gcsfs",
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(f"{printable(address)[:200]} cannot be opened", got=type(error).__name__) from error
    return system, str(path)


def files_of(reference: Reference) -> list[File]:
    """Every file of a reference, with size and time, without reading any.

    Args:
        reference: Files and folders, of this machine or at addresses.

    Raises:
        StudyError: One cannot be listed, or there are too many.
    """
    found: list[File] = []
    for path in reference.paths:
        direct = path in reference.shallow
        for file in _at_address(path, direct) if is_address(path) else _on_disk(path, direct):
            found.append(file)
            if len(found) > MOST_FILES:
                raise StudyError("a reference holds too many files", expected=f"{MOST_FILES:,} at most", got="more")
    return found


def _on_disk(path: str, direct: bool) -> Iterator[File]:
    try:
        status = os.stat(path)  # noqa: PTH116 - text
        if not Path(path).is_dir():
            yield Path(path).name, status.st_size, status.st_mtime_ns
            return
        for parent, folders, names in os.walk(path, followlinks=True):
            folders[:] = [] if direct else sorted(each for each in folders if not is_hidden(each))
            if len(Path(os.path.relpath(parent, path)).parts) > 64:
                raise StudyError("a folder lies too deep, or links lead in a circle", expected="64 levels at most")
            for name in names:
                file = Path(parent, name)
                if not is_hidden(name) and (of := _status(file)) is not None:
                    yield Path(os.path.relpath(file, path)).as_posix(), of.st_size, of.st_mtime_ns
    except OSError as error:
        raise _unlisted(path, error) from error


def _at_address(path: str, direct: bool) -> Iterator[File]:
    system, root = opened(path)
    try:
        entries = system.find(root, maxdepth=1 if direct else None, detail=True)
    except OSError as error:
        raise _unlisted(path, error) from error
    for name, entry in sorted(entries.items()):
        changed = next((entry[key] for key in ("etag", "ETag", "mtime", "LastModified", "updated") if key in entry), "")
        yield str(name).removeprefix(root).strip("/") or str(name), int(entry.get("size") or 0), str(changed)


def fetch(address: str, folder: Path, *, direct: bool) -> Path:
    """Copy what lies at an address into a folder.

    Args:
        address: A file or a folder.
        folder: An existing, empty folder.
        direct: Only files directly in it.

    Returns:
        The copy.

    Raises:
        StudyError: It cannot be fetched, or is too large.
    """
    system, root = opened(address)
    name = root.rstrip("/").rpartition("/")[2] or "study"
    try:
        entries = system.find(root, maxdepth=1 if direct else None, detail=True)
        total = sum(int(entry.get("size") or 0) for entry in entries.values())
        if total > MOST_BYTES or len(entries) > MOST_FILES:
            got = f"{total:,} bytes in {len(entries):,} files"
            raise StudyError("what lies at an address is too large", expected=f"{MOST_BYTES:,} bytes at most", got=got)
        for path in entries:
            inner = str(path).removeprefix(root).strip("/")
            target = folder / name / inner if inner else folder / name
            if ".." in target.relative_to(folder).parts:
                raise StudyError("a name at an address leads out of its folder", expected="names without ..")
            target.parent.mkdir(parents=True, exist_ok=True)
            system.get_file(str(path), str(target))
    except OSError as error:
        raise _unlisted(address, error) from error
    if not entries:
        raise StudyError("nothing lies at an address", expected="files", got="none")
    return folder / name


def _bare(path: str) -> str:
    """An address without its protocol."""
    return path.partition("://")[2] if is_address(path) else path


def _status(path: Path) -> os.stat_result | None:
    """What the system says of a path; None if it says nothing."""
    try:
        return path.stat()
    except (OSError, ValueError):
        return None


def _unlisted(path: str, error: OSError) -> StudyError:
    """The error for what cannot be listed or fetched."""
    return StudyError(
        f"{printable(path)} cannot be read", expected="a folder or file that can be read", got=error.strerror or error
    )
