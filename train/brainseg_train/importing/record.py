"""`import.json`: what a data set's patients were imported from, without what would tell who they are.

Messages and warnings can quote files' names, which may be patients'; they are shown, and not kept here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Literal, Self

from brainseg_runtime.errors import DataError
from brainseg_runtime.safe_io.files import read_capped, write_json
from brainseg_runtime.safe_io.strict_json import parse
from brainseg_runtime.safe_io.typed_json import from_json
from brainseg_runtime.version import __version__

FILE: Final = "import.json"
_MAX_BYTES: Final = 64 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportSettings:
    """How studies are imported; all patients of a data set in the same way.

    Attributes:
        register: Whether the T1s are registered.
        labels: Labels or segments that count, None: all labels, or the only segment.
        keep_names: Whether folders have the studies' names.
        site: The site in a pseudonym.
    """

    register: bool = True
    labels: tuple[int, ...] | None = None
    keep_names: bool = False
    site: str = "LOCAL"


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """How a T1 was brought onto FLAIR: quality 0 to 1, degrees and mm; not applied: by its header."""

    applied: bool
    quality: float
    rotation_deg: float
    translation_mm: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportEntry:
    """One patient.

    Attributes:
        name: The folder.
        source: What the study was.
        input_sha256: Of the files that were used, and what as.
        sha256: Of the folder's files.
        n_slices: Slices.
        n_tumour_slices: Slices with a marked pixel.
        volume_ml: Volume of the mask on FLAIR's grid.
        mask_on: The series on whose voxels the mask was.
        mask_values: Labels or segments of the mask's file.
        missing: T1s that FLAIR stands for.
        registration: How the T1s were brought onto FLAIR.
    """

    name: str
    source: Literal["dicom", "nifti"]
    input_sha256: str
    sha256: str
    n_slices: int
    n_tumour_slices: int
    volume_ml: float
    mask_on: str
    mask_values: tuple[str, ...]
    missing: tuple[str, ...]
    registration: dict[str, Moved]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportRecord:
    """What was imported into a folder.

    Attributes:
        version: Of brainseg.
        settings: How.
        patients: By name.
    """

    version: str = __version__
    settings: ImportSettings = field(default_factory=ImportSettings)
    patients: tuple[ImportEntry, ...] = ()

    def save(self, folder: Path) -> None:
        """Write the record into a data set's folder.

        Raises:
            FileWriteError: The system refused.
        """
        write_json(folder / FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The record in a folder; None if it has none.

        Raises:
            DataError: The record is damaged.
        """
        path = folder / FILE
        if not path.exists():
            return None
        data = read_capped(path, _MAX_BYTES, error=DataError)
        return from_json(cls, parse(data, FILE, limit=_MAX_BYTES, error=DataError), FILE, error=DataError)

    def holding(self, entries: Mapping[str, ImportEntry]) -> ImportRecord:
        """The record with these patients."""
        return ImportRecord(
            version=__version__, settings=self.settings, patients=tuple(entries[name] for name in sorted(entries))
        )


def digest_of_folder(folder: Path) -> str:
    """SHA-256 over the names and bytes of a folder's files; "" if it is not there.

    Examples:
        >>> digest_of_folder(Path("not there"))
        ''
    """
    if not folder.is_dir():
        return ""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(f"{path.name}\0".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
