"""The node's state folder: one node at a time, closed to other users, with the key that hides UIDs."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import os
import secrets
import shutil
import sys
from pathlib import Path
from typing import IO, Final

from brainseg_runtime.errors import NodeFolderError
from brainseg_runtime.node.store.faults import named
from brainseg_runtime.safe_io.exclusive import lock_at_once
from brainseg_runtime.safe_io.files import read_capped, sync_folder

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
_OWN_NAMES: Final = frozenset(
    {"lock", ".key.tmp", "incoming", "studies", "results", "audit", "node.sqlite3", "lost+found"}
)
"""What a folder without a key may hold: a kill may have come before it; the last is a file system's own."""
_KEY_BYTES: Final = 32
"""As long as SHA-256's output; a longer key adds nothing to HMAC-SHA256."""
_SHOWN_DIGITS: Final = 16
"""64 bits: among a million studies, two have the same key with a chance of 3 in 100 million."""


class NodeFolder:
    """A state folder that is open and locked.

    Attributes:
        path: The folder.
        incoming: Where images are written until they are whole; emptied when the folder is opened.
        studies: Images by study.
        results: Results by study and revision.
        audit: Audit files by month.
        database: The database's file.
        key: 32 random bytes, made once; never leaves the folder.
    """

    def __init__(self, path: Path, lock: IO[bytes]) -> None:
        self.path = path
        self.incoming = path / "incoming"
        self.studies = path / "studies"
        self.results = path / "results"
        self.audit = path / "audit"
        self.database = path / "node.sqlite3"
        self._lock = lock
        self.key = b""

    @classmethod
    def open(cls, path: Path) -> NodeFolder:
        """Opens a folder, which is made if it does not exist, and locks it for this process.

        Raises:
            NodeFolderError: Another node has it, its key is damaged or missing, or something else stands there.
            NodeFullError: It cannot be written.
        """
        path = Path(os.path.abspath(path))  # noqa: PTH100 - links are kept; the process may change its folder
        with named("the node's folder cannot be opened"):
            _refuse_others(path)
            _require_own(path)
            private_folder(path)
            folder = cls(path, _locked(path / "lock"))
            try:
                for each in (folder.incoming, folder.studies, folder.results, folder.audit):
                    private_folder(each)
                folder.key = _key(path / "key", made_before=folder.database.exists())
                for left in folder.incoming.iterdir():
                    remove(left)
            except BaseException:
                folder.close()
                raise
        return folder

    def close(self) -> None:
        """Lets another node open the folder."""
        self._lock.close()

    def key_of(self, text: str) -> str:
        """The name under which a UID, title or address is shown: 16 hexadecimal digits."""
        return self.hidden(text).hex()[:_SHOWN_DIGITS]

    def hidden(self, text: str) -> bytes:
        """The keyed hash of a text, 32 bytes: HMAC-SHA256."""
        return hmac.digest(self.key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)


def private_folder(path: Path) -> None:
    """Makes a folder, and those above it, closed to other users whatever the umask; the new name is flushed."""
    if not path.is_dir():
        path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        sync_folder(path.parent)
    if path.stat().st_mode & 0o777 != FOLDER_MODE:
        path.chmod(FOLDER_MODE)


def private_file(path: Path, flags: int) -> IO[bytes]:
    """Opens a file for this user alone, whatever the umask; it is made if it does not exist."""
    descriptor = os.open(
        path, flags | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0), FILE_MODE
    )
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, FILE_MODE)
    return os.fdopen(descriptor, "r+b", buffering=0)


def make_private(folder: Path) -> None:
    """Closes a tree to other users; links in it are refused."""
    for parent, _, names in os.walk(folder):
        Path(parent).chmod(FOLDER_MODE)
        for name in names:
            path = Path(parent) / name
            if path.is_symlink():
                raise NodeFolderError("a result cannot be taken", expected="regular files", got="a link")
            path.chmod(FILE_MODE)


def remove(path: Path) -> None:
    """Removes a file or a tree, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def discard(path: Path) -> None:
    """Removes a file or a tree that no row names; what the system refuses to remove, `cleaning` tries again."""
    with contextlib.suppress(OSError):
        remove(path)


def _refuse_others(path: Path) -> None:
    """Refuses a folder that holds something else, since a node deletes there what it does not know."""
    if path.is_dir():
        if (path / "key").exists():
            return
        others = {each.name for each in path.iterdir()} - _OWN_NAMES
        homes = (each for each in (path / "studies", path / "results") if each.is_dir())
        if not others and not any(any(home.iterdir()) for home in homes):
            return
    elif not path.exists():
        return
    raise NodeFolderError(
        "the node's folder cannot be opened",
        expected="a node's folder, an empty one, or none",
        got="a folder with something else in it" if path.is_dir() else "a file",
        remedy="name another with --folder",
    )


def _require_own(path: Path) -> None:
    """Refuses another user's folder: what root made there, the folder's own user could not read afterwards."""
    if sys.platform == "win32" or not path.is_dir():
        return
    owner = path.stat().st_uid
    if owner != os.geteuid():
        raise NodeFolderError(
            "the node's folder belongs to another user",
            expected=f"user {os.geteuid()}, as whom this runs",
            got=f"user {owner}",
            remedy="run it as the folder's user, or give the folder to this one",
        )


def _locked(path: Path) -> IO[bytes]:
    """A file that stays locked until it is closed or the process ends, however it ends."""
    file = private_file(path, os.O_RDWR)
    try:
        lock_at_once(file)
    except OSError as error:
        file.close()
        raise NodeFolderError(
            "the node's folder is in use",
            expected="one node at a time",
            got="another one" if error.errno in {errno.EAGAIN, errno.EACCES} else error.strerror,
            remedy="stop the other node, or name another folder with --folder",
        ) from error
    return file


def _key(path: Path, *, made_before: bool) -> bytes:
    """The folder's key; made if the folder is new."""
    if not path.exists():
        if made_before:
            raise _bad_key("no key beside the database")
        _make_key(path)
    key = read_capped(path, _KEY_BYTES, error=NodeFolderError)
    if len(key) != _KEY_BYTES:
        raise _bad_key(f"{len(key)} bytes")
    path.chmod(FILE_MODE)
    return key


def _make_key(path: Path) -> None:
    temporary = path.with_name(".key.tmp")
    with contextlib.closing(private_file(temporary, os.O_RDWR | os.O_TRUNC)) as file:
        file.write(secrets.token_bytes(_KEY_BYTES))
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def _bad_key(got: str) -> NodeFolderError:
    return NodeFolderError(
        "the node's key is damaged",
        expected=f"{_KEY_BYTES} bytes, made with the folder",
        got=got,
        remedy="restore the file `key` from a backup, or start with an empty folder",
    )
