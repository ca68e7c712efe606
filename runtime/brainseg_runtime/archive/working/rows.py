"""The archive's rows: what became of each study, and of each reference that it was found through.

The classes here are the lines of `rows.jsonl`, field by field, and the columns of `studies.parquet`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.safe_io.typed_json import Matches
from brainseg_runtime.studies.written.record import Output

Sha256: TypeAlias = Annotated[str, Matches(re.compile("[0-9a-f]{64}"), "64 hexadecimal digits")]

SCHEMA: Final = "brainseg/archive-row/1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What became of one study.

    Attributes:
        id: Identity: digest of its pixels and of the bundle; of its place where its pixels could not be read.
        status: "done"; "failed", with `error`.
        source: The reference that it was found through.
        name: The patient's folder, or the study's name.
        kind: The kind of its files; null if that could not be told.
        study_uid: StudyInstanceUID of DICOM; null for other kinds.
        site: Hospital: as a list says, or the second part of a TCGA name; "" if unknown.
        scanner: Manufacturer and model as the header has them; "" if unknown.
        pixels_sha256: Digest of the pixels and where they lie; null unless done. So is all that follows but
            `warnings`, `seconds`, `attempts` and `error`.
        mask_sha256: Digest of the mask's shape and voxels.
        n_slices: Slices of the mask.
        volume_px: Marked voxels.
        volume_ml: The same in mL; null where the spacing is unknown.
        areas: Marked pixels by slice.
        confidence: Mean probability of the marked voxels; null if none is marked.
        max_probability: Highest probability anywhere.
        runs: Separate stretches of consecutive marked slices.
        edge_px: Marked pixels on the border of a slice.
        warnings: Reasons to distrust the mask.
        seconds: From the first byte read to the last written, s.
        provider: Execution provider that ran.
        variant: Variant that ran.
        bundle: Digest of the bundle.
        attempts: How often it was begun, because workers died.
        error: The error's kind, what, expected, got and remedy; null unless failed.
        objects: Files written, by their path from OUT on.
    """

    id: Sha256
    status: Literal["done", "failed"]
    source: str
    name: str
    kind: Literal["slices", "dicom", "nifti"] | None = None
    study_uid: str | None = None
    site: str = ""
    scanner: str = ""
    pixels_sha256: Sha256 | None = None
    mask_sha256: Sha256 | None = None
    n_slices: int | None = None
    volume_px: int | None = None
    volume_ml: float | None = None
    areas: tuple[int, ...] | None = None
    confidence: float | None = None
    max_probability: float | None = None
    runs: int | None = None
    edge_px: int | None = None
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    provider: str | None = None
    variant: str | None = None
    bundle: str = ""
    attempts: int = 1
    error: Mapping[str, str | None] | None = None
    objects: tuple[Output, ...] = ()


def error_parts(error: BrainsegError) -> dict[str, str | None]:
    """An error as rows have it: kind, what, expected, got and remedy, each cut to 2000 characters.

    Args:
        error: The error.

    >>> error_parts(BrainsegError("there is no model"))["what"]
    'there is no model'
    """
    value = error.to_json()
    return {
        key: None if value[key] is None else str(value[key])[:2000]
        for key in ("kind", "what", "expected", "got", "remedy")
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a worker says of a reference.

    Attributes:
        source: The reference's name.
        fingerprint: Of its files' names, sizes and times, by which a later start knows it again.
        found: Studies found in it, at least 1: what cannot be read counts as one.
        rows: One for each study.
    """

    source: str
    fingerprint: str
    found: int
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Duplicate:
    """A study that was not kept because another reference holds the same pixels.

    Attributes:
        id: Its identity, which the other's row has.
        name: Its patient's folder, or its name.
    """

    id: Sha256
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A line of `rows.jsonl`: a reference, its rows, and what of it was a duplicate. The last line of a name counts.

    Attributes:
        source: The reference's name.
        fingerprint: Of its files.
        rows: Of the studies that are kept.
        duplicates: Studies that another reference has already brought.
    """

    source: str
    fingerprint: str
    rows: tuple[Row, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
