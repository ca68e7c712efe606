"""`studies.json`: what a run of `brainseg predict` made of each study, and what a later run trusts.

The classes here are the file, field by field; `record` has the same for slices.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from brainseg_runtime.errors import InputError
from brainseg_runtime.prediction.layout import path_text
from brainseg_runtime.prediction.record import DECISIVE, MAX_BYTES, BundleEntry, Origin
from brainseg_runtime.safe_io.files import read_capped, write_json
from brainseg_runtime.safe_io.typed_json import from_json, to_json
from brainseg_runtime.segmentation.results import SegmenterInfo
from brainseg_runtime.studies.written.record import Output, RegistrationRecord
from brainseg_runtime.studies.written.settings import SegmentSettings

SCHEMA: Final = "brainseg/studies/1"
FILE: Final = "studies.json"
_ANEW: Final = "run without --resume and with --overwrite, which starts again, or give another folder with -o"


@dataclass(frozen=True, kw_only=True, slots=True)
class UsedSeries:
    """The series used, by SeriesInstanceUID, or by path for NIfTI.

    Attributes:
        flair: FLAIR; the mask lies on its grid.
        pre: T1 before contrast; null if FLAIR stands in for it.
        post: T1 after contrast; null if FLAIR stands in for it.
    """

    flair: str
    pre: str | None = None
    post: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Registrations:
    """By role; null where the sequence is missing.

    Attributes:
        pre: Of the T1 before contrast.
        post: Of the T1 after contrast.
    """

    pre: RegistrationRecord | None = None
    post: RegistrationRecord | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyEntry:
    """What became of one study.

    Attributes:
        study_uid: StudyInstanceUID; for NIfTI a name; "" if the study could not be read.
        name: Its folder in OUT.
        input: Where it was found.
        source: The kind of its files; null if it could not be read.
        status: "done"; "failed", with `error`; "pending" where the run ended before its turn.
        input_sha256: Of the files of the series used; null where they could not be read.
        series: The series used; null unless done. So is all that follows but the warnings.
        volume_ml: Volume of the mask in mL on FLAIR's own spacing.
        registration: How the T1s were brought onto FLAIR.
        warnings: Reasons to distrust the mask.
        outputs: The files written.
        seconds: Time by part, s.
        error: The error's kind, what, expected, got and remedy; null unless failed.
    """

    study_uid: str
    name: str
    input: str
    source: Literal["dicom", "nifti"] | None = None
    status: Literal["done", "failed", "pending"] = "pending"
    input_sha256: str | None = None
    series: UsedSeries | None = None
    volume_ml: float | None = None
    registration: Registrations | None = None
    warnings: tuple[str, ...] = ()
    outputs: tuple[Output, ...] = ()
    seconds: Mapping[str, float] | None = None
    error: Mapping[str, object] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StudySettings:
    """What decides a study's files besides the study, the model and the threshold.

    Attributes:
        write: The kinds of output; null for what fits the study, and a preview.
        register: Whether the T1s are brought onto FLAIR by what they show, or by their headers alone.
        deterministic_uids: Whether the same study and model give the same UIDs.
        segment: Label, codes and colour of the segment.

    Examples:
        >>> StudySettings().in_words["write"]
        'default'
    """

    write: tuple[str, ...] | None = None
    register: bool = True
    deterministic_uids: bool = False
    segment: SegmentSettings = field(default_factory=SegmentSettings)

    @property
    def in_words(self) -> Mapping[str, str]:
        """By name, so that settings differ in a value if and only if its words differ."""
        segment = self.segment
        codes = [f"{code.value},{code.scheme},{code.meaning}" for code in (segment.category, segment.type)]
        return {
            "write": "default" if self.write is None else ",".join(self.write),
            "register": "yes" if self.register else "no",
            "deterministic UIDs": "yes" if self.deterministic_uids else "no",
            "segment": "; ".join([segment.label, *codes, "colour " + ",".join(map(str, segment.colour))]),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyPredictions:
    """The whole file.

    Attributes:
        schema: The file's form.
        status: How the run ended: every study done, some failed, or stopped.
        n_studies: Studies of this run.
        n_done: Those that are done.
        n_failed: Those that failed.
        n_pending: Those whose turn had not come.
        bundle: Which model ran.
        provider: Execution provider that ran.
        variant: Variant that ran.
        threshold: Probability from which a voxel is marked.
        validated_threshold: The bundle's own.
        versions: Package name to version.
        settings: What else decides the files: kinds, registration, UIDs, segment.
        warnings: What holds for the whole run, and what was left out.
        studies: One for each study, in the order of the inputs.
        earlier: Studies of earlier runs in the same way, not among these inputs, whose files stay in the folder.
    """

    schema: Literal["brainseg/studies/1"] = SCHEMA
    status: Literal["complete", "faulty", "interrupted"] = "interrupted"
    n_studies: int = 0
    n_done: int = 0
    n_failed: int = 0
    n_pending: int = 0
    bundle: BundleEntry
    provider: str
    variant: str
    threshold: float | None = None
    validated_threshold: float | None = None
    versions: Mapping[str, str]
    settings: StudySettings
    warnings: tuple[str, ...] = ()
    studies: tuple[StudyEntry, ...] = ()
    earlier: tuple[StudyEntry, ...] = ()

    @classmethod
    def begun(
        cls, bundle: Path, info: SegmenterInfo, threshold: float | None, settings: StudySettings
    ) -> StudyPredictions:
        """The record of a run that has made nothing yet.

        Args:
            bundle: The bundle's path as it was given.
            info: What is loaded.
            threshold: The threshold that was asked for, if any.
            settings: What else decides the files.
        """
        own = info.provenance.threshold
        return cls(
            bundle=BundleEntry(path=path_text(bundle), digest=info.provenance.bundle_digest),
            provider=info.provider,
            variant=info.variant,
            threshold=own if threshold is None else threshold,
            validated_threshold=own,
            versions=info.versions,
            settings=settings,
        )

    def holding(self, entries: Sequence[StudyEntry], *, stopped: bool) -> StudyPredictions:
        """The record as it is to be now.

        Args:
            entries: One for each study, in the order of the inputs.
            stopped: Whether the run has not come to its end.
        """
        counts = Counter(entry.status for entry in entries)
        ended: Literal["complete", "faulty"] = "faulty" if counts["failed"] else "complete"
        return replace(
            self,
            status="interrupted" if stopped or counts["pending"] else ended,
            n_studies=len(entries),
            n_done=counts["done"],
            n_failed=counts["failed"],
            n_pending=counts["pending"],
            studies=tuple(entries),
        )

    @property
    def origin(self) -> tuple[Origin, StudySettings]:
        """What decided these files: the model and how it ran, and the settings."""
        own = self.threshold == self.validated_threshold
        origin = Origin(
            digest=self.bundle.digest or "",
            provider=self.provider,
            variant=self.variant,
            versions={name: self.versions.get(name, "") for name in DECISIVE},
            threshold=None if own else self.threshold,
        )
        return origin, self.settings

    def save(self, out: Path) -> None:
        """Writes the file, whole.

        Raises:
            FileWriteError: The system refused.
        """
        write_json(out / FILE, to_json(self))


def read_studies(out: Path) -> StudyPredictions | None:
    """The record that an earlier run left in a folder; None where there was no run on studies.

    Raises:
        InputError: The file is there and is not what `StudyPredictions.save` writes, or names files outside its
            studies' folders.
    """
    path = out / FILE
    if not path.exists():
        return None
    try:
        value = json.loads(read_capped(path.resolve(), MAX_BYTES))
        found = from_json(StudyPredictions, value, str(path), error=InputError)
    except (ValueError, RecursionError) as damage:
        raise InputError(f"{path} is not JSON", got=str(damage)[:200], remedy=_ANEW) from damage
    except InputError as fault:
        raise InputError(fault.what, expected=fault.expected, got=fault.got, remedy=_ANEW) from fault
    for entry in (*found.studies, *found.earlier):
        if not _is_ours(entry):
            raise InputError(
                f"{path} holds values that brainseg predict does not write",
                expected="files of this folder, each in its study's own",
                got=repr(entry.name)[:100],
                remedy=_ANEW,
            )
    return found


def is_place(name: str) -> bool:
    """Whether a name can be a study's folder: one part of letters, digits, ".", "_" and "-".

    >>> is_place("1.2.3"), is_place("../x"), is_place("")
    (True, False, False)
    """
    return bool(name.strip(".")) and all(each.isascii() and (each.isalnum() or each in "._-") for each in name)


def _is_ours(entry: StudyEntry) -> bool:
    """Whether an entry's files lie in its folder and lead nowhere else."""
    parts = [each.file.split("/") for each in entry.outputs]
    inside = all(len(each) > 1 and each[0] == entry.name and all(map(is_place, each)) for each in parts)
    return is_place(entry.name) and inside
