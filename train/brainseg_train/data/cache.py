"""The cache: a data set resized once to the network's size, memory-mapped, and never trusted without a check.

Each entry is a folder, named by the SHA-256 of the set's files and of the preprocessing; `cache_entry` says what is in
it. An entry is filled under a name of its own and takes its final name in one rename, so a reader sees all of it or
none, and of several processes that fill the same entry one wins and the others use its result. Every opening hashes all
files (0.1 s for 100 MB); whatever does not agree is set aside and made again. That is why nothing here is flushed to
the disk: a file torn by a power cut is found by its hash.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

import errno
import hashlib
import json
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import MODEL_SIDE
from brainseg_runtime.errors import BrainsegError, DatasetError, FileWriteError
from brainseg_runtime.images import Patient
from brainseg_runtime.safe_io.files import read_capped
from brainseg_train.data.cache_entry import (
    ARRAYS,
    FACTS,
    FORM,
    MANIFEST,
    file_digest,
    fill_entry,
    manifest_of,
    shrink_images,
    shrink_masks,
)
from brainseg_train.data.slices import SliceRef, digest_of_slices, read_slices
from brainseg_train.errors import CacheError

_SLICE_BYTES: Final = 75 * 1024
"""What a slice of 256×256 takes in an entry: image and mask as resized, the native mask, its facts."""
_MIB: Final = 1024 * 1024
_MANIFEST_LIMIT: Final = 64 * 1024
"""Bytes; a manifest has about one kilobyte."""
_ABANDONED_S: Final = 24 * 3600.0
"""Seconds after which an unfinished entry must be from a process that died."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cached:
    """An open entry; its arrays are memory-mapped and read-only, and row i of each belongs to slice i."""

    folder: Path
    digest: str
    """SHA-256 of names, numbers and native pixels of the whole set, as `content_digest` makes it."""
    size: tuple[int, int]
    """Native rows and columns of every slice, pixels."""
    images: NDArray[np.uint8]
    """(N, 128, 128, 3): pre-contrast, FLAIR, post-contrast."""
    masks: NDArray[np.uint8]
    """(N, 128, 128), 0 or 1."""
    native_masks: NDArray[np.uint8]
    """(N, ceil(H W / 8)), eight pixels a byte."""
    image_digests: NDArray[np.uint8]
    """(N, 32) SHA-256 of each slice's native image."""
    mask_digests: NDArray[np.uint8]
    """(N, 32) SHA-256 of each slice's native mask."""
    tumour_pixels: NDArray[np.int64]
    """(N,) tumour pixels of each slice at native size."""
    blank: NDArray[np.bool_]
    """(N,) whether every channel of a slice holds a single value."""


class _DamagedError(CacheError):
    """An entry that does not agree with its manifest; it is rebuilt, so no caller ever sees this."""


def open_or_build(
    folder: Path,
    root: Path,
    patients: Sequence[Patient],
    slices: Sequence[SliceRef],
    *,
    on_slice: Callable[[int, int], None] | None = None,
) -> Cached:
    """The entry of a data set, made first if it is missing or damaged.

    Args:
        folder: Folder of all entries; made if missing.
        root: The data set's folder.
        patients: Its patients.
        slices: Its slices.
        on_slice: Called, where the entry is made, with how many slices of how many are in it, after each one.

    Raises:
        DatasetError: The set is faulty; it names every fault.
        CacheError: The folder cannot be written.
    """
    try:
        key = entry_key(root, slices)
    except OSError as error:
        read_slices(root, slices)  # tells this file's fault with all others
        raise DatasetError(f"{root} changed while it was read", problems=[str(error)], remedy="try again") from error
    entry = folder / key
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        while True:
            if entry.exists():
                try:
                    return _open(entry, key, patients, slices)
                except _DamagedError:
                    _set_aside(entry)
            _build(entry, key, root, patients, slices, on_slice)
    except (OSError, BrainsegError) as error:
        if isinstance(error, BrainsegError) and not isinstance(error, (_DamagedError, FileWriteError)):
            raise
        raise _unusable(folder, len(slices), error) from error


