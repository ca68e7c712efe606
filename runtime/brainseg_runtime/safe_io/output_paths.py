"""Where a command may write: not over its inputs, not two outputs into one file, and only where writing will work.

This is checked before any work is done. Files are compared as the system knows them, by device and inode, so that links
of both kinds and names in another case are recognised. For files that do not exist yet, names that differ in case alone
count as one, as many file systems take them to be.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from brainseg_runtime.errors import FileWriteError, InputError
from brainseg_runtime.safe_io.special_files import own_descriptor

_Identity: TypeAlias = tuple[object, ...]

_DEPTH: Final = 4  # levels within a folder of inputs that are checked: one more than any command reads from


def check_outputs(
    outputs: Mapping[str, Path | str | None],
    *,
    files: Iterable[Path] = (),
    folders: Iterable[Path] = (),
) -> None:
    """Refuse outputs that would replace an input or each other, or that cannot be written.

    Args:
        outputs: By option: a path, "-" for standard output, or None if the option was not given.
        files: Files that must not be replaced.
        folders: Folders in which nothing must be written: a bundle must stay whole, and a data set clean.

    Raises:
        InputError: An output is an input, lies in one of the folders, or is another output too.
        FileWriteError: An output is a folder, or its folder cannot be created or written to.
    """
    given = {option: path for option, path in outputs.items() if path is not None}
    _refuse_twins(given)
    real = {option: Path(path) for option, path in given.items() if path != "-" and not _is_special(Path(path))}
    kept = {identity: each for folder in folders for identity, each in _folders(folder)} if real else {}
    for option, path in real.items():
        for ancestor in (path, *Path(os.path.abspath(path)).parents, *Path(os.path.realpath(path)).parents):  # noqa: PTH100
            if (folder := kept.get(_identity(ancestor))) is not None:
                raise _replaces(option, path, f"a place outside {folder}")
        _check_writable(option, path)
    _refuse_inputs({option: path for option, path in real.items() if path.exists()}, files, kept.values())


def _refuse_twins(outputs: Mapping[str, Path | str]) -> None:
    """Refuse two outputs that are one file."""
    seen: dict[_Identity, str] = {}
    for option, path in outputs.items():
        identity = ("descriptor", 1) if path == "-" else _identity(Path(path))
        if path != "-" and _takes_all(Path(path)):
            continue
        if identity in seen:
            raise InputError(
                f"{seen[identity]} and {option} are one file, {path}",
                expected="a file for each",
                remedy=f"give {option} another name",
            )
        seen[identity] = option


def _refuse_inputs(outputs: Mapping[str, Path], files: Iterable[Path], folders: Iterable[Path]) -> None:
    """Refuse an output that exists and is an input too, under whatever name."""
    if not outputs:
        return
    mine = {_identity(path): option for option, path in outputs.items()}
    for each in (*files, *(path for folder in folders for path in _listed(folder))):
        if (option := mine.get(_identity(each))) is not None:
            raise _replaces(option, outputs[option], f"a file other than {each}")


def _replaces(option: str, path: Path, expected: str) -> InputError:
    """The error for an output that would replace an input or lie among the inputs."""
    return InputError(
        f"{option} {path} would be written over or among the inputs",
        expected=expected,
        remedy=f"give {option} another name, outside the inputs and the bundle",
    )


def _check_writable(option: str, path: Path) -> None:
    """Refuse a file that could not be written, before hours of work are spent on its content."""
    if path.is_dir():
        raise FileWriteError(f"{option} {path} cannot be written", expected="a file's name", got="a folder")
    target = Path(os.path.realpath(path))
    above = next((each for each in target.parents if os.path.lexists(each)), target.parent)
    if not above.is_dir():
        raise FileWriteError(f"{option} {path} cannot be written", expected="a folder", got=f"{above} is not a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise FileWriteError(
            f"{option} {path} cannot be written", expected="a writable folder", got=f"{above} is not writable"
        )


def _folders(folder: Path, depth: int = _DEPTH) -> Iterator[tuple[_Identity, Path]]:
    """A folder and those in it; links are followed, since data sets are often trees of them."""
    yield _identity(folder), folder
    if depth:
        for each in _listed(folder):
            if each.is_dir():
                yield from _folders(each, depth - 1)


def _listed(folder: Path) -> list[Path]:
    """The entries of a folder; none if it is not a folder or cannot be listed."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _identity(path: Path) -> _Identity:
    """A value that two paths share if they are one file."""
    own = own_descriptor(path)
    if own is not None:
        return ("descriptor", own)
    try:
        found = path.stat()
    except (OSError, ValueError):
        return (os.path.realpath(path).casefold() if "\0" not in str(path) else str(path),)
    return (found.st_dev, found.st_ino)


def _is_special(path: Path) -> bool:
    """Whether a path leads to a device, a pipe or an open file of this process, which is written to directly."""
    if own_descriptor(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _takes_all(path: Path) -> bool:
    """Whether a path leads to a character device, such as /dev/null, which any number of outputs may share."""
    try:
        return own_descriptor(path) is None and stat.S_ISCHR(path.stat().st_mode)
    except (OSError, ValueError):
        return False
