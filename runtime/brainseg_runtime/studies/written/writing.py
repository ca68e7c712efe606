"""A segmented study to its folder of files, whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import ArgumentError, BrainsegError, FileWriteError, MissingExtraError, StudyError
from brainseg_runtime.extras import install_remedy
from brainseg_runtime.images.overlay import encode_png
from brainseg_runtime.safe_io.files import encode_json, read_capped, replace_folder
from brainseg_runtime.safe_io.typed_json import to_json
from brainseg_runtime.studies.written.about import RESEARCH, About
from brainseg_runtime.studies.written.contours import LongAxis, long_axis
from brainseg_runtime.studies.written.dicom_object import Job, encode
from brainseg_runtime.studies.written.nifti import nifti
from brainseg_runtime.studies.written.pictures import Picture, to_grey
from brainseg_runtime.studies.written.predecessor import Predecessor
from brainseg_runtime.studies.written.preview import preview
from brainseg_runtime.studies.written.record import FILE, SCHEMA, Output, study_record
from brainseg_runtime.studies.written.rtstruct import structure_set
from brainseg_runtime.studies.written.secondary_capture import captures
from brainseg_runtime.studies.written.seg import segmentation
from brainseg_runtime.studies.written.segmented import Segmented
from brainseg_runtime.studies.written.settings import SegmentSettings
from brainseg_runtime.studies.written.source_header import SourceHeader, source_header
from brainseg_runtime.studies.written.sr import Measured, report
from brainseg_runtime.studies.written.uids import Uids, content_digest
from brainseg_runtime.version import __version__

Kind = Literal["seg", "sr", "sc", "rtstruct", "nifti", "preview"]
"""What can be written; the record always is."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
OF_DICOM: Final[tuple[Kind, ...]] = ("seg", "sr", "sc", "nifti", "preview")
"""What is written of a DICOM study if nothing else is asked for."""

OF_NIFTI: Final[tuple[Kind, ...]] = ("nifti", "preview")
_NEEDS_DICOM: Final = frozenset({"seg", "sr", "sc", "rtstruct"})
_NAMES: Final = frozenset(
    {"seg.dcm", "sr.dcm", "rtstruct.dcm", "mask.nii.gz", "probability.nii.gz", "preview.png", FILE}
)
"""Of all files but the secondary captures."""

_MAX_RECORD: Final = 64 << 20
_NO_DATE: Final = datetime(1900, 1, 1)


def write_study(
    result: Segmented,
    out: Path,
    kinds: Sequence[str] | None = None,
    *,
    deterministic_uids: bool = False,
    segment: SegmentSettings | None = None,
    predecessor: Predecessor | None = None,
) -> tuple[Output, ...]:
    """Write a segmented study into its folder, `out/<study's name>/`, replacing that of an earlier run.

    Args:
        result: A `StudyResult`.
        out: The folder that gets the study's folder; made if it does not exist.
        kinds: Any of `KINDS`; None for those that fit the study: `OF_DICOM` or `OF_NIFTI`.
        deterministic_uids: Derive UIDs from the content and dates from the source, so that the same study and model
            give the same bytes at any time. Else UIDs are new and dates are now.
        segment: How the marked voxels are described; None for `SegmentSettings()`.
        predecessor: The report of an earlier result of the study, which this one replaces.

    Returns:
        The files, by kind, the record last.

    Raises:
        ArgumentError: An unknown kind, or one that a NIfTI study cannot give.
        StudyError: The result does not fit its series.
        FileWriteError: The system refused, or the study's folder holds files that are not of an earlier run.
    """
    study, segment = result.study, segment or SegmentSettings()
    chosen = check_kinds(kinds, study.source)
    _check(result)
    target = Path(out) / study.name
    _require_replaceable(target)
    made = _Made(result, segment=segment, deterministic=deterministic_uids, predecessor=predecessor)
    files = made.files(chosen)
    listed = [Output(kind=kind, file=file, sha256=_sha256(data)) for file, (kind, data) in files.items()]
    record = study_record(
        result, segment=segment, axis=made.axis, notes=made.notes, outputs=listed, timed=not deterministic_uids
    )
    files[FILE] = ("record", encode_json(to_json(record)).encode())
    with replace_folder(target) as folder:
        for file, (_, data) in files.items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_bytes(data)
    return tuple(
        Output(kind=kind, file=f"{study.name}/{file}", sha256=_sha256(data)) for file, (kind, data) in files.items()
    )


