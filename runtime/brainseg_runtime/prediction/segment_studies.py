"""Segments studies one after the other.

Each gets a folder in OUT, whole or not at all, and one bad study does not stop the rest.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from brainseg_runtime.errors import BrainsegError, CancelledError, InputError, MissingExtraError, StudyError
from brainseg_runtime.prediction.layout import path_text
from brainseg_runtime.prediction.record import MAX_BYTES, sha256
from brainseg_runtime.prediction.study_inputs import StudyItem
from brainseg_runtime.prediction.study_record import (
    Registrations,
    StudyEntry,
    StudySettings,
    UsedSeries,
)
from brainseg_runtime.problems import first_few
from brainseg_runtime.safe_io.files import read_capped
from brainseg_runtime.studies.roles.choice import NAMES
from brainseg_runtime.studies.segmenting import segment_study
from brainseg_runtime.studies.written.record import Output, RegistrationRecord
from brainseg_runtime.studies.written.settings import SegmentSettings

if TYPE_CHECKING:
    from brainseg_runtime.segmenter import Segmenter
    from brainseg_runtime.studies.result import StudyResult
    from brainseg_runtime.studies.study import Study


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """How to segment studies, and what to write for each.

    Attributes:
        kinds: What to write, such as "seg" and "sr"; None: what fits the study.
        register: Whether the T1s are brought onto FLAIR by what they show, or by their headers alone.
        deterministic_uids: Whether the same study and model give the same UIDs, and with them the same bytes.
        threshold: Probability from which a voxel is marked; None: the model's own.
        strict: A study with a warning fails instead.
        segment: Label and codes of the segment.
    """

    kinds: tuple[str, ...] | None = None
    register: bool = True
    deterministic_uids: bool = False
    threshold: float | None = None
    strict: bool = False
    segment: SegmentSettings = field(default_factory=SegmentSettings)

    @property
    def settings(self) -> StudySettings:
        """What decides the files besides the study, the model and the threshold, for the record."""
        return StudySettings(
            write=self.kinds,
            register=self.register,
            deterministic_uids=self.deterministic_uids,
            segment=self.segment,
        )


def segment_studies(
    segmenter: Segmenter,
    items: Sequence[StudyItem],
    out: Path,
    config: StudyConfig,
    *,
    known: Mapping[str, StudyEntry] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[StudyEntry]:
    """Segments studies and writes their folders, in order.

    Args:
        segmenter: Runs the model.
        items: What to segment.
        out: An existing folder.
        config: What to write.
        known: Studies of an earlier run by name; those whose input and files are unchanged are kept.
        cancelled: Asked between slices; after a yes, nothing of the study at hand is written.

    Yields:
        One entry for each study when its files are on the disk, or when it failed.

    Raises:
        MissingExtraError: A library of the extra `study` is not installed.
    """
    for item in items:
        if cancelled():
            return
        entry = pending(item)
        try:
            study = item.read()
            entry = replace(entry, study_uid=study.uid, source=study.source, input_sha256=input_digest(study))
            before = (known or {}).get(item.name)
            if before is not None and _still_holds(before, entry, out, config):
                yield replace(before, input=entry.input)
                continue
            yield _segment(segmenter, study, entry, out, config, cancelled)
        except MissingExtraError:
            raise
        except CancelledError:
            return
        except BrainsegError as error:
            yield replace(entry, status="failed", error=error.to_json())


def pending(item: StudyItem) -> StudyEntry:
    """The entry of a study whose turn has not come."""
    return StudyEntry(study_uid=item.uid, name=item.name, input=path_text(item.path))


def _segment(
    segmenter: Segmenter,
    study: Study,
    entry: StudyEntry,
    out: Path,
    config: StudyConfig,
    cancelled: Callable[[], bool],
) -> StudyEntry:
    """Segments one study and writes its folder."""
    result = segment_study(segmenter, study, register=config.register, cancelled=cancelled, threshold=config.threshold)
    if config.strict and result.warnings:
        raise StudyError(
            "the study has warnings, and --strict refuses such studies",
            expected="none",
            got="; ".join(result.warnings),
            remedy="leave --strict out, and look at the mask before it is used",
        )
    outputs = result.write(
        out,
        config.kinds,
        deterministic_uids=config.deterministic_uids,
        segment=config.segment,
    )
    return _done(entry, study, result, outputs)


def _done(entry: StudyEntry, study: Study, result: StudyResult, outputs: tuple[Output, ...]) -> StudyEntry:
    """The entry of a study that is done."""
    roles = study.roles
    missing = {role: roles[role].uid for role in ("pre", "post") if role in roles}
    registered = {role: RegistrationRecord.of(each) for role, each in result.registration.items() if role != "flair"}
    return replace(
        entry,
        status="done",
        series=UsedSeries(flair=study.flair.uid, **missing),
        volume_ml=result.volume_ml,
        registration=Registrations(**registered),
        warnings=result.warnings,
        outputs=outputs,
        seconds=dict(result.seconds),
    )


def input_digest(study: Study) -> str:
    """SHA-256 of the files of the series used, and of what each is used as; the same wherever the files lie.

    Raises:
        StudyError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for role, series in sorted(study.roles.items()):
        uid = series.uid if series.source == "dicom" else ""  # a NIfTI file's is its path
        digest.update(f"{role}\0{uid}\0".encode())
        for path in series.paths:
            try:
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
            except OSError as error:
                raise StudyError(
                    f"a file of the {NAMES[role]} cannot be read",
                    expected="the file that was found",
                    got=error.strerror,
                    remedy="check that the folder is still there, and run again",
                ) from error
    return digest.hexdigest()


