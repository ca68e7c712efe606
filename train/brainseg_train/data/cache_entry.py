"""One entry of the cache: its files, and how they are filled.

    images.npy         (N, 128, 128, 3) uint8   resized, rounded
    masks.npy          (N, 128, 128) uint8      resized, 1 where at least half
    native_masks.npy   (N, ceil(H W / 8)) uint8 eight pixels a byte, row by row
    facts.npy          (N,) structured          digests, tumour pixels, blank
    cache.json         form, key, native size, digest of the set, SHA-256 of each file; written last

The space for the arrays of pixels is reserved before the first slice is resized, and they are written row by row, not
through a map: on a full disk a write fails with an error, a map ends the process with SIGBUS.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch
from numpy.lib.format import write_array_header_1_0
from numpy.typing import NDArray

from brainseg_runtime.contract import MODEL_SIDE
from brainseg_runtime.images import Patient
from brainseg_runtime.safe_io.files import write_json
from brainseg_train.data.slices import SliceFacts, SlicePixels, SliceRef, content_digest, read_slices
from brainseg_train.models.pipeline import preprocess, shrink

FORM: Final = 1
"""Raised when the files or their meaning change, so that older entries are not found."""

FACTS: Final = np.dtype([("image", "u1", 32), ("mask", "u1", 32), ("tumour_pixels", "<i8"), ("blank", "?")])
ARRAYS: Final = ("images", "masks", "native_masks", "facts")
MANIFEST: Final = "cache.json"


def fill_entry(
    folder: Path,
    key: str,
    root: Path,
    patients: Sequence[Patient],
    slices: Sequence[SliceRef],
    on_slice: Callable[[int, int], None] | None,
) -> None:
    """Read a data set and write an entry's files into an empty folder.

    Args:
        folder: The empty folder.
        key: The entry's name.
        root: The data set's folder.
        patients: Its patients.
        slices: Its slices.
        on_slice: Called with how many slices of how many are in the entry, after each one.

    Raises:
        DatasetError: The set is faulty; it names every fault.
        OSError: The system refused, for want of space too.
    """
    facts = _fill(folder, root, slices, on_slice)
    _save_facts(folder / "facts.npy", facts)
    files = {f"{name}.npy": file_digest(folder / f"{name}.npy") for name in ARRAYS}
    digest = content_digest(patients, slices, facts)
    write_json(folder / MANIFEST, manifest_of(key, facts[0].size, digest, files))


def shrink_images(image_nhwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, H, W, 3) to (N, 128, 128, 3) uint8; the only place where resized intensities are rounded."""
    with torch.inference_mode():
        scaled = preprocess(torch.from_numpy(image_nhwc), size=MODEL_SIDE)
        rounded: NDArray[np.uint8] = (scaled * 255.0).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return rounded


def shrink_masks(mask_nhw: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, H, W) of 0 and 1 to (N, 128, 128): 1 where the resized mask is at least a half."""
    with torch.inference_mode():
        soft = shrink(torch.from_numpy(mask_nhw)[:, None].float(), size=MODEL_SIDE)[:, 0]
        # Sums of weights miss an exact half by a few units in the last place, to either side by platform.
        binary: NDArray[np.uint8] = (soft >= 0.5 - 1e-6).to(torch.uint8).numpy()
    return binary


def manifest_of(key: str, native_size: tuple[int, int], digest: str, files: dict[str, str]) -> dict[str, object]:
    """What `cache.json` must hold."""
    return {
        "form": FORM,
        "key": key,
        "native_size": list(native_size),
        "data_digest": digest,
        "sha256": files,
    }


def file_digest(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
                images.append(shrink_images(pixels.image[None])[0])
                masks.append(shrink_masks(pixels.mask[None])[0])

        return read_slices(root, slices, visit, on_slice=on_slice)


class _Rows:
    """A new .npy file of uint8 whose rows are written in order; its space is reserved when it is made.

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
    """Reserve a file's space, where the file system can; elsewhere a later write fails if space runs out.

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


def _save_facts(path: Path, facts: Sequence[SliceFacts]) -> None:
    """Digests, tumour pixels and blankness of every slice as a structured array."""
    array = np.zeros(len(facts), dtype=FACTS)
    for row, fact in zip(array, facts, strict=True):
        row["image"] = np.frombuffer(fact.image_digest, dtype=np.uint8)
        row["mask"] = np.frombuffer(fact.mask_digest, dtype=np.uint8)
        row["tumour_pixels"] = fact.tumour_pixels
        row["blank"] = fact.blank
    np.save(path, array, allow_pickle=False)
