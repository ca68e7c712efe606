"""The cache: a data set resized once to the network's size, memory-mapped, and never trusted without a check.

One folder an entry, named by the SHA-256 of the set's files and of the preprocessing:

    images.npy         (N, 128, 128, 3) uint8   resized, rounded
    masks.npy          (N, 128, 128) uint8      resized, 1 where at least half
    native_masks.npy   (N, ceil(H W / 8)) uint8 eight pixels a byte, row by row
    facts.npy          (N,) structured          digests, tumour pixels, blank
    cache.json         form, key, native size, digest of the set, SHA-256 of each file; written last

An entry is filled under a name of its own and takes its final name in one rename, so a reader sees all of it or none,
and of several processes that fill the same entry one wins and the others use its result. The space for an entry is
reserved before the first slice is resized, and arrays are written row by row, not through a map: on a full disk a
write fails with an error, a map ends the process with SIGBUS. Every opening hashes all files (0.1 s for 100 MB);
whatever does not agree is set aside and made again. That is why nothing here is flushed to the disk: a file torn by a
power cut is found by its hash.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.lib.format import write_array_header_1_0
from numpy.typing import NDArray

from brainseg_runtime.contract import MODEL_SIDE
from brainseg_runtime.errors import BrainsegError, DatasetError, FileWriteError
from brainseg_runtime.images import Patient
from brainseg_runtime.safe_io.files import read_capped, write_json
from brainseg_train.data.slices import SliceFacts, SlicePixels, SliceRef, content_digest, digest_of_slices, read_slices
from brainseg_train.errors import CacheError
from brainseg_train.models.pipeline import preprocess, shrink

_FORM = 1
"""Raised when the files or their meaning change, so that older entries are not found."""

_FACTS = np.dtype([("image", "u1", 32), ("mask", "u1", 32), ("tumour_pixels", "<i8"), ("blank", "?")])
_ARRAYS = ("images", "masks", "native_masks", "facts")
_SLICE_BYTES = 75 * 1024
"""What a slice of 256×256 takes in an entry: image and mask as resized, the native mask, its facts."""
_MIB = 1024 * 1024
_MANIFEST = "cache.json"
_MANIFEST_LIMIT = 64 * 1024
"""Bytes; a manifest has about one kilobyte."""
_ABANDONED_S = 24 * 3600.0
"""Seconds after which an unfinished entry is surely of a process that died."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cached:
    """An open entry; its arrays are memory-mapped and read-only."""

    folder: Path
    digest: str
    """SHA-256 of the data set's content, as `content_digest` makes it."""
    native_size: tuple[int, int]
    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    native_masks: NDArray[np.uint8]
    image_digests: NDArray[np.uint8]
    mask_digests: NDArray[np.uint8]
    tumour_pixels: NDArray[np.int64]
    blank: NDArray[np.bool_]


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
    key = hashlib.sha256(f"brainseg cache {_FORM}\n".encode())
    probe = np.random.default_rng(0).integers(0, 256, (1, 200, 256, 3), dtype=np.uint8)
    key.update(_shrink_images(probe).tobytes() + _shrink_masks(probe[..., 0] // np.uint8(128)).tobytes())
    files = [path for ref in slices for path in (ref.image, ref.mask)]
    with ThreadPoolExecutor(4) as pool:  # hashing lets go of the interpreter's lock
        for path, digest in zip(files, pool.map(_file_digest, files), strict=True):
            key.update(f"{path.relative_to(root).as_posix()} {digest}\n".encode(errors="surrogateescape"))
    return key.hexdigest()


def _open(entry: Path, key: str, patients: Sequence[Patient], slices: Sequence[SliceRef]) -> Cached:
    """Verify an entry and map its arrays.

    Raises:
        _DamagedError: Something does not agree with the manifest.
    """
    try:
        manifest = json.loads(read_capped(entry / _MANIFEST, _MANIFEST_LIMIT))
        height, width = (int(value) for value in manifest["native_size"])
        files = {f"{name}.npy": _file_digest(entry / f"{name}.npy") for name in _ARRAYS}
        if manifest["sha256"] != files:
            raise _DamagedError(f"{entry} holds other files than its manifest says")
        arrays = {name: np.load(entry / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS}
    except (OSError, EOFError, ValueError, KeyError, TypeError, BrainsegError) as error:
        raise _DamagedError(f"{entry} is damaged", got=error) from error
    count = len(slices)
    shapes = {
        "images": ((count, MODEL_SIDE, MODEL_SIDE, 3), np.dtype(np.uint8)),
        "masks": ((count, MODEL_SIDE, MODEL_SIDE), np.dtype(np.uint8)),
        "native_masks": ((count, -(-height * width // 8)), np.dtype(np.uint8)),
        "facts": ((count,), _FACTS),
    }
    facts = arrays["facts"]
    if {name: (array.shape, array.dtype) for name, array in arrays.items()} != shapes:
        raise _DamagedError(f"{entry} holds arrays of other shapes", expected=shapes)
    digests = ((row["image"].tobytes(), row["mask"].tobytes()) for row in facts)
    digest = digest_of_slices(patients, slices, digests)
    if manifest != _manifest(key, (height, width), digest, files):
        raise _DamagedError(f"{entry} does not agree with its manifest")
    return Cached(
        folder=entry,
        digest=digest,
        native_size=(height, width),
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
        facts = _fill(temporary, root, slices, on_slice)
        _save_facts(temporary / "facts.npy", facts)
        files = {f"{name}.npy": _file_digest(temporary / f"{name}.npy") for name in _ARRAYS}
        digest = content_digest(patients, slices, facts)
        write_json(temporary / _MANIFEST, _manifest(key, facts[0].size, digest, files))
        try:
            temporary.rename(entry)
        except OSError:
            if not entry.exists():  # it exists where another process filled it meanwhile; then its result serves
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fill(
    temporary: Path, root: Path, slices: Sequence[SliceRef], on_slice: Callable[[int, int], None] | None
) -> tuple[SliceFacts, ...]:
    """Read every slice and write the three arrays of pixels."""
    count = len(slices)
    with contextlib.ExitStack() as opened:
        arrays: list[_Rows] = []

        def visit(_index: int, pixels: SlicePixels) -> None:
            # One slice at a time: its 1.5 MiB of intermediate values stay in the processor's cache, a batch's do not.
            bits = np.packbits(pixels.mask)
            if not arrays:
                sizes = {"images": (MODEL_SIDE, MODEL_SIDE, 3), "masks": (MODEL_SIDE, MODEL_SIDE)}
                for name, row in {**sizes, "native_masks": (bits.size,)}.items():
                    arrays.append(opened.enter_context(_Rows(temporary / f"{name}.npy", (count, *row))))
            images, masks, packed = arrays
            if packed.row == bits.shape:  # else it is of another size than the set's, which read_slices reports
                packed.append(bits)
                images.append(_shrink_images(pixels.image[None])[0])
                masks.append(_shrink_masks(pixels.mask[None])[0])

        return read_slices(root, slices, visit, on_slice=on_slice)


class _Rows:
    """A new .npy file of uint8 whose rows are written in order; its space is reserved when it is made.

    Args:
        path: The file.
        shape: Of the whole array.

    Raises:
        OSError: The system refused, for want of space too.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.row = shape[1:]
        self._file = path.open("xb")
        try:
            write_array_header_1_0(self._file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            self._file.flush()
            _reserve(self._file.fileno(), self._file.tell() + math.prod(shape))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        """The file, open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._file.close()

    def append(self, row: NDArray[np.uint8]) -> None:
        """Write the next row."""
        self._file.write(np.ascontiguousarray(row).tobytes())


def _reserve(descriptor: int, size: int) -> None:
    """Have the file system set a file's space aside, where it can; elsewhere a later write tells.

    Raises:
        OSError: There is not so much space.
    """
    allocate = getattr(os, "posix_fallocate", None)
    if allocate is None:
        return
    try:
        allocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise


def _unusable(folder: Path, count: int, error: Exception) -> CacheError:
    """What to say of a cache folder that cannot be written."""
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


def _save_facts(path: Path, facts: Sequence[SliceFacts]) -> None:
    """Digests, tumour pixels and blankness of every slice as a structured array."""
    array = np.zeros(len(facts), dtype=_FACTS)
    for row, fact in zip(array, facts, strict=True):
        row["image"] = np.frombuffer(fact.image_digest, dtype=np.uint8)
        row["mask"] = np.frombuffer(fact.mask_digest, dtype=np.uint8)
        row["tumour_pixels"] = fact.tumour_pixels
        row["blank"] = fact.blank
    np.save(path, array, allow_pickle=False)


def _shrink_images(image_nhwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, H, W, 3) to (N, 128, 128, 3) uint8; the only place where resized intensities are rounded."""
    with torch.inference_mode():
        scaled = preprocess(torch.from_numpy(image_nhwc), size=MODEL_SIDE)
        rounded: NDArray[np.uint8] = (scaled * 255.0).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return rounded


def _shrink_masks(mask_nhw: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, H, W) of 0 and 1 to (N, 128, 128): 1 where the resized mask is at least a half."""
    with torch.inference_mode():
        soft = shrink(torch.from_numpy(mask_nhw)[:, None].float(), size=MODEL_SIDE)[:, 0]
        # Sums of weights miss an exact half by a few units in the last place, to either side by platform.
        binary: NDArray[np.uint8] = (soft >= 0.5 - 1e-6).to(torch.uint8).numpy()
    return binary


def _manifest(key: str, native_size: tuple[int, int], digest: str, files: dict[str, str]) -> dict[str, object]:
    """What `cache.json` must hold."""
    return {
        "form": _FORM,
        "key": key,
        "native_size": list(native_size),
        "data_digest": digest,
        "sha256": files,
    }


def _file_digest(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _set_aside(entry: Path) -> None:
    """Take a damaged entry out of the way; the rename makes sure that two processes do not delete each other's work."""
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
