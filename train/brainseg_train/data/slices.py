"""What the slices of a data set hold: every pixel read once, checked, counted and hashed.

The cache and the check both read a set through here, so both report the same faults, and all of them.

Legend: H rows, W columns; channel 0 pre-contrast, 1 FLAIR, 2 post-contrast.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.images import Patient
from brainseg_runtime.images.dataset import Survey, remedy_of, survey, unusable
from brainseg_runtime.images.names import belongs, folder_name
from brainseg_runtime.images.reading import read_ahead, read_pair, size_problem
from brainseg_runtime.problems import Problem, grouped, printable

_Number = TypeVar("_Number", int, float)

NATIVE_SIZE = (256, 256)
"""Rows and columns of a `kaggle_3m` slice, pixels."""

_AHEAD = 32
"""Slices read ahead: 8 MiB of pixels, enough to keep the threads busy."""

_THREADS = 4
"""Reading is half decoding under the interpreter's lock, half waiting for the disk: more threads gain nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceRef:
    """One slice of a data set: its patient and its two files."""

    patient: int
    """Index into the data set's patients."""
    number: int
    """The slice's number, as in the file name."""
    image: Path
    mask: Path

    @property
    def key(self) -> str:
        """A name unique in the set: the file's, with the patient's in front where it does not begin with that."""
        stem, folder = self.image.stem, folder_name(self.image.parent)
        return printable(stem) if belongs(stem, folder) else f"{folder}/{printable(stem)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class SlicePixels:
    """One slice as read from its files."""

    image: NDArray[np.uint8]
    """(H, W, 3)."""
    mask: NDArray[np.uint8]
    """(H, W), 0 or 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceFacts:
    """Facts about a slice's pixels."""

    image_digest: bytes
    """SHA-256 of size and pixels, 32 bytes."""
    mask_digest: bytes
    """SHA-256 of size and pixels (0 or 1), 32 bytes."""
    size: tuple[int, int]
    """Rows and columns, pixels."""
    tumour_pixels: int
    low: tuple[int, int, int]
    """Least intensity of each channel, 0 to 255."""
    high: tuple[int, int, int]
    """Greatest intensity of each channel, 0 to 255."""
    mean: tuple[float, float, float]
    """Mean intensity of each channel."""
    blank: bool
    """Every channel holds a single value, so that the slice does not identify a patient."""
    pre_repeats_flair: bool
    """The pre-contrast channel equals FLAIR pixel by pixel, in a slice that is not blank: the sequence is missing."""
    post_repeats_flair: bool
    """The same for the post-contrast channel."""


def find_slices(
    root: Path, *, tell: Callable[[str], None] | None = None
) -> tuple[tuple[Patient, ...], tuple[SliceRef, ...]]:
    """Patients and slices of a folder in the `kaggle_3m` layout, in order of patient name and slice number.

    Args:
        root: The folder of patient folders.
        tell: Called with a line for each kind of file that was left out, such as results of earlier runs.

    Raises:
        DatasetError: The folder's structure is faulty. It names every fault in structure and in pixels, so that one
            check shows all that must be fixed.
    """
    found = survey(Path(root))
    if found.problems:
        problems = [*found.problems, *_pixel_problems(found)]
        raise unusable(Path(root), problems, remedy=remedy_of(found))
    if tell is not None:
        for line in grouped(found.left_out):
            tell(f"left out: {line}")
    slices = [
        SliceRef(patient=index, number=paths.number, image=paths.image, mask=paths.mask)
        for index, patient in enumerate(found.patients)
        for paths in patient.slices
        if paths.mask is not None  # as the survey has seen
    ]
    return found.patients, tuple(slices)


def read_slices(
    root: Path,
    slices: Sequence[SliceRef],
    visit: Callable[[int, SlicePixels], None] | None = None,
    *,
    on_slice: Callable[[int, int], None] | None = None,
) -> tuple[SliceFacts, ...]:
    """Read every slice, in order, a few ahead of the one that is visited.

    All slices of a set must have one size: `NATIVE_SIZE` where any slice has it, else the size that most slices have.

    Args:
        root: The data set's folder, for messages.
        slices: What to read.
        visit: Called in this thread with each slice's index and pixels, until a slice is faulty.
        on_slice: Called in this thread after each slice, with how many of how many are read.

    Returns:
        The facts of each slice.

    Raises:
        DatasetError: Files that are unreadable, truncated, of the wrong type or size, or masks that are not binary;
            it names every one.
    """
    facts: list[SliceFacts] = []
    problems: list[Problem] = []
    sizes: list[tuple[Path, tuple[int, int]]] = []
    for index, pair in enumerate(_read_all((s.image, s.mask) for s in slices)):
        problems += pair.problems
        sizes += pair.sizes
        if pair.pixels is not None and pair.facts is not None:
            facts.append(pair.facts)
            if visit is not None and not problems:
                visit(index, pair.pixels)
        if on_slice is not None:
            on_slice(index + 1, len(slices))
    problems += _size_problems(sizes)
    if problems:
        remedy = "correct the listed files; nothing is skipped silently"
        raise unusable(root, problems, remedy=remedy)
    return tuple(facts)