def entry_key(root: Path, slices: Sequence[SliceRef]) -> str:
    """SHA-256 of every file's name and bytes, and of what the preprocessing makes of a probe.

    The probe makes a changed preprocessing find no old entry, without anybody's remembering to raise a number.

    Raises:
        OSError: A file cannot be read.
    """
    key = hashlib.sha256(f"brainseg cache {FORM}\n".encode())
    probe = np.random.default_rng(0).integers(0, 256, (1, 200, 256, 3), dtype=np.uint8)
    key.update(shrink_images(probe).tobytes() + shrink_masks(probe[..., 0] // np.uint8(128)).tobytes())
    files = [path for ref in slices for path in (ref.image, ref.mask)]
    with ThreadPoolExecutor(4) as pool:  # hashing lets go of the interpreter's lock
        for path, digest in zip(files, pool.map(file_digest, files), strict=True):
            key.update(f"{path.relative_to(root).as_posix()} {digest}\n".encode(errors="surrogateescape"))
    return key.hexdigest()


def _open(entry: Path, key: str, patients: Sequence[Patient], slices: Sequence[SliceRef]) -> Cached:
    """Verify an entry and map its arrays.

    Raises:
        _DamagedError: Something does not agree with the manifest.
    """
    try:
        manifest = json.loads(read_capped(entry / MANIFEST, _MANIFEST_LIMIT))
        height, width = (int(value) for value in manifest["native_size"])
        files = {f"{name}.npy": file_digest(entry / f"{name}.npy") for name in ARRAYS}
        if manifest["sha256"] != files:
            raise _DamagedError(f"{entry} holds other files than its manifest says")
        arrays = {name: np.load(entry / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS}
    except (OSError, EOFError, ValueError, KeyError, TypeError, BrainsegError) as error:
        raise _DamagedError(f"{entry} is damaged", got=error) from error
    count = len(slices)
    shapes = {
        "images": ((count, MODEL_SIDE, MODEL_SIDE, 3), np.dtype(np.uint8)),
        "masks": ((count, MODEL_SIDE, MODEL_SIDE), np.dtype(np.uint8)),
        "native_masks": ((count, -(-height * width // 8)), np.dtype(np.uint8)),
        "facts": ((count,), FACTS),
    }
    facts = arrays["facts"]
    if {name: (array.shape, array.dtype) for name, array in arrays.items()} != shapes:
        raise _DamagedError(f"{entry} holds arrays of other shapes", expected=shapes)
    digests = ((row["image"].tobytes(), row["mask"].tobytes()) for row in facts)
    digest = digest_of_slices(patients, slices, digests)
    if manifest != manifest_of(key, (height, width), digest, files):
        raise _DamagedError(f"{entry} does not agree with its manifest")
    return Cached(
        folder=entry,
        digest=digest,
        size=(height, width),
        images=arrays["images"],
        masks=arrays["masks"],
        native_masks=arrays["native_masks"],
        image_digests=np.ascontiguousarray(facts["image"]),
        mask_digests=np.ascontiguousarray(facts["mask"]),
        tumour_pixels=np.ascontiguousarray(facts["tumour_pixels"]),
        blank=np.ascontiguousarray(facts["blank"]),
    )


def _build(
    entry: Path,
    key: str,
    root: Path,
    patients: Sequence[Patient],
    slices: Sequence[SliceRef],
    on_slice: Callable[[int, int], None] | None,
) -> None:
    """Fill an entry under a name of its own, then give it its final name, unless another process was first."""
    temporary = entry.with_name(f".{entry.name}.{secrets.token_hex(6)}.tmp")
    try:
        temporary.mkdir()
        fill_entry(temporary, key, root, patients, slices, on_slice)
        try:
            temporary.rename(entry)
        except OSError:
            if not entry.exists():  # it exists where another process filled it meanwhile; then its result serves
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unusable(folder: Path, count: int, error: Exception) -> CacheError:
    """The error for a cache folder that cannot be written."""
    cause = error.__cause__ if isinstance(error, FileWriteError) else error
    remedy = "name another folder with --cache DIR"
    if isinstance(cause, OSError) and cause.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        try:
            free = f"{shutil.disk_usage(folder).free / _MIB:.0f} MiB free"
        except OSError:
            free = "an unknown amount"
        return CacheError(
            f"there is no space for the resized slices in the cache folder {folder}",
            expected=f"{count * _SLICE_BYTES / _MIB:.0f} MiB, 75 KiB for each of {count} slices",
            got=f"{free} ({cause.strerror})",
            remedy=f"free space there, or {remedy}",
        )
    return CacheError(
        f"the cache folder {folder} cannot be used",
        expected="a writable folder with space for 75 KiB a slice",
        got=error,
        remedy=remedy,
    )


def _set_aside(entry: Path) -> None:
    """Move a damaged entry aside; the rename keeps two processes from deleting each other's work."""
    aside = entry.with_name(f".{entry.name}.{secrets.token_hex(6)}.tmp")
    try:
        entry.rename(aside)
    except FileNotFoundError:
        return  # another process was faster
    shutil.rmtree(aside, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Delete what processes that died left behind."""
    for path in folder.glob(".*.tmp"):
        try:
            abandoned = time.time() - path.stat().st_mtime > _ABANDONED_S
        except FileNotFoundError:
            continue
        if abandoned:
            shutil.rmtree(path, ignore_errors=True)
