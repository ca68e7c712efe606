"""Studies with masks into a data set's folder, one after another; a faulty one does not stop the rest."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from brainseg_runtime.errors import BrainsegError, DataError, MissingExtraError, StudyError, UsageError
from brainseg_runtime.prediction.study_inputs import RolesByHand
from brainseg_runtime.problems import first_few, printable
from brainseg_runtime.safe_io.files import make_folder, write_json
from brainseg_runtime.studies.nifti.names import clean
from brainseg_runtime.studies.reading import find_studies
from brainseg_runtime.studies.registration.alignment import OTHERS
from brainseg_runtime.studies.study import Study
from brainseg_train.data.source import FILE as SOURCE_FILE
from brainseg_train.data.source import DataSource, stated_beside
from brainseg_train.importing.finding import MaskFile, StudyToImport, mask_files, with_masks
from brainseg_train.importing.naming import key_of, pseudonym, subject_of
from brainseg_train.importing.patient import ImportedPatient, import_patient, write_patient
from brainseg_train.importing.record import (
    FILE,
    ImportEntry,
    ImportRecord,
    ImportSettings,
    Moved,
    digest_of_folder,
)
from brainseg_train.importing.segmentation import head_of

_SITE: Final = re.compile(r"[A-Za-z0-9]{1,16}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What became of one study.

    Attributes:
        input: Where it was found, and its name there.
        name: Its folder; "" if it did not get that far.
        status: Imported now, kept from an earlier run, or failed.
        entry: What the record holds of it.
        warnings: Reasons to look at it.
        error: Why it failed.
    """

    input: str
    name: str
    status: Literal["imported", "kept", "failed"]
    entry: ImportEntry | None = None
    warnings: tuple[str, ...] = ()
    error: BrainsegError | None = None


def collect(studies: Sequence[Path], mask: Path | None) -> list[StudyToImport]:
    """The studies below some paths, each with its mask or why it has none.

    Args:
        studies: Folders, archives and files.
        mask: A mask, or a folder of them; None: beside the images.

    Raises:
        StudyError: A path cannot be read, or there is no study.
    """
    masks = mask_files(studies if mask is None else [mask], usual_names=mask is None)
    made = with_masks(find_studies(studies), masks, given=mask is not None)
    if not made:
        raise StudyError("there is no study to import", expected="DICOM images or NIfTI files", got="none")
    return made


def prepare(dest: Path, settings: ImportSettings, source: DataSource, *, resume: bool) -> ImportRecord:
    """Make the data set's folder ready.

    Args:
        dest: The folder.
        settings: How studies are imported.
        source: What is stated about where they come from; written to `dataset.json`.
        resume: Go on with what is there.

    Returns:
        What is there already.

    Raises:
        DataError: The folder holds something else, or was begun with other settings.
        UsageError: The site is no word, or patients are there and `resume` is false.
        FileWriteError: The system refused.
    """
    if not _SITE.fullmatch(settings.site):
        raise UsageError("--site is not usable", expected="1 to 16 letters and digits", got=ascii(settings.site[:40]))
    record = ImportRecord.read(dest) if dest.is_dir() else None
    if record is None and dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise DataError(
            f"{dest} holds something else", expected="no folder, an empty one, or an earlier import", got=f"no {FILE}"
        )  # fmt: skip
    if record is not None and not resume:
        raise UsageError(
            f"{dest} holds an earlier import", expected="an empty folder", got=f"{len(record.patients)} patients",
            remedy="go on with --resume, or name another folder",
        )  # fmt: skip
    if record is not None and record.settings != settings:
        raise DataError(
            f"{dest} was imported with other settings", expected=str(record.settings), got=str(settings),
            remedy="give the same options, or import into another folder",
        )  # fmt: skip
    make_folder(dest)
    if record is None:
        record = ImportRecord(settings=settings)
        key_of(dest, begun=False)
        record.save(dest)
    stated = source.over(stated_beside(dest))
    if stated:
        write_json(dest / SOURCE_FILE, stated.to_json())
    return record