def check_kinds(kinds: Sequence[str] | None, source: Literal["dicom", "nifti"]) -> tuple[Kind, ...]:
    """The kinds to write, in order; the SEG is among them if the SR is, which refers to it.

    Args:
        kinds: What was asked for; None for what fits the source.
        source: Of the study.

    Raises:
        ArgumentError: An unknown kind, or one that the source cannot give.

    Examples:
        >>> check_kinds(["sr", "nifti"], "dicom")
        ('seg', 'sr', 'nifti')
    """
    if kinds is None:
        return OF_DICOM if source == "dicom" else OF_NIFTI
    given: object = kinds  # callers are not type-checked
    if isinstance(given, str) or not isinstance(given, Iterable) or not all(isinstance(each, str) for each in given):
        raise ArgumentError(
            "the kinds of output are no list of names", expected="some of " + ", ".join(KINDS), got=repr(kinds)[:100]
        )
    asked = set(kinds)
    if unknown := sorted(asked - set(KINDS)):
        raise ArgumentError("the kind of output is unknown", expected=", ".join(KINDS), got=", ".join(unknown))
    if source == "nifti" and (impossible := sorted(asked & _NEEDS_DICOM)):
        raise ArgumentError(
            "DICOM objects cannot be written for a NIfTI study, which has no patient, study and images to refer to",
            expected="nifti, preview",
            got=", ".join(impossible),
            remedy="leave them out, or segment the DICOM files that the NIfTI files were made from",
        )
    asked |= {"seg"} if "sr" in asked else set()
    return tuple(kind for kind in KINDS if kind in asked)


class _Made:
    """Makes the files of one study, and what several of them share, once."""

    def __init__(
        self, result: Segmented, *, segment: SegmentSettings, deterministic: bool, predecessor: Predecessor | None
    ) -> None:
        self._result = result
        self._predecessor = predecessor
        self._segment = segment
        self._deterministic = deterministic
        self._about = About(provenance=result.provenance)
        self._mask = np.ascontiguousarray(result.mask, np.uint8)
        self.axis: LongAxis | None = long_axis(self._mask, result.grid.spacing)
        self._header = _header(result)
        self.notes = () if self._header is None else self._header.notes
        if self._header is not None and self._header.burned_in:
            note = "the source states that its pixels show who the patient is: pictures hold outlines alone"
            self.notes = (*self.notes, note)

    def files(self, kinds: Sequence[Kind]) -> dict[str, tuple[str, bytes]]:
        """Kind and bytes by name, for the kinds asked for."""
        files: dict[str, tuple[str, bytes]] = {}
        job = None if self._header is None or not _NEEDS_DICOM & set(kinds) else self._job(self._header)
        for kind in kinds:
            made = self._plain(kind) if kind not in _NEEDS_DICOM else self._dicom(kind, cast("Job", job))
            files |= {name: (kind, data) for name, data in made.items()}
        return files

    def _plain(self, kind: Kind) -> dict[str, bytes]:
        """The files of a kind that any study can give."""
        result = self._result
        if kind == "preview":
            return {"preview.png": encode_png(self._overview)}
        described = f"{self._about.model[:40]}; {RESEARCH}{'; see warnings' if result.warnings else ''}"
        probability = np.ascontiguousarray(result.probability, np.float32)
        source = result.study.flair.nifti
        return {
            "mask.nii.gz": nifti(self._mask, result.grid, description=described, source=source),
            "probability.nii.gz": nifti(probability, result.grid, description=described, source=source),
        }

    def _dicom(self, kind: Kind, job: Job) -> dict[str, bytes]:
        """The files of a kind that only DICOM studies can give."""
        result = self._result
        if kind == "seg":
            return {"seg.dcm": encode(segmentation(job, self._mask))}
        if kind == "rtstruct":
            return {"rtstruct.dcm": encode(structure_set(job, self._mask), implicit=True)}
        if kind == "sr":
            measured = Measured(volume_ml=result.volume_ml, axis=self.axis)
            others = [series for role, series in sorted(result.study.roles.items()) if role != "flair"]
            return {"sr.dcm": encode(report(job, measured, [each for each in others if each.uid != job.series.uid]))}
        objects = captures(job, self._grey, self._mask, self._overview, self._texts())
        return {f"sc/{number:04d}.dcm": encode(each) for number, each in enumerate(objects, start=1)}

    def _job(self, header: SourceHeader) -> Job:
        """What the DICOM objects share."""
        return Job(
            header=header,
            series=self._result.study.flair,
            grid=self._result.grid,
            about=self._about,
            warnings=tuple(self._result.warnings),
            segment=self._segment,
            uids=Uids(seed=self._seed(header)) if self._deterministic else Uids.new(),
            now=_when(header) if self._deterministic else datetime.now(),
            stamped=not self._deterministic,
            predecessor=self._predecessor,
        )

    def _seed(self, header: SourceHeader) -> str:
        """Digest of all that decides the objects' bytes."""
        result = self._result
        settings = [to_json(self._segment), self._about.parameters, __version__, list(result.warnings)]
        grid = [
            *result.grid.shape,
            *result.grid.spacing,
            *result.grid.directions.ravel().tolist(),
            *result.grid.origin.tolist(),
        ]
        sources = [
            f"{each.sop_uid} {each.frame}" for series in result.study.roles.values() for each in series.instances
        ]
        patient = json.dumps([sorted(header.values.items()), header.charset])
        earlier = [] if self._predecessor is None else [to_json(self._predecessor)]
        text = json.dumps([settings, grid, sources, header.study_uid, result.volume_ml, *earlier], sort_keys=True)
        return content_digest([text, patient, self._mask.tobytes(), self._grey.tobytes()])

    @cached_property
    def _grey(self) -> NDArray[np.uint8]:
        """FLAIR for pictures; black if the source's pixels show who the patient is."""
        if self._header is not None and self._header.burned_in:
            return np.zeros(self._mask.shape, np.uint8)
        return to_grey(self._result.flair)

    @cached_property
    def _overview(self) -> Picture:
        """The overview picture."""
        return preview(
            self._grey,
            self._mask,
            self._result.grid,
            texts=self._texts(),
            warnings=self._result.warnings,
            colour=self._segment.colour,
        )

    def _texts(self) -> list[str]:
        """What pictures say: the finding, the model, the use."""
        volume = f"{self._result.volume_ml:.1f} mL" if self.axis is not None else "nothing marked"
        found = f"{self._segment.label}: {volume}"
        if self.axis is not None:
            found += f", longest axis {self.axis.mm:.0f} mm in slice {self.axis.slice + 1}"
        return [found, f"{self._about.model}, SHA-256 {self._about.digest[:16]}", f"{RESEARCH}. Not for diagnosis."]


