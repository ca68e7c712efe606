"""Sources: a folder, a list or an address to references, one after the other while it is still being searched.

A reference is the lowest folder that holds all of one study: of each folder with DICOM files the first and the last are
asked for their StudyInstanceUID, and folders side by side that name the same one are one reference, as are their
parents as long as nothing else lies in them. NIfTI files are told apart by their names. A folder with images directly
in it is a patient, unless there is a study in it or below. Zip archives are references of their own,
unless they hold pictures alone, which are read from folders.
"""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from brainseg_runtime.archive.finding.references import Reference, is_address
from brainseg_runtime.archive.finding.trees import AddressTree, LocalTree, Tree
from brainseg_runtime.errors import InputError, MissingExtraError, StudyError
from brainseg_runtime.extras import install_remedy
from brainseg_runtime.images.finder import RECORDS
from brainseg_runtime.images.formats import format_names, is_image_name
from brainseg_runtime.images.names import own_name, slice_name
from brainseg_runtime.problems import Problem, printable
from brainseg_runtime.studies.dicom.archives import holds_pictures_alone
from brainseg_runtime.studies.dicom.files import HEAD, is_dicom, is_directory, parse
from brainseg_runtime.studies.dicom.library import require_pydicom
from brainseg_runtime.studies.nifti.names import by_study

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_DEEPEST: Final = 40
"""Levels of folders; systems allow more than Python's recursion does."""

_TRIED: Final = 10
"""Files at each end of a folder that are opened to find one of DICOM's, before it counts as holding none."""

ZIP_OF_PICTURES: Final = "is a zip of pictures, and slices are read from folders alone"
"""Why a zip is left out."""

_DICOM: Final = (".dcm", ".dicom", ".ima")
_NIFTI: Final = (".nii", ".nii.gz")
_STUDY_UID: Final = 0x0020000D
_MOST_PATH: Final = 4096
_TEXTS: Final = ("string", "large_string", "string_view")
"""What Parquet's columns of text are called; bytes and lists would be taken for paths in Python's own notation."""


@dataclass(slots=True)
class Found:
    """What a search counts on its way.

    Attributes:
        left_out: Folders with nothing to segment, and images beside studies.
    """

    left_out: list[Problem] = field(default_factory=list)


def references(source: str, found: Found) -> Iterator[Reference]:
    """The references of a source, while it is searched.

    Args:
        source: A folder, a list (`.csv`, `.parquet`), a single study's file, or an address.
        found: Gets what is left out.

    Raises:
        InputError: The source does not exist, or a list lacks the column `path`.
        StudyError: The source itself cannot be listed.
        MissingExtraError: A list is Parquet, or the source an address, and the extra `archive` is not installed.
    """
    if is_address(source):
        tree: Tree = AddressTree(source)
        return _walked(tree, source.rstrip("/"), found)
    path = Path(source)
    if not path.exists():
        raise InputError(
            f"{printable(source)} does not exist", expected="a folder, a list (.csv, .parquet) or an address"
        )
    suffix = path.suffix.lower()
    if path.is_dir():
        return _walked(LocalTree(path), source, found)
    if suffix == ".csv":
        return _of_lines(path, _csv_lines(path))
    if suffix in {".parquet", ".pq"}:
        return _of_lines(path, _parquet_lines(path))
    if _is_of_pictures(source):
        raise InputError(
            f"{printable(path.name)} {ZIP_OF_PICTURES}", expected="DICOM or NIfTI in a zip", remedy=unpack_remedy()
        )
    return iter([Reference(name=printable(path.name), paths=(source,))])


def unpack_remedy() -> str:
    """What to do with zips of pictures, as the remedy of an error."""
    return f"unpack zips of pictures and name the folder above; pictures are read as {format_names()}"


def _walked(tree: Tree, root: str, found: Found) -> Iterator[Reference]:
    """The references below a folder."""
    held = yield from _Walk(tree, found).visit(root, 0)
    if held.pending is not None:
        yield held.pending


@dataclass(frozen=True, slots=True)
class _Held:
    """What a folder turned out to hold.

    Attributes:
        key: The one study that has not been told yet; None if there is none.
        pending: Its reference: folders beside this one may belong to the same study.
        studies: Whether a study lies in the folder or below.
        told: Whether a reference from in or below the folder has been told.
    """

    key: tuple[str, ...] | None = None
    pending: Reference | None = None
    studies: bool = False
    told: bool = False