def _still_holds(before: StudyEntry, entry: StudyEntry, out: Path, config: StudyConfig) -> bool:
    """Whether an earlier run's study can be kept: the input and every file have the bytes they had."""
    if before.status != "done" or before.input_sha256 != entry.input_sha256 or (config.strict and before.warnings):
        return False
    try:
        return all(sha256(read_capped(out / each.file, MAX_BYTES)) == each.sha256 for each in before.outputs)
    except BrainsegError:
        return False  # missing or unreadable: the study is segmented again


def require_ours(items: Sequence[StudyItem], known: Mapping[str, StudyEntry], out: Path) -> None:
    """Refuse to replace folders that hold files which no record lists.

    Args:
        items: What is to be written.
        known: Studies of an earlier run by name.
        out: Where it wrote.

    Raises:
        InputError: There are some.
    """
    strange: list[str] = []
    for item in items:
        listed = {each.file for each in known[item.name].outputs} if item.name in known else set()
        paths = (path for path in sorted((out / item.name).rglob("*")) if not path.is_dir())
        strange.extend(name for path in paths if (name := path.relative_to(out).as_posix()) not in listed)
    if strange:
        raise InputError(
            f"{out} holds files in the folders of these studies that no studies.json there lists",
            expected="none, or those of an earlier run beside its studies.json",
            got=first_few(strange),
            remedy="give another folder with -o, or move them away; --overwrite replaces files of brainseg alone",
        )


def require_same_studies(items: Sequence[StudyItem], known: Mapping[str, StudyEntry]) -> None:
    """Refuse to replace the results of another NIfTI study of the same name: no UID tells the two apart.

    Args:
        items: What is to be written.
        known: Studies of an earlier run by name.

    Raises:
        InputError: There is one.
    """
    others = [item for item in items if item.name in known and _is_another(item, known[item.name])]
    if others:
        raise InputError(
            "there are results of other NIfTI files under the same name",
            expected="a name for each study, since the results of one would replace those of another",
            got=first_few([f"{item.name}: now {item.path}, before {known[item.name].input}" for item in others]),
            remedy="give another folder with -o, or --overwrite if these are the same patient's files, changed",
        )


def _is_another(item: StudyItem, before: StudyEntry) -> bool:
    """Whether an earlier run's NIfTI study was made of other files."""
    if before.source != "nifti" or before.status != "done":
        return False
    try:
        return input_digest(item.read()) != before.input_sha256
    except BrainsegError:
        return False  # it will fail, and fail alone


def remove_outputs(entry: StudyEntry, out: Path) -> None:
    """Remove the files of a study of an earlier run, and its folders where nothing else is in them.

    Args:
        entry: The study.
        out: Where it was written.
    """
    for each in entry.outputs:
        with contextlib.suppress(OSError):  # gone already, or not ours to remove: `replace_folder` says so
            (out / each.file).unlink()
    for folder in sorted({(out / each.file).parent for each in entry.outputs}, reverse=True):
        with contextlib.suppress(OSError):  # what else lies in it stays
            folder.rmdir()
