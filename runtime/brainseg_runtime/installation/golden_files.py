"""The golden cases of a bundle as raw bytes with an index, for hosts in languages that do not read NPZ.

A folder holds ``index.json`` and, for case k (000, 001, ...) and variant v, in C order, little endian:

    k-image.u8           (N, H, W, 3) uint8
    k-v-mask.u8          (N, H, W)    uint8, 0 or 1
    k-v-probability.f32  (N, H, W)    float32, in [0, 1]
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.bundles.bundle import Bundle
from brainseg_runtime.bundles.golden import GoldenCase, decode
from brainseg_runtime.bundles.manifest import FileName, Fraction, Label, Sha256
from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.errors import BrainsegError, BundleSchemaError, InputError
from brainseg_runtime.safe_io import typed_json
from brainseg_runtime.safe_io.files import read_capped, replace_folder, write_json
from brainseg_runtime.safe_io.litter import is_litter
from brainseg_runtime.safe_io.strict_json import MAX_INTEGER, parse
from brainseg_runtime.safe_io.typed_json import Between

INDEX_NAME: Final = "index.json"
SCHEMA: Final = "brainseg/golden/1"

_TYPES: Final = {"uint8": ("u8", "<u1"), "float32": ("f32", "<f4")}


@dataclass(frozen=True, kw_only=True)
class RawArray:
    """An array in a file of its own: its elements in C order, little endian, and nothing else."""

    file: FileName
    """In the index's folder."""
    dtype: str
    """``uint8`` or ``float32``."""
    shape: tuple[Annotated[int, Between(0, MAX_INTEGER)], ...]
    """Lengths of the axes; the file has their product times the size of an element, in bytes."""
    sha256: Sha256
    """Of the file."""


@dataclass(frozen=True, kw_only=True)
class RawAnswer:
    """What one variant must answer to a case."""

    mask: RawArray
    """(N, H, W) uint8, 0 or 1."""
    probability: RawArray
    """(N, H, W) float32, in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class RawCase:
    """One batch of images and the answers by variant."""

    name: str
    """Its number in the bundle's golden vectors: 000, 001 and so on."""
    image: RawArray
    """(N, H, W, 3) uint8."""
    variants: Mapping[Label, RawAnswer]


@dataclass(frozen=True, kw_only=True)
class BundleName:
    """The bundle that the cases belong to."""

    name: Label
    version: Label
    digest: Sha256
    """SHA-256 of its ``manifest.json``."""


@dataclass(frozen=True, kw_only=True)
class GoldenIndex:
    """``index.json``: the cases and their files. The tolerances are the manifest's."""

    schema: str = SCHEMA
    bundle: BundleName
    threshold: Fraction
    """The bundle's own."""
    cases: tuple[RawCase, ...]

    @property
    def files(self) -> frozenset[str]:
        """The names of all files of the folder, the index included."""
        answers = [answer for case in self.cases for answer in case.variants.values()]
        arrays = [case.image for case in self.cases] + [
            each for made in answers for each in (made.mask, made.probability)
        ]
        return frozenset({INDEX_NAME, *(array.file for array in arrays)})


def write_golden(bundle: Bundle, folder: Path, *, limits: Limits = DEFAULT_LIMITS) -> GoldenIndex:
    """Write a bundle's golden cases into a folder, whole or not at all.

    Args:
        bundle: The verified bundle.
        folder: Made if needed. One that holds golden cases of an earlier call, and nothing else, is replaced.
        limits: `max_golden_bytes` caps the size of all arrays.

    Returns:
        The index as it was written.

    Raises:
        BundleSchemaError: The bundle has no golden vectors, or they cannot be read.
        InputError: The folder holds other files.
        FileWriteError: The system refused; the folder is as it was.

    Examples:
        >>> import tempfile
        >>> from brainseg_runtime.bundles.bundle import open_bundle
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = write_golden(open_bundle("models/resunet"), Path(folder) / "golden")
    """
    check_free(folder)
    if bundle.manifest.golden is None:
        raise BundleSchemaError(
            f"bundle {bundle.manifest.name} has no golden vectors", expected="golden.npz", got="none in its manifest"
        )
    cases = decode(bundle.files[bundle.manifest.golden], limits=limits)
    with replace_folder(folder) as made:
        index = GoldenIndex(
            bundle=BundleName(name=bundle.manifest.name, version=bundle.manifest.version, digest=bundle.digest),
            threshold=bundle.manifest.threshold,
            cases=tuple(_write_case(made, f"{number:03}", case, bundle) for number, case in enumerate(cases)),
        )
        write_json(made / INDEX_NAME, typed_json.to_json(index))
    return index


