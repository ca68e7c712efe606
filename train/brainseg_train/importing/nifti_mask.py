"""A NIfTI mask: labels 0 and above, of which some or all are the abnormality."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import numpy as np

from brainseg_runtime.errors import DataError
from brainseg_runtime.problems import printable
from brainseg_runtime.studies.nifti.files import read_nifti
from brainseg_runtime.studies.nifti.names import stem
from brainseg_train.importing.planes import MaskPlanes, Plane

_MASKS: Final = frozenset(
    {"seg", "dseg", "gtvseg", "segmentation", "mask", "masks", "label", "labels", "lesion", "lesions"}
    | {"roi", "tumor", "tumour"}
)
_OTHERS: Final = frozenset(
    {"brain", "brainmask", "head", "skull", "face", "tissue", "aseg", "aparc", "wm", "gm", "csf"}
    | {"prob", "probseg", "probability"}
)
"""Words that say what else a mask may show than a lesion."""
_MOST_LABELS: Final = 64
"""Values of a mask beyond which it is an image."""


def is_mask_name(path: Path) -> bool:
    """Whether a file's name says that it is a mask of a lesion, such as BraTS's, BIDS's and usual plain ones.

    Examples:
        >>> names = ("P1_seg.nii.gz", "sub-1_space-orig_dseg.nii", "sub-1_label-lesion_mask.nii.gz", "mask.nii")
        >>> all(is_mask_name(Path(name)) for name in names)
        True
        >>> [is_mask_name(Path(name)) for name in ("P1_flair.nii", "P1_brain_mask.nii", "sub-1_desc-brain_mask.nii")]
        [False, False, False]
    """
    words = set(re.split(r"[_\-. ]", stem(path).lower()))
    return bool(words & _MASKS) and not words & _OTHERS


def read_nifti_mask(path: Path, labels: tuple[int, ...] | None = None) -> MaskPlanes:
    """Read a mask.

    Args:
        path: A .nii or .nii.gz file.
        labels: Labels that count as the abnormality; None: all above 0.

    Raises:
        StudyError: The file cannot be read.
        DataError: Its values are no labels, or it has none of those that were asked for.

    Examples:
        >>> read_nifti_mask(Path("not_there_seg.nii.gz"))
        Traceback (most recent call last):
        ...
        brainseg_runtime.errors.StudyError: not_there_seg.nii.gz cannot be read; ...
    """
    volume = read_nifti(path).load()
    name = printable(path.name)
    found = np.unique(volume.voxels)
    if found.size > _MOST_LABELS or np.any(found != np.rint(found)) or found[0] < 0:
        raise DataError(
            f"{name} is not a mask",
            expected=f"whole labels from 0, at most {_MOST_LABELS} of them",
            got=f"{found.size:,} values from {found[0]:g} to {found[-1]:g}",
            remedy="give the readers' mask; a probability map must be made a mask first",
        )
    there = tuple(int(value) for value in found if value > 0)
    if labels is not None and there and not set(labels) & set(there):
        raise DataError(
            f"{name} has none of the labels asked for",
            expected=", ".join(map(str, labels)),
            got=", ".join(map(str, there)),
            remedy="see what the labels mean, and name those of the abnormality with --labels",
        )
    marked = volume.voxels > 0 if labels is None else np.isin(volume.voxels, np.array(labels, np.float32))
    steps = volume.grid.steps
    planes = [
        Plane(marked=one, origin=volume.grid.positions((index, 0, 0)), row_step=steps[1], column_step=steps[2])
        for index, one in enumerate(marked)
    ]
    return MaskPlanes(planes=planes, values=tuple(map(str, there)), depth_step=steps[0])