class _Walk:
    """A search of a tree."""

    def __init__(self, tree: Tree, found: Found) -> None:
        self._tree = tree
        self._found = found
        self._beside_root: set[str] = set()

    def visit(self, folder: str, level: int) -> Generator[Reference, None, _Held]:
        """Search a folder; tells the references in it that nothing beside it can belong to."""
        try:
            folders, files = self._tree.listed(folder)
        except StudyError:
            if level == 0:
                raise
            return _Held(key=("unread", folder), pending=self._reference(folder), studies=True)
        if level == 0:
            self._beside_root = {_name(each) for each in (*folders, *files)}
        if RECORDS & set(map(_name, files)) or level > _DEEPEST:
            self._leave_out(folder, "lies too deep" if level > _DEEPEST else "holds results of an earlier run")
            return _Held()
        group = _Group()
        yield from self._archives(files, group)
        own = self._own_key([each for each in files if not is_image_name(each) and not _is_zip(each)])
        if own is not None:
            yield from group.add(own, self._reference(folder, shallow=bool(folders)))
        for each in folders:
            yield from group.take((yield from self.visit(each, level + 1)))
        yield from self._slices(folder, files, group)
        if group.key is None or group.told:
            return _Held(key=group.key, pending=group.pending, studies=group.studies, told=group.told)
        return _Held(key=group.key, pending=self._reference(folder), studies=True)

    def _slices(self, folder: str, files: Sequence[str], group: _Group) -> Iterator[Reference]:
        """The folder as a patient, if it holds slices and no study."""
        slices = [each for each in files if is_image_name(each) and slice_name(Path(_name(each))).role == "image"]
        if slices and group.studies:
            self._leave_out(folder, "holds images beside a study")
        elif slices:
            group.told = True
            yield Reference(name=self._named(folder), paths=(folder,), kind="slices", shallow=(folder,))
        elif not (group.studies or group.told or any(map(_is_zip, files))):
            self._leave_out(folder, "holds nothing to segment")

    def _archives(self, files: Sequence[str], group: _Group) -> Iterator[Reference]:
        """Zip archives, each a reference of its own; those of pictures are left out."""
        for each in filter(_is_zip, files):
            if _is_of_pictures(each):
                self._leave_out(each, ZIP_OF_PICTURES)
                continue
            group.told = group.studies = True
            yield Reference(name=printable(self._tree.name(each)), paths=(each,), kind="studies")

    def _reference(self, folder: str, *, shallow: bool = False) -> Reference:
        return Reference(
            name=self._named(folder), paths=(folder,), kind="studies", shallow=(folder,) if shallow else ()
        )

    def _named(self, folder: str) -> str:
        """A folder's name from the root on; for the root its own, or "." if something in it is called the same."""
        name = self._tree.name(folder)
        own = own_name(Path(folder)) if name == "." else name
        return "." if name == "." and own in self._beside_root else printable(own)

    def _leave_out(self, folder: str, why: str) -> None:
        self._found.left_out.append(Problem(self._named(folder), why))

    def _own_key(self, files: Sequence[str]) -> tuple[str, ...] | None:
        """The study that a folder's own files belong to; a key that no other folder has if there are several."""
        nifti = [each for each in files if each.lower().endswith(_NIFTI)]
        others = [each for each in files if not each.lower().endswith(_NIFTI)]
        ends = [uid for uid in (self._first_uid(others), self._first_uid(others[::-1])) if uid is not None]
        if ends:
            return ("dicom", ends[0]) if len(set(ends)) == 1 and ends[0] else ("several", files[0])
        if nifti:
            groups = by_study(map(Path, nifti))
            return ("nifti", *groups) if len(groups) == 1 and next(iter(groups)).startswith("sub-") else (nifti[0],)
        return None

    def _first_uid(self, files: Iterable[str]) -> str | None:
        """The study of the first DICOM file; "" if none says, None if there is no DICOM file."""
        seen = False
        for tried, each in enumerate(files, start=1):
            named = each.lower().endswith(_DICOM)
            head = self._tree.head(each, HEAD)
            if not is_directory(head) and (named or is_dicom(head)):
                seen = True
                if uid := self._uid(each):
                    return uid
            if tried >= _TRIED and (seen or not named):
                break
        return "" if seen else None

    def _uid(self, file: str) -> str:
        """StudyInstanceUID of a file; "" if it cannot be read."""
        require_pydicom()
        try:
            with self._tree.local(file) as path:
                dataset = parse(path, "a file", (_STUDY_UID,)).dataset
                return str(dataset.get("StudyInstanceUID", "") or "")
        except (StudyError, OSError):
            return ""