def _header(result: Segmented) -> SourceHeader | None:
    """The source's header; None for NIfTI."""
    if result.study.source == "nifti":
        return None
    try:
        import pydicom  # noqa: F401 - whether it is there
    except ImportError as error:
        raise MissingExtraError(
            "writing DICOM needs pydicom", expected="pydicom", got=error, remedy=install_remedy("study")
        ) from error
    return source_header(result.study.flair, result.study.uid)


def _when(header: SourceHeader) -> datetime:
    """The source's date and time."""
    text = header.date + (header.time + "000000")[:6]
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S")
    except ValueError:  # such as 30 February, or no date at all
        return _NO_DATE


def _check(result: Segmented) -> None:
    """Raise unless mask, probability and FLAIR lie on the grid, and each slice has its image.

    Raises:
        StudyError: They do not.
    """
    shape = result.grid.shape
    for name, values in (("mask", result.mask), ("probability", result.probability), ("FLAIR", result.flair)):
        if values.shape != shape:
            raise StudyError(f"the {name} does not lie on FLAIR's grid", expected=shape, got=values.shape)
    if int(result.mask.max(initial=0)) > 1:
        raise StudyError("the mask is wrong", expected="0 and 1", got=int(result.mask.max()))
    instances = result.study.flair.instances
    if result.study.source == "dicom" and len(instances) != shape[0]:
        raise StudyError("FLAIR's images do not fit its grid", expected=f"{shape[0]} slices", got=len(instances))


def _require_replaceable(target: Path) -> None:
    """Raise if the study's folder holds anything that an earlier run did not write.

    Raises:
        FileWriteError: It does.
    """
    if not target.is_dir() or target.is_symlink():
        return  # `replace_folder` refuses files and links
    present = [path.relative_to(target).as_posix() for path in sorted(target.rglob("*")) if not path.is_dir()]
    strange = [name for name in present if name not in _NAMES and not _is_capture(name)]
    if present and (strange or not _is_record(target / FILE)):
        raise FileWriteError(
            f"{target} cannot be replaced",
            expected=f"nothing there, or an earlier run's files with their {FILE}",
            got=(strange or present)[0],
            remedy="give another folder, or move these files away",
        )


def _is_capture(name: str) -> bool:
    """Whether a file's name is that of a secondary capture."""
    return name.startswith("sc/") and name.endswith(".dcm") and name[3:-4].isdigit()


def _is_record(path: Path) -> bool:
    """Whether a file is a study's record."""
    try:
        record: Any = json.loads(read_capped(path, _MAX_RECORD))
    except (BrainsegError, ValueError, RecursionError):
        return False
    return isinstance(record, dict) and record.get("schema") == SCHEMA


def _sha256(data: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(data).hexdigest()
