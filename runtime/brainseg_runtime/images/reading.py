"""Reading slices ahead in threads, and collecting what is wrong with those that cannot be read.

Predicting, evaluating and training all read through here, so they order slices and describe faults alike.

Legend: H rows, W columns, in pixels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.errors import BrainsegError, ImageError, MissingExtraError
from brainseg_runtime.images.dataset import Patient, SlicePaths
from brainseg_runtime.images.slices import read_image, read_mask
from brainseg_runtime.problems import Problem, printable

Item = TypeVar("Item")
Read = TypeVar("Read")


def read_ahead(
    items: Iterable[Item], read: Callable[[Item], Read], *, depth: int, threads: int = 1
) -> Generator[Read, None, None]:
    """Calls `read` on items in other threads, ahead of the caller; yields the results in order.

    Args:
        items: Taken in the caller's thread, a few before their turn.
        read: Called in the other threads.
        depth: Most items that are waiting or being read, at least 1.
        threads: How many read at once.

    Yields:
        One result for each item. An error is raised when that item's turn comes.

    >>> list(read_ahead([1, 2, 3], lambda number: number * 10, depth=2))
    [10, 20, 30]
    """
    coming = iter(items)
    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="brainseg-reader")
    try:
        pending: deque[Future[Read]] = deque(pool.submit(read, item) for item in islice(coming, depth))
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(read, item) for item in islice(coming, 1))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A slice and its mask, or what could be read of them.

    Attributes:
        image: (H, W, 3) uint8, or None.
        mask: (H, W) uint8 with 0 and 1, or None.
        problems: Why one of them is None, or how their sizes differ.
    """

    image: NDArray[np.uint8] | None
    mask: NDArray[np.uint8] | None
    problems: tuple[Problem, ...] = ()


def read_pair(image_path: Path | None, mask_path: Path | None, *, limits: Limits = DEFAULT_LIMITS) -> Pair:
    """Read an image and its mask, or the one of them that is there.

    Args:
        image_path: The image's file; None where a mask lies alone.
        mask_path: The mask's file; None where an image has none.
        limits: Caps on the files' sizes and on H and W.

    Raises:
        MissingExtraError: A file's format needs a library that is not installed.
    """
    problems: list[Problem] = []
    image = _attempt(read_image, image_path, limits, problems)
    mask = _attempt(read_mask, mask_path, limits, problems)
    if image is not None and mask is not None and image.shape[:2] != mask.shape:
        problems.append(size_problem(mask_path, "its image's size", image.shape[:2], mask.shape))
    return Pair(image=image, mask=mask, problems=tuple(problems))


def read_slice(paths: SlicePaths, *, limits: Limits = DEFAULT_LIMITS) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read a slice with its mask.

    Args:
        paths: Where both lie.
        limits: Caps on the files' sizes and on H and W.

    Returns:
        (H, W, 3) uint8 image and (H, W) uint8 mask with 0 and 1.

    Raises:
        ImageError: One cannot be read, the mask is missing, or the two differ in size.
        MissingExtraError: A library that decodes one is not installed.

    >>> import tifffile
    >>> from brainseg_runtime.images import scan_dataset, write_mask
    >>> Path("data/ann").mkdir(parents=True, exist_ok=True)
    >>> tifffile.imwrite("data/ann/ann_1.tif", np.full((32, 32, 3), 90, np.uint8), photometric="rgb")
    >>> write_mask("data/ann/ann_1_mask.tif", np.eye(32, dtype=np.uint8))
    >>> (patient,) = scan_dataset("data")
    >>> image, mask = read_slice(patient.slices[0])
    >>> image.shape, int(mask.sum())
    ((32, 32, 3), 32)
    """
    if paths.mask is None:
        raise ImageError(f"{paths.image} has no mask", expected="a mask beside it", got="none")
    image, mask = read_image(paths.image, limits=limits), read_mask(paths.mask, limits=limits)
    if image.shape[:2] != mask.shape:
        raise ImageError(f"{paths.mask} does not cover its image", expected=image.shape[:2], got=mask.shape)
    return image, mask


def patient_problems(patient: Patient, *, limits: Limits = DEFAULT_LIMITS) -> tuple[str, ...]:
    """Read every file of a patient and list what is wrong: what `scan_dataset` cannot see from names.

    Args:
        patient: As `scan_dataset` finds it.
        limits: Caps on the files' sizes and on H and W.

    Returns:
        One line for each file that cannot be read, is not binary, or is not of the size of its image or, for images, of
        the patient's first readable image.

    Raises:
        MissingExtraError: A file's format needs a library that is not installed.

    >>> import tifffile
    >>> from brainseg_runtime.images import scan_dataset, write_mask
    >>> Path("data/ann").mkdir(parents=True, exist_ok=True)
    >>> tifffile.imwrite("data/ann/ann_1.tif", np.full((32, 32, 3), 90, np.uint8), photometric="rgb")
    >>> write_mask("data/ann/ann_1_mask.tif", np.eye(32, dtype=np.uint8))
    >>> (patient,) = scan_dataset("data")
    >>> patient_problems(patient)
    ()
    """
    problems: list[Problem] = []
    size: tuple[int, ...] | None = None
    for paths in patient.slices:
        pair = read_pair(paths.image, paths.mask, limits=limits)
        if pair.image is not None:
            size = size or pair.image.shape[:2]
            if pair.image.shape[:2] != size:
                problems.append(size_problem(paths.image, "its patient's size", size, pair.image.shape))
        problems += pair.problems
    return tuple(map(str, problems))


def size_problem(path: Path | None, whose: str, expected: Sequence[int], got: Sequence[int]) -> Problem:
    """The problem of a file whose size is not, for example, "its patient's size"."""
    detail = f"; expected {shown_size(expected)} pixels; got {shown_size(got)}"
    return Problem(printable(str(path)), f"is not of {whose}", detail)


def shown_size(size: Sequence[int]) -> str:
    """A size as rows × columns.

    >>> shown_size((256, 192, 3))
    '256×192'
    """
    return "×".join(map(str, size[:2]))


def _attempt(
    read: Callable[..., NDArray[Any]], path: Path | None, limits: Limits, problems: list[Problem]
) -> NDArray[np.uint8] | None:
    """The pixels of a file; None if it cannot be read, with a problem added."""
    if path is None:
        return None
    try:
        pixels: NDArray[np.uint8] = read(path, limits=limits)
    except MissingExtraError:
        raise
    except BrainsegError as error:
        problems.append(_told(path, error))
        return None
    return pixels


def _told(path: Path, error: BrainsegError) -> Problem:
    """A file's fault, with what other files may share (the kind) apart from this file's details."""
    where = str(path)
    what = error.what.replace(where, "", 1) if error.what.startswith(where) else f": {error.what}"
    expected = "" if error.expected is None else f"; expected {error.expected}"
    got = "" if error.got is None else f"; got {error.got}"
    remedy = "" if error.remedy is None else f"; remedy: {error.remedy}"
    return Problem(printable(where), printable(what.strip()), printable(expected + got + remedy))
