"""One DICOM or NIfTI study to a row and, if asked for, the objects in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from brainseg_runtime.archive.finding.references import Reference
from brainseg_runtime.archive.working.identity import of_volumes, row_id
from brainseg_runtime.archive.working.job import OF_STUDIES, Job
from brainseg_runtime.archive.working.measures import Measures
from brainseg_runtime.archive.working.rows import Row
from brainseg_runtime.problems import printable
from brainseg_runtime.safe_io.files import read_capped
from brainseg_runtime.safe_io.litter import is_hidden
from brainseg_runtime.segmentation.base_segmenter import BaseSegmenter
from brainseg_runtime.studies.dicom.files import HEAD, is_directory
from brainseg_runtime.studies.reading import FoundStudy, find_studies, no_study
from brainseg_runtime.studies.segmenting import segment_study
from brainseg_runtime.studies.written.record import Output
from brainseg_runtime.studies.written.writing import check_kinds, write_study

if TYPE_CHECKING:
    from brainseg_runtime.studies.geometry import Volume
    from brainseg_runtime.studies.result import StudyResult
    from brainseg_runtime.studies.study import Study

_MOST_PREVIEW: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class StudyUnit:
    """A study.

    Attributes:
        found: Its series' headers.
    """

    found: FoundStudy

    @property
    def name(self) -> str:
        """The study's name."""
        return self.found.name

    def segment(self, segmenter: BaseSegmenter, job: Job, out: Path) -> Row:
        """As `units.Unit` has it."""
        study = self.found.read()
        volumes: dict[str, Volume] = {role: series.load() for role, series in study.roles.items()}
        digest = of_volumes(volumes)
        identity = row_id(digest, job.bundle)
        result = _segmented(segmenter, _loaded(study, volumes), job)
        measures = Measures()
        for mask, probability in zip(result.mask, result.probability, strict=True):
            measures.add(mask, probability)
        flair = study.flair.header
        return Row(
            id=identity,
            status="done",
            source="",
            name=study.name,
            kind=study.source,
            study_uid=study.uid if study.source == "dicom" else None,
            scanner=printable(" ".join(part for part in (flair.manufacturer, flair.model) if part))[:64],
            pixels_sha256=digest,
            volume_ml=result.volume_ml,
            **measures.columns,
            warnings=result.warnings,
            provider=segmenter.info.provider,
            variant=segmenter.info.variant,
            bundle=job.bundle,
            objects=_written(result, _kinds(job.settings.write, study.source), identity, out),
        )

    def preview(self, segmenter: BaseSegmenter, job: Job, out: Path, index: int) -> bytes:  # noqa: ARG002 - as `units.Unit` has it
        """Twelve slices with the mask's outline."""
        _written(_segmented(segmenter, self.found.read(), job), ["preview"], "preview", out)
        return read_capped(out / "preview" / "preview.png", _MOST_PREVIEW)


def studies_in(paths: Sequence[Path], reference: Reference) -> list[StudyUnit]:
    """The studies of a reference, as far as their headers.

    Args:
        paths: Its files on this machine, in the order of `reference.paths`.
        reference: Which of them are shallow.

    Raises:
        StudyError: There is none, or a path cannot be read.
    """
    given: list[Path] = []
    for path, text in zip(paths, reference.paths, strict=True):
        given += _own_files(path) if text in reference.shallow else [path]
    found = find_studies(given)
    if not found:
        raise no_study(given)
    return [StudyUnit(each) for each in found]


def _kinds(wanted: Sequence[str], source: str) -> list[str]:
    """The kinds that a study of a source can have."""
    possible = OF_STUDIES if source == "dicom" else ("nifti", "preview")
    return [kind for kind in wanted if kind in possible]


def _segmented(segmenter: BaseSegmenter, study: Study, job: Job) -> StudyResult:
    return segment_study(segmenter, study, register=job.settings.register, threshold=job.settings.threshold)


def _loaded(study: Study, volumes: dict[str, Volume]) -> Study:
    """The study with the voxels that were read for its identity, so that no file is read twice."""
    choices = tuple(
        each
        if each.role is None
        else replace(each, series=replace(each.series, load=partial(_given, volumes[each.role])))
        for each in study.choices
    )
    return replace(study, choices=choices)


def _given(volume: Volume) -> Volume:
    return volume


def _written(result: StudyResult, kinds: Sequence[str], name: str, out: Path) -> tuple[Output, ...]:
    """The objects, in a folder of that name; UIDs come from the content, so that every worker makes the same bytes.

    A study with the same pixels that was written before keeps its objects, which name its own files.
    """
    if not kinds or (out / name).exists():
        return ()
    named = replace(result, study=replace(result.study, name=name))
    return write_study(named, out, check_kinds(kinds, result.study.source), deterministic_uids=True)


def _own_files(folder: Path) -> list[Path]:
    """The files directly in a folder."""
    if not folder.is_dir():
        return [folder]
    files = (path for path in sorted(folder.iterdir()) if path.is_file() and not is_hidden(path.name))
    return [path for path in files if not _is_medium(path)]


def _is_medium(path: Path) -> bool:
    """Whether a file lists those of a medium, and is no image."""
    with path.open("rb") as file:
        return is_directory(file.read(HEAD))
