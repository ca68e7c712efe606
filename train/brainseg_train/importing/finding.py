"""Which mask belongs to which study: the one beside its images, or the one that the user gives.

Beside its images is a DICOM SEG of the same study; a NIfTI file of a usual name among a NIfTI study's files, or of the
same subject elsewhere below the folder (BIDS keeps them in `derivatives`); and a NIfTI file in the nearest folder that
holds a DICOM study's images and no other study's.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from brainseg_runtime.errors import DataError
from brainseg_runtime.problems import first_few, printable
from brainseg_runtime.studies.dicom.finding import FoundFile, find
from brainseg_runtime.studies.nifti.files import is_nifti
from brainseg_runtime.studies.nifti.names import clean, role_by_name, stem, study_name
from brainseg_runtime.studies.reading import FoundStudy
from brainseg_train.importing.nifti_mask import is_mask_name, read_nifti_mask
from brainseg_train.importing.planes import MaskPlanes
from brainseg_train.importing.segmentation import SOP_CLASS, head_of, read_segmentation


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskFile:
    """A file that is a mask.

    Attributes:
        file: The file; it keeps what was unpacked from an archive alive.
        study_uid: The study that a SEG belongs to; "" for NIfTI.
    """

    file: FoundFile
    study_uid: str = ""

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.file.path

    def read(self, labels: tuple[int, ...] | None) -> MaskPlanes:
        """Read the mask; the errors are those of `read_nifti_mask` and `read_segmentation`."""
        return read_nifti_mask(self.path, labels) if is_nifti(self.path) else read_segmentation(self.path, labels)


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyToImport:
    """A study and its mask.

    Attributes:
        found: The study.
        name: StudyInstanceUID; for NIfTI its subject, folder or the like.
        mask: Its mask, or why it has none.
    """

    found: FoundStudy
    name: str
    mask: MaskFile | DataError


def mask_files(paths: Iterable[Path], *, usual_names: bool) -> list[MaskFile]:
    """All masks below some paths.

    Args:
        paths: Folders, archives and files.
        usual_names: Only NIfTI files whose names say that they are masks; else all.

    Raises:
        StudyError: A path does not exist or cannot be read.

    Examples:
        >>> Path("masks").mkdir()
        >>> mask_files([Path("masks")], usual_names=True)
        []
    """
    made = []
    for path in paths:
        there = find(path)
        made += [MaskFile(file=each) for each in there.nifti if not usual_names or is_mask_name(each.path)]
        for each in there.dicom:
            head = head_of(each.path)
            if head is not None and head.get("SOPClassUID") == SOP_CLASS:
                made.append(MaskFile(file=each, study_uid=str(head.get("StudyInstanceUID", ""))))
    return made


def with_masks(found: Sequence[FoundStudy], masks: Sequence[MaskFile], *, given: bool) -> list[StudyToImport]:
    """Studies with their masks; what holds masks alone is no study.

    Args:
        found: What `find_studies` gave.
        masks: What `mask_files` gave.
        given: The user named the masks: then a single mask is a single study's, whatever it is called.

    Examples:
        >>> with_masks([], [], given=False)
        []
    """
    studies = _named([each for each in found if not _holds_masks_alone(each, {mask.path for mask in masks})])
    if given and len(studies) == len(masks) == 1:
        return [StudyToImport(found=study, name=name, mask=masks[0]) for name, study in studies.items()]
    return [
        StudyToImport(found=study, name=name, mask=_mask_of(name, studies, masks)) for name, study in studies.items()
    ]


def _holds_masks_alone(study: FoundStudy, masks: set[Path]) -> bool:
    """Whether there is nothing in a study to segment: masks and other results, as BIDS keeps them apart."""
    others = study.source == "nifti"
    return all(path in masks or (others and role_by_name(path) == "other") for path in _paths(study))


def _named(studies: Sequence[FoundStudy]) -> dict[str, FoundStudy]:
    """Studies by name: their own, as long as no other has it, so that what else lies there does not change it."""
    wanted = [each.uid if each.source == "dicom" else study_name(_paths(each)) for each in studies]
    counts = Counter(name.casefold() for name in wanted)
    return {
        name if counts[name.casefold()] == 1 else each.name: each for name, each in zip(wanted, studies, strict=True)
    }


def _mask_of(name: str, studies: Mapping[str, FoundStudy], masks: Sequence[MaskFile]) -> MaskFile | DataError:
    """A study's mask, or why it has none."""
    own = [each for each in masks if _belongs(each, name, studies)]
    if len(own) == 1:
        return own[0]
    if own:
        return DataError(
            f"{len(own)} masks belong to the study",
            expected="one",
            got=first_few([printable(each.file.label) for each in own]),
            remedy="import the study alone and name its mask with --mask",
        )
    return DataError(
        "the study has no mask",
        expected="a DICOM SEG of the study, or a NIfTI file beside its images called ..._seg, ..._mask or the like",
        got="none",
        remedy="name the mask with --mask; a study without a lesion needs a mask without marked voxels",
    )


def _belongs(mask: MaskFile, name: str, studies: Mapping[str, FoundStudy]) -> bool:
    """Whether a mask is a study's."""
    study, all_ = studies[name], studies.values()
    if mask.study_uid:
        return mask.study_uid == study.uid
    if mask.path in _paths(study):
        return True
    if any(mask.path in _paths(each) for each in all_):
        return False
    named = [each for each in studies if _is_named_after(mask.path, each)]
    if named:
        return name == max(named, key=len)  # the mask of "P1_2" is not that of "P1"
    nearness = [_nearness(mask.path, each) for each in all_]
    nearest = max(nearness)
    alone = nearness.count(nearest) == 1
    return study.source == "dicom" and alone and nearest > 0 and _nearness(mask.path, study) == nearest


def _is_named_after(path: Path, name: str) -> bool:
    """Whether a mask's name is a study's, with something after it or nothing."""
    own = clean(stem(path))
    return study_name([path]) == name or own == name or own.startswith((f"{name}_", f"{name}-", f"{name}."))


def _nearness(mask: Path, study: FoundStudy) -> int:
    """Parts of the path that a mask shares with a study's images, if its own folder holds them or lies beside them."""
    shared = Path(os.path.commonpath([path.absolute().parent for path in (mask, *_paths(study))]))
    return len(shared.parts) if shared in {mask.absolute().parent, mask.absolute().parent.parent} else 0


def _paths(study: FoundStudy) -> list[Path]:
    """Files of a study's images."""
    return [path for each in study.series for path in each.paths]
