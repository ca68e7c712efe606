"""The usual names of NIfTI files: BraTS's, BIDS's, and those of plain folders; which role they name, and which study.

Sources: the BraTS challenges' data (2012 to 2023 and later), the Brain Imaging Data Structure 1.9 ("anat").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from brainseg_runtime.studies.roles.wording import contrast_named
from brainseg_runtime.studies.series import Role

Named = Role | Literal["other"] | None
"""What a name says: a role, that the file has none, or nothing."""

_SUFFIXES: Final[Mapping[str, Named]] = {
    "flair": "flair", "t2f": "flair", "t2flair": "flair",
    "t1": "pre", "t1n": "pre", "t1w": "pre", "t1pre": "pre", "t1native": "pre",
    "t1ce": "post", "t1c": "post", "t1gd": "post", "t1gad": "post", "t1post": "post", "t1wce": "post", "t1wgd": "post",
    "t2": "other", "t2w": "other", "seg": "other", "dseg": "other", "mask": "other", "label": "other",
    "labels": "other", "lesion": "other", "tumor": "other", "tumour": "other", "brainmask": "other", "dwi": "other",
    "adc": "other", "swi": "other", "bold": "other", "pd": "other", "pdw": "other", "t2star": "other",
    "t2starw": "other", "asl": "other", "probability": "other", "angio": "other", "unit1": "other", "sbref": "other",
    "gtvseg": "other", "segmentation": "other",
}  # fmt: skip
_LABELS: Final = re.compile(r"_(ce|acq|desc|rec)-([A-Za-z0-9]+)(?=_)", re.IGNORECASE)
"""BIDS's entities that may speak of contrast."""
_MADE: Final = re.compile(
    r"(?<![a-z])("
    r"[dp]?seg[ms]?|aseg|aparc|masks?|brainmask|labels?|roi\d*|rois|lesions?|tumou?rs?|segmentations?|annotations?|"
    r"prob(s|ability|abilities|seg)?|pred(ict\w*)?|heat[ _-]?map|pve(seg)?|bias[ _-]?field|jac(obian)?|warp(field)?|"
    r"xfm|displacement|[tr][12][ _-]?map|uncertainty|diff(erence)?|sub(traction)?"
    r")(?![a-z])",
    re.IGNORECASE,
)
"""Words for what is made from images: masks, labels and maps; subjects ("sub-01") are taken out first."""
_SEQUENCE: Final = re.compile(r"[_\-. ]*(t1w?[_-](post|pre|gd|gad|ce|c)|t2[_-]flair|[A-Za-z0-9]+)$", re.IGNORECASE)
_BIDS_FOLDERS: Final = ("anat", "dwi", "func", "fmap", "perf")
_SUBJECT: Final = re.compile(r"(sub-[A-Za-z0-9]+)(?:_(ses-[A-Za-z0-9]+))?_")


def stem(path: Path) -> str:
    """A file's name without .nii or .nii.gz.

    Examples:
        >>> stem(Path("sub-1_FLAIR.nii.gz"))
        'sub-1_FLAIR'
    """
    return re.sub(r"\.nii(\.gz)?$", "", path.name, flags=re.IGNORECASE)


def role_by_name(path: Path) -> Named:
    """The role that a usual name says.

    Examples:
        >>> [role_by_name(Path(name)) for name in ("P1_t1ce.nii", "sub-1_ce-gadolinium_T1w.nii.gz", "P1-seg.nii")]
        ['post', 'post', 'other']
        >>> role_by_name(Path("14_Ax_T2_FLAIR_Propeller.nii.gz")) is None
        True
    """
    name = stem(path)
    if is_made(name):
        return "other"
    role = _SUFFIXES.get(_last(name))
    return "post" if role == "pre" and _with_contrast(name) else role


def _with_contrast(name: str) -> bool:
    """Whether a label of BIDS's says that contrast was given; any agent that is named does."""
    labels = {entity.lower(): label for entity, label in _LABELS.findall(name)}
    agent = labels.pop("ce", "none")
    if agent.lower() not in {"no", "none", "pre"}:
        return True
    return any(contrast_named(label) == "post" for label in labels.values())