def import_studies(
    items: Sequence[StudyToImport],
    dest: Path,
    record: ImportRecord,
    *,
    by_hand: RolesByHand | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[Outcome]:
    """Import studies into a folder that `prepare` made ready; the record is saved after each.

    Args:
        items: What `collect` gave.
        dest: The folder.
        record: What `prepare` gave.
        by_hand: Series of the only study that the user names.
        cancelled: Asked before each study; a true answer stops.

    Yields:
        What became of each study, in order.

    Raises:
        DataError: The key of the names is gone.
        UsageError: Series are named by hand, and there are several studies.
        MissingExtraError: The extra `study` is not installed.
        FileWriteError: The record cannot be written.
    """
    roles = by_hand or RolesByHand()
    if roles.any and len(items) > 1:
        raise UsageError(
            "--flair, --pre and --post name series of one study", expected="one study", got=len(items),
            remedy="import this study alone, then the others with --resume",
        )  # fmt: skip
    key = key_of(dest, begun=True)
    entries = {each.name: each for each in record.patients}
    taken: set[str] = set()
    for item in items:
        if cancelled is not None and cancelled():
            return
        where = printable(f"{item.found.path}: {item.found.name}")
        name = ""
        try:
            study, mask = item.found.read(flair=roles.flair, pre=roles.pre, post=roles.post), _mask(item)
            name = _name(item, study, key, record.settings)
            if name.casefold() in taken:
                raise DataError("two studies have the same name", expected="each study once", got=name)
            taken.add(name.casefold())
            digest = _digest(study, mask, record.settings)
            before = entries.get(name)
            if before and before.input_sha256 == digest and before.sha256 == digest_of_folder(dest / name):
                yield Outcome(input=where, name=name, status="kept", entry=before)
                continue
            made = import_patient(study, mask.read(record.settings.labels), register=record.settings.register)
            write_patient(dest / name, made)
        except MissingExtraError:
            raise
        except BrainsegError as error:
            yield Outcome(input=where, name=name, status="failed", error=error)
            continue
        entries[name] = _entry(name, study, digest, made, digest_of_folder(dest / name))
        record.holding(entries).save(dest)
        yield Outcome(input=where, name=name, status="imported", entry=entries[name], warnings=made.warnings)


def remove_strays(dest: Path, record: ImportRecord) -> None:
    """Remove folders that a killed run wrote and did not record, so that the data set holds what its record says.

    Args:
        dest: The data set's folder, of which nothing but imports is there.
        record: What it holds.

    Raises:
        DataError: A folder is there that no import wrote.
    """
    known = {each.name for each in record.patients}
    others = [path for path in dest.iterdir() if path.is_dir() and path.name not in known]
    strays = [path for path in others if _is_patient(path)]
    foreign = [path for path in others if path not in strays and not path.name.startswith(".")]
    if foreign:
        raise DataError(
            f"{dest} holds folders that are no imported patients", expected="those of an import alone",
            got=first_few([printable(path.name) for path in foreign]), remedy="move them elsewhere",
        )  # fmt: skip
    for path in strays:
        shutil.rmtree(path)


def _is_patient(folder: Path) -> bool:
    """Whether a folder holds nothing but slices of its own name; a replacement under way has a dot before it."""
    name = folder.name.lstrip(".")
    return all(
        path.suffix == ".tif" and (folder.name.startswith(".") or path.name.startswith(f"{name}_"))
        for path in folder.iterdir()
    )


def _mask(item: StudyToImport) -> MaskFile:
    if isinstance(item.mask, DataError):
        raise item.mask
    return item.mask


def _name(item: StudyToImport, study: Study, key: bytes, settings: ImportSettings) -> str:
    """The patient's folder."""
    if settings.keep_names:
        return clean(item.name)
    if study.source == "nifti":
        return pseudonym(key, settings.site, subject_of(item.name), item.name)
    head = head_of(study.flair.paths[0])
    person = "" if head is None else str(head.get("PatientID", "")).strip("\0 ")
    return pseudonym(key, settings.site, person or study.uid, study.uid)


def _digest(study: Study, mask: MaskFile, settings: ImportSettings) -> str:
    """SHA-256 of the files that are used, and what as."""
    digest = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode())
    files = [(str(role), path) for role, series in sorted(study.roles.items()) for path in series.paths]
    try:
        for role, path in [*files, ("mask", mask.path)]:
            with path.open("rb") as file:
                digest.update(f"{role}\0".encode() + hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise DataError("a file of the study cannot be read", got=error.strerror) from error
    return digest.hexdigest()


def _entry(name: str, study: Study, digest: str, made: ImportedPatient, written: str) -> ImportEntry:
    return ImportEntry(
        name=name,
        source=study.source,
        input_sha256=digest,
        sha256=written,
        n_slices=len(made.masks),
        n_tumour_slices=int(made.masks.any(axis=(1, 2)).sum()),
        volume_ml=round(made.volume_ml, 4),
        mask_on=made.role,
        mask_values=made.values,
        missing=tuple(role for role in OTHERS if role not in study.roles),
        registration={
            role: Moved(
                applied=each.applied,
                quality=round(each.quality, 4),
                rotation_deg=round(each.rotation_deg, 3),
                translation_mm=round(each.translation_mm, 3),
            )
            for role, each in made.registration.items()
        },
    )