@dataclass(slots=True)
class _Group:
    """Folders side by side, and the own files of the folder that they lie in, as long as they are one study.

    Attributes:
        key: The study.
        pending: What of it has been seen.
        studies: Whether there is any study.
        told: Whether a reference has been told.
    """

    key: tuple[str, ...] | None = None
    pending: Reference | None = None
    studies: bool = False
    told: bool = False

    def take(self, held: _Held) -> Iterator[Reference]:
        """Add what a folder holds."""
        self.studies |= held.studies
        self.told |= held.told
        if held.key is not None and held.pending is not None:
            yield from self.add(held.key, held.pending)

    def add(self, key: tuple[str, ...], reference: Reference) -> Iterator[Reference]:
        """Add a study's files; tells what is pending once something else follows."""
        self.studies = True
        if self.key is not None and self.pending is not None and self.key == key:
            shallow = (*self.pending.shallow, *reference.shallow)
            self.pending = replace(self.pending, paths=(*self.pending.paths, *reference.paths), shallow=shallow)
            return
        if self.pending is not None:
            self.told = True
            yield self.pending
        self.key, self.pending = key, reference


def _is_zip(path: str) -> bool:
    return path.lower().endswith(".zip")


def _is_of_pictures(path: str) -> bool:
    """Whether a file of this machine is a zip of pictures; what lies at an address is looked at by the worker."""
    return _is_zip(path) and not is_address(path) and holds_pictures_alone(Path(path))


def _name(path: str) -> str:
    """The last part of a path or an address."""
    return path.rpartition("/")[2].rpartition("\\")[2]


def _of_lines(path: Path, lines: Iterable[tuple[str, str]]) -> Iterator[Reference]:
    """References of a list's lines; relative paths are from the list's folder on."""
    for text, site in lines:
        if not text or len(text) > _MOST_PATH or "\0" in text:
            raise InputError(f"{path} names no path", expected="a path or an address in each line", got=repr(text[:80]))
        whole = text if is_address(text) or Path(text).is_absolute() else str(path.parent / text)
        yield Reference(name=printable(text), paths=(whole,), site=printable(site)[:64])


def _csv_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Path and site of each line of a CSV file."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.DictReader(file)
            if "path" not in (lines.fieldnames or ()):
                raise _no_column(path, lines.fieldnames or ())
            for line in lines:
                yield (line["path"] or "").strip(), (line.get("site") or "").strip()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV", expected="UTF-8 text", got=error) from error


def _parquet_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Path and site of each row of a Parquet file, a batch at a time."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
        from pyarrow.types import is_dictionary
    except ImportError as error:
        raise MissingExtraError(
            "lists in Parquet need pyarrow, which is not installed", got=error, remedy=install_remedy("archive")
        ) from error
    try:
        with ParquetFile(path) as file:
            names = file.schema_arrow.names
            if "path" not in names:
                raise _no_column(path, names)
            kind = file.schema_arrow.field("path").type
            if str(kind.value_type if is_dictionary(kind) else kind) not in _TEXTS:
                raise InputError(f"{path} holds no text in the column path", expected="strings", got=str(kind)[:200])
            wanted = [name for name in ("path", "site") if name in names]
            for batch in file.iter_batches(batch_size=4096, columns=wanted):
                for line in batch.to_pylist():
                    yield str(line["path"] or ""), str(line.get("site") or "")
    except (OSError, UnicodeDecodeError, ArrowException) as error:
        raise InputError(f"{path} cannot be read as Parquet", got=type(error).__name__) from error


def _no_column(path: Path, names: Iterable[str]) -> InputError:
    return InputError(
        f"{path} lacks the column path", expected="path, and site if it is known", got=", ".join(map(repr, names))[:200]
    )