def is_made(name: str) -> bool:
    """Whether a name is that of something made from images, such as a mask, which is never taken for an image.

    Args:
        name: A file's name without its suffix.

    Examples:
        >>> [is_made(name) for name in ("FLAIR_brain_mask", "T1c_lesions", "sub-01_FLAIR", "tumor01_t1")]
        [True, True, False, False]
    """
    without = re.sub(r"(?<![A-Za-z])sub-[A-Za-z0-9]+", "", name)
    return _MADE.search(re.sub(r"^(tumou?r|lesion|label|seg)[_-]?\d+_", "", without, flags=re.IGNORECASE)) is not None


def _last(name: str) -> str:
    """The last part of a name, after "_", "-" or "."; "t1_post" and the like are one part."""
    lowered = name.lower()
    joined = re.sub(r"t1w?[_-](post|pre|gd|gad|ce|c)$", r"t1\1", lowered)
    joined = re.sub(r"t2[_-]flair$", "flair", joined)
    return re.split(r"[_\-. ]", joined)[-1]


def by_study(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Files by study: by subject and session (BIDS), else by folder.

    Where a folder has several FLAIRs, the part of the names before the sequence tells (BraTS).

    Args:
        paths: NIfTI files.

    Returns:
        The files of each study, sorted, under a name made of letters, digits, ".", "_" and "-".

    Examples:
        >>> names = ("a/P1_flair.nii", "a/P1_t1.nii", "a/P2_flair.nii")
        >>> {name: len(files) for name, files in by_study(map(Path, names)).items()}
        {'P1': 2, 'P2': 1}
    """
    groups: dict[tuple[Path, str], list[Path]] = {}
    for path in sorted(paths, key=lambda path: ("derivatives" in path.parts, path)):
        groups.setdefault(_subject(path), []).append(path)
    split: dict[tuple[Path, str], list[Path]] = {}
    for (folder, subject), files in groups.items():
        several = not subject and sum(role_by_name(path) == "flair" for path in files) > 1
        for path in files:
            split.setdefault((folder, _before_sequence(path) if several else subject), []).append(path)
    named: dict[str, list[Path]] = {}
    for (folder, name), files in split.items():
        wanted = clean(name or _folder_name(folder))
        unique = wanted
        while unique in named:
            unique = f"{wanted}_{sum(other.startswith(wanted) for other in named) + 1}"
        named[unique] = files
    return named


def study_name(used: Sequence[Path]) -> str:
    """What a study is called: its subject and session, what its files' names share, else its folder.

    Args:
        used: The files that have roles, FLAIR first.

    Examples:
        >>> study_name([Path("a/P1_flair.nii"), Path("a/P1_t1.nii")])
        'P1'
    """
    folder, subject = _subject(used[0])
    shared = {_before_sequence(path) for path in used}
    return clean(subject or (shared.pop() if len(shared) == 1 else "") or _folder_name(folder))


def _subject(path: Path) -> tuple[Path, str]:
    """BIDS's folder, and subject with session; else the file's folder, and ""."""
    subject = _SUBJECT.match(path.name)
    if subject is None:
        return path.parent, ""
    above = path.parent.parent if path.parent.name in _BIDS_FOLDERS else path.parent
    return above, "_".join(part for part in subject.groups() if part)


def _folder_name(folder: Path) -> str:
    """A folder's name; where every subject has such a folder, the subject's."""
    whole = folder.resolve()
    return whole.parent.name if whole.name in _BIDS_FOLDERS and whole.parent.name else whole.name


def _before_sequence(path: Path) -> str:
    """What a usual name says before the sequence, such as the patient's code; "" if the name is not usual."""
    return "" if role_by_name(path) is None else _SEQUENCE.sub("", stem(path))


def clean(name: str) -> str:
    """A name of letters, digits, ".", "_" and "-", of at most 64."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[:64] or "study"
