"""Archives that keep books: what each holds in the end, and how often each object reached it.

- pynetdicom's, in this process: it writes down every C-STORE, and answers C-FIND.
- dcmtk's storescp: a file of its own for each object that arrives, even the same again; it offers no query.
- Orthanc: its storage over HTTP, and a line for each object that arrives by its own filter; it answers C-FIND.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, get_args

import pydicom

from brainseg_runtime.node.config import Destination
from tests.runtime.node.sending.peers import Archive, Orthanc, archive, orthanc, storescp

Kind = Literal["pynetdicom", "storescp", "orthanc"]
KINDS: Final[Sequence[Kind]] = get_args(Kind)

_RECEIVED: Final = """
function ReceivedInstanceFilter(dicom, origin, info)
  local file = io.open('%s', 'a')
  file:write(dicom.SOPInstanceUID, '\\n')
  file:close()
  return true
end
"""
"""Orthanc asks it of every object that arrives, those that it has already among them."""


class Books(Protocol):
    """An archive and its books."""

    @property
    def destination(self) -> Destination:
        """Where it listens."""
        ...

    def held(self) -> Mapping[str, set[str]]:
        """Digests of the data sets that it holds, by SOPInstanceUID."""
        ...

    def arrivals(self) -> Counter[str]:
        """How often each SOPInstanceUID arrived."""
        ...


@contextmanager
def keeping_books(kind: Kind, folder: Path) -> Iterator[Books]:
    """An archive, until the block ends.

    Args:
        kind: Which.
        folder: For its files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "pynetdicom":
        with archive(hold=0.02, name="pacs") as made:
            yield _Own(made)
    elif kind == "storescp":
        with storescp(folder / "files", "--fork", "--unique-filenames") as destination:
            yield _Files(destination, folder / "files")
    else:
        arrived = folder / "arrived"
        filter_ = folder / "arrived.lua"
        filter_.write_text(_RECEIVED % arrived, encoding="utf-8")
        with orthanc(folder / "orthanc", scripts=[filter_]) as running:
            yield _OrthancBooks(running, arrived)


def data_set_digest(file: bytes) -> str:
    """SHA-256 of what follows a DICOM file's head, which every archive writes anew."""
    (length,) = struct.unpack("<I", file[140:144])  # of the group that follows; PS3.10, 7.1
    return hashlib.sha256(file[144 + length :]).hexdigest()


@dataclass(frozen=True)
class _Own:
    """pynetdicom's archive."""

    made: Archive

    @property
    def destination(self) -> Destination:
        return self.made.destination

    def held(self) -> Mapping[str, set[str]]:
        return {uid: {hashlib.sha256(copy).hexdigest() for copy in copies} for uid, copies in self.made.stored.items()}

    def arrivals(self) -> Counter[str]:
        return Counter({uid: len(copies) for uid, copies in self.made.stored.items()})


@dataclass(frozen=True)
class _Files:
    """storescp's folder."""

    destination: Destination
    folder: Path

    def held(self) -> Mapping[str, set[str]]:
        found: dict[str, set[str]] = {}
        for uid, digest in self._files():
            found.setdefault(uid, set()).add(digest)
        return found

    def arrivals(self) -> Counter[str]:
        return Counter(uid for uid, _ in self._files())

    def _files(self) -> Iterator[tuple[str, str]]:
        for path in self.folder.iterdir():
            data = path.read_bytes()
            header = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
            yield str(header.SOPInstanceUID), data_set_digest(data)


@dataclass(frozen=True)
class _OrthancBooks:
    """Orthanc's storage and the filter's lines."""

    running: Orthanc
    arrived: Path

    @property
    def destination(self) -> Destination:
        return self.running.dimse

    def held(self) -> Mapping[str, set[str]]:
        return {
            uid: {data_set_digest(self.running.file(uid))}
            for uid in (each["MainDicomTags"]["SOPInstanceUID"] for each in self.running.get("/instances?expand"))
        }

    def arrivals(self) -> Counter[str]:
        return Counter(self.arrived.read_text(encoding="ascii").split()) if self.arrived.exists() else Counter()