def read_index(folder: Path) -> GoldenIndex:
    """The index of a folder that `write_golden` made.

    Raises:
        InputError: There is none, or it is not an index.
    """
    data = read_capped(folder / INDEX_NAME, DEFAULT_LIMITS.max_manifest_bytes)
    try:
        value = parse(data, INDEX_NAME, limit=DEFAULT_LIMITS.max_manifest_bytes)
    except BrainsegError as error:
        raise InputError(f"{folder / INDEX_NAME} cannot be read", expected=SCHEMA, got=error) from error
    if value.get("schema") != SCHEMA:
        raise InputError(f"{folder / INDEX_NAME} is not an index of golden cases", expected=f"schema {SCHEMA}")
    return typed_json.from_json(GoldenIndex, value, INDEX_NAME, error=InputError, every_key=True)


def check_free(folder: Path) -> None:
    """Refuse a folder for golden cases that holds anything else.

    Raises:
        InputError: The path is a file or a link, cannot be listed, or the folder holds files that are not golden cases.
    """
    try:
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise InputError(f"{folder} cannot hold golden cases", expected="a folder or nothing", got="something else")
        names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    except (OSError, ValueError) as error:  # ValueError: a name that no folder can have
        got = getattr(error, "strerror", None) or error
        raise InputError(f"{folder} cannot be listed", expected="a readable folder", got=got) from error
    others = {name for name in names if not is_litter(name)}
    if INDEX_NAME in others:
        others -= read_index(folder).files
    if others:
        raise InputError(
            f"{folder} holds other files",
            expected="an empty folder, or one with golden cases alone",
            got=ascii(min(others)[:80]),
            remedy="give another folder",
        )


def _write_case(folder: Path, number: str, case: GoldenCase, bundle: Bundle) -> RawCase:
    """One case's files, and its entry of the index; answers of variants that the manifest lacks are left out."""
    image = _write_array(folder, f"{number}-image", case.image)
    answers = {name: answer for name, answer in case.answers.items() if name in bundle.manifest.variants}
    variants = {
        name: RawAnswer(
            mask=_write_array(folder, f"{number}-{place}-mask", answer.mask),
            probability=_write_array(folder, f"{number}-{place}-probability", answer.probability),
        )
        for place, (name, answer) in zip(_places(answers), answers.items(), strict=True)
    }
    return RawCase(name=number, image=image, variants=variants)


def _places(answers: Mapping[str, object]) -> list[str]:
    """What each variant is called in names of files: its label, or its number where a label is no part of a name."""
    plain = all(name.isascii() and name.isalnum() and name == name.lower() for name in answers)
    return list(answers) if plain else [str(number) for number in range(len(answers))]


def _write_array(folder: Path, stem: str, array: NDArray[Any]) -> RawArray:
    """One array's file, and its entry of the index."""
    dtype = str(array.dtype)
    suffix, stored = _TYPES[dtype]
    data = np.ascontiguousarray(array, stored).tobytes()
    name = f"{stem}.{suffix}"
    (folder / name).write_bytes(data)  # the folder is not there yet under its own name
    return RawArray(file=name, dtype=dtype, shape=tuple(array.shape), sha256=hashlib.sha256(data).hexdigest())
