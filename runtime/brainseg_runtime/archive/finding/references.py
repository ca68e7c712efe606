"""References: where one study's files lie, found without reading pixels; what engines hand to workers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

Kind = Literal["slices", "studies"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """The files of a study, or of a few that lie in one folder.

    Attributes:
        name: What it is called in the table: its path from SOURCE on, or as a list has it.
        paths: Local paths, or addresses with "://".
        kind: Slices of a patient, or DICOM and NIfTI; None: to be told from the files.
        shallow: Those of the paths whose own files count alone, not what lies in folders below.
        site: Where it comes from, if a list says so.
    """

    name: str
    paths: tuple[str, ...]
    kind: Kind | None = None
    shallow: tuple[str, ...] = ()
    site: str = ""

    @property
    def key(self) -> str:
        """A folder's name for its work: 32 hexadecimal digits.

        >>> len(Reference(name="a", paths=("a",)).key)
        32
        """
        return hashlib.sha256(self.name.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def is_address(path: str) -> bool:
    """Whether a path is an address of fsspec's, such as s3://bucket/folder, and no path of this machine.

    >>> is_address("s3://bucket/a"), is_address("C:/a"), is_address("/data/a")
    (True, False, False)
    """
    return "://" in path
