"""Golden vectors: images and the answers that each variant must give, so that a site can check its own machine.

``golden.npz`` holds, for case k (000, 001, ...) and each variant v, as plain arrays without pickled objects:

    k.image           (N, H, W, 3) uint8
    k.v.mask          (N, H, W)    uint8, 0 or 1
    k.v.probability   (N, H, W)    float32, in [0, 1]
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.errors import BundleSchemaError

_ENTRY: Final = re.compile(r"([0-9]{3})\.(?:([A-Za-z0-9][A-Za-z0-9_+-]{0,63})\.)?(image|mask|probability)\.npy")
_HEADER: Final = np.lib.format
_DTYPES: Final = {"image": np.uint8, "mask": np.uint8, "probability": np.float32}
_MAX_ENTRIES: Final = 1_000


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One variant's answer to one case."""

    mask: NDArray[np.uint8]
    """(N, H, W), 0 or 1."""
    probability: NDArray[np.float32]
    """(N, H, W), in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class GoldenCase:
    """One batch of images, and the answers by variant."""

    image: NDArray[np.uint8]
    """(N, H, W, 3)."""
    answers: Mapping[str, Answer]


def encode(cases: Sequence[GoldenCase]) -> bytes:
    """The bytes of ``golden.npz``; equal cases give equal bytes.

    Args:
        cases: At most 1,000 arrays in all.

    Returns:
        A compressed NPZ file.

    Examples:
        >>> answer = Answer(mask=np.zeros((1, 16, 16), np.uint8), probability=np.zeros((1, 16, 16), np.float32))
        >>> case = GoldenCase(image=np.zeros((1, 16, 16, 3), np.uint8), answers={"fp32": answer})
        >>> list(decode(encode([case]))[0].answers)
        ['fp32']
    """
    arrays: dict[str, Any] = {}
    for number, case in enumerate(cases):
        arrays[f"{number:03}.image"] = case.image
        for variant, answer in case.answers.items():
            arrays[f"{number:03}.{variant}.mask"] = answer.mask
            arrays[f"{number:03}.{variant}.probability"] = answer.probability
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def decode(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> tuple[GoldenCase, ...]:
    """Read ``golden.npz`` without trusting the sizes that it states.

    Args:
        data: The file.
        limits: `max_golden_bytes` caps its size once decompressed.

    Returns:
        The cases in order.

    Raises:
        BundleSchemaError: It is not such a file, exceeds the cap, or its arrays do not fit together.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            arrays = _read_arrays(archive, limits)
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, RuntimeError, NotImplementedError) as cause:
        raise BundleSchemaError("golden.npz cannot be read", expected="an NPZ of plain arrays", got=cause) from cause
    return tuple(_case(arrays, number) for number in sorted({key[0] for key in arrays}))


def _read_arrays(archive: zipfile.ZipFile, limits: Limits) -> dict[tuple[str, str | None, str], NDArray[Any]]:
    """Every array of the archive by case, variant and kind."""
    entries = archive.infolist()
    if len(entries) > _MAX_ENTRIES or sum(entry.file_size for entry in entries) > limits.max_golden_bytes:
        raise ValueError(f"more than {_MAX_ENTRIES} arrays or {limits.max_golden_bytes} bytes")
    arrays = {}
    for entry in entries:
        match = _ENTRY.fullmatch(entry.filename)
        if match is None or match.groups() in arrays:
            raise ValueError(f"unexpected or repeated entry {entry.filename[:80]!a}")
        number, variant, kind = match.groups()
        arrays[number, variant, kind] = _read_array(archive.read(entry), kind)
    return arrays


def _read_array(data: bytes, kind: str) -> NDArray[Any]:
    """One NPY array, its header checked against its length before memory is allocated."""
    stream = io.BytesIO(data)
    if _HEADER.read_magic(stream) != (1, 0):
        raise ValueError("an array in a format other than NPY 1.0")
    shape, fortran, dtype = _HEADER.read_array_header_1_0(stream)
    count = int(np.prod(shape, dtype=np.float64))
    if dtype != _DTYPES[kind] or fortran or count * dtype.itemsize != len(data) - stream.tell():
        raise ValueError(f"a {kind} that is not a plain {np.dtype(_DTYPES[kind])} array")
    return np.frombuffer(data, dtype, offset=stream.tell()).reshape(shape)


def _case(arrays: Mapping[tuple[str, str | None, str], NDArray[Any]], number: str) -> GoldenCase:
    """One case, its arrays checked against each other."""
    image = arrays.get((number, None, "image"))
    variants = [variant for case, variant, _ in arrays if case == number and variant is not None]
    if image is None or image.ndim != 4 or image.shape[-1] != 3 or not variants:
        raise BundleSchemaError(f"golden.npz: case {number} is wrong", expected="an image (N, H, W, 3) and answers")
    answers = {}
    for variant in dict.fromkeys(variants):
        mask, probability = arrays.get((number, variant, "mask")), arrays.get((number, variant, "probability"))
        if mask is None or probability is None or not mask.shape == probability.shape == image.shape[:3]:
            raise BundleSchemaError(
                f"golden.npz: case {number} is wrong", expected=f"mask and probability of {variant}"
            )
        answers[variant] = Answer(mask=mask, probability=probability)
    return GoldenCase(image=image, answers=answers)