def content_digest(patients: Sequence[Patient], slices: Sequence[SliceRef], facts: Sequence[SliceFacts]) -> str:
    """SHA-256 of the whole set: names, numbers and pixels, not files, so compression and location do not matter.

    Returns:
        64 hexadecimal digits.
    """
    digests = ((fact.image_digest, fact.mask_digest) for fact in facts)
    return digest_of_slices(patients, slices, digests)


def digest_of_slices(
    patients: Sequence[Patient], slices: Sequence[SliceRef], digests: Iterable[tuple[bytes, bytes]]
) -> str:
    """`content_digest` from each slice's image and mask digest alone."""
    total = hashlib.sha256(b"brainseg data set 1\n")
    for ref, (image, mask) in zip(slices, digests, strict=True):
        total.update(f"{patients[ref.patient].id} {ref.number} {image.hex()} {mask.hex()}\n".encode())
    return total.hexdigest()


def duplicates_across_patients(
    slices: Sequence[SliceRef], digests: Sequence[bytes], blank: Sequence[bool]
) -> tuple[tuple[int, ...], ...]:
    """Groups of slices, by position, that are identical pixel for pixel and belong to more than one patient.

    A blank slice could be anybody's, so equal blank slices are not a group.
    """
    groups: defaultdict[bytes, list[int]] = defaultdict(list)
    for position, (digest, is_blank) in enumerate(zip(digests, blank, strict=True)):
        if not is_blank:
            groups[digest].append(position)
    return tuple(tuple(group) for group in groups.values() if len({slices[one].patient for one in group}) > 1)


def pixel_digest(pixels: NDArray[np.uint8]) -> bytes:
    """SHA-256 of an array's shape and bytes, 32 bytes."""
    header = "x".join(map(str, pixels.shape)).encode()
    return hashlib.sha256(header + b"\n" + np.ascontiguousarray(pixels).tobytes()).digest()


def slice_facts(pixels: SlicePixels) -> SliceFacts:
    """Count and hash one slice's pixels."""
    channels = np.ascontiguousarray(np.moveaxis(pixels.image, 2, 0)).reshape(3, -1)
    low, high = channels.min(axis=1), channels.max(axis=1)
    blank = bool((low == high).all())
    pre, flair, post = channels
    return SliceFacts(
        image_digest=pixel_digest(pixels.image),
        mask_digest=pixel_digest(pixels.mask),
        size=(pixels.image.shape[0], pixels.image.shape[1]),
        tumour_pixels=int(np.count_nonzero(pixels.mask)),
        low=_triple(low.tolist()),
        high=_triple(high.tolist()),
        mean=_triple((channels.sum(axis=1, dtype=np.int64) / channels.shape[1]).tolist()),
        blank=blank,
        pre_repeats_flair=not blank and bool(np.array_equal(pre, flair)),
        post_repeats_flair=not blank and bool(np.array_equal(post, flair)),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pair:
    """Result of reading one slice's files."""

    pixels: SlicePixels | None
    facts: SliceFacts | None
    sizes: tuple[tuple[Path, tuple[int, int]], ...]
    problems: tuple[Problem, ...]


def _read_all(pairs: Iterable[tuple[Path | None, Path | None]]) -> Iterable[_Pair]:
    """Read pairs of files with a few threads, in order, ahead of the caller."""
    return read_ahead(pairs, lambda pair: _read_pair(*pair), depth=_AHEAD, threads=_THREADS)


def _read_pair(image_path: Path | None, mask_path: Path | None) -> _Pair:
    """Read an image and its mask, or the one of them that exists."""
    read = read_pair(image_path, mask_path)
    pixels = None
    if read.image is not None and read.mask is not None and not read.problems:
        pixels = SlicePixels(image=read.image, mask=read.mask)
    height, width = (0, 0) if read.image is None else read.image.shape[:2]
    return _Pair(
        pixels=pixels,
        facts=None if pixels is None else slice_facts(pixels),
        sizes=() if read.image is None or image_path is None else ((image_path, (height, width)),),
        problems=read.problems,
    )


def _size_problems(sizes: Sequence[tuple[Path, tuple[int, int]]]) -> list[Problem]:
    """Images whose size is not the set's."""
    counts = Counter(size for _, size in sizes)
    if len(counts) < 2:
        return []
    # Ties go to the larger size, so that the answer does not depend on the order of files.
    expected = NATIVE_SIZE if NATIVE_SIZE in counts else max(counts, key=lambda size: (counts[size], size))
    return [size_problem(path, "the set's size", expected, size) for path, size in sizes if size != expected]


def _pixel_problems(found: Survey) -> list[Problem]:
    """Faults in the pixels of all images and masks that were found in spite of a faulty structure."""
    pairs: list[tuple[Path | None, Path | None]] = [
        (paths.image, paths.mask) for patient in found.patients for paths in patient.slices
    ]
    pairs += [(None, mask) for mask in found.orphans]
    read = list(_read_all(pairs))
    problems = [problem for pair in read for problem in pair.problems]
    return problems + _size_problems([size for pair in read for size in pair.sizes])


def _triple(values: Sequence[_Number]) -> tuple[_Number, _Number, _Number]:
    """One value for each channel."""
    first, second, third = values
    return first, second, third
