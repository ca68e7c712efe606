"""The studies that `brainseg predict` is given: folders, files and archives turned into one list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from brainseg_runtime.errors import InputError
from brainseg_runtime.problems import first_few

if TYPE_CHECKING:
    from brainseg_runtime.studies.study import Study


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyItem:
    """One study to segment.

    Attributes:
        uid: StudyInstanceUID, or a name for NIfTI; "" if that is not known yet.
        name: Of its folder in OUT.
        path: Where it was found.
        read: Reads it: series, roles, geometry.
    """

    uid: str
    name: str
    path: Path
    read: Callable[[], Study]


@dataclass(frozen=True, kw_only=True, slots=True)
class RolesByHand:
    """Series that the user names, by UID, number or path; None where the header decides; "none" leaves a T1 out.

    Attributes:
        flair: FLAIR.
        pre: T1 before contrast.
        post: T1 after contrast.
    """

    flair: str | None = None
    pre: str | None = None
    post: str | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """Those that are named."""
        given = (self.flair, self.pre, self.post)
        return tuple(each for each in given if each is not None and each.lower() != "none")

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files and folders among them, each once."""
        return tuple(dict.fromkeys(path for path in map(Path, self.named) if path.exists()))

    @property
    def are_nifti(self) -> bool:
        """Whether all of them are NIfTI files."""
        return bool(self.named) and all(each.lower().endswith((".nii", ".nii.gz")) for each in self.named)

    @property
    def any(self) -> bool:
        """Whether one is named."""
        return any((self.flair, self.pre, self.post))


def collect_studies(inputs: Sequence[Path], out: Path, by_hand: RolesByHand) -> tuple[StudyItem, ...]:
    """List every study once, in the order of the inputs.

    Args:
        inputs: Folders, files or archives; none if `by_hand` names the files.
        out: The folder for results; it is not changed.
        by_hand: Which series is what; only for a single study.

    Raises:
        InputError: The results would lie among the inputs, there is no study, or there are several and series are
            named by hand.
        StudyError: An input cannot be read.
    """
    from brainseg_runtime.studies.reading import find_studies, no_study

    _refuse_among(inputs, out)
    if not inputs and by_hand.are_nifti:
        return (_of_nifti(by_hand),)
    found = find_studies(inputs or by_hand.paths)
    items = tuple(
        StudyItem(
            uid=each.uid,
            name=each.name,
            path=each.path,
            read=partial(each.read, flair=by_hand.flair, pre=by_hand.pre, post=by_hand.post),
        )
        for each in found
    )
    if not items:
        raise no_study(inputs or by_hand.paths)
    if by_hand.any and len(items) > 1:
        raise InputError(
            "--flair, --pre and --post name series of one study, and there are several",
            expected="one study",
            got=first_few([item.name for item in items]),
            remedy="run predict once for each study whose series are named",
        )
    _refuse_collisions(items)
    return items


def _of_nifti(by_hand: RolesByHand) -> StudyItem:
    """The study whose files are named one by one, wherever they lie."""
    from brainseg_runtime.studies.nifti.files import nifti_study

    if missing := [path for path in map(Path, by_hand.named) if not path.exists()]:
        raise InputError(f"{missing[0]} does not exist", expected="a NIfTI file", got="nothing")
    study = nifti_study(by_hand.paths, flair=by_hand.flair, pre=by_hand.pre, post=by_hand.post)
    return StudyItem(uid=study.uid, name=study.name, path=Path(str(by_hand.flair)), read=lambda: study)


def _refuse_collisions(items: Sequence[StudyItem]) -> None:
    """Refuses two studies that would write the same folder, even where case does not matter."""
    counts = Counter(item.name.casefold() for item in items)
    double = [f"{item.name} ({item.path})" for item in items if counts[item.name.casefold()] > 1]
    if double:
        raise InputError(
            "two inputs hold the same study, or studies of one name, and would write the same folder",
            expected="each study once",
            got=first_few(double),
            remedy="give one of them, or put the files of one study into one folder",
        )


def _refuse_among(inputs: Sequence[Path], out: Path) -> None:
    """Refuses an OUT inside an input, where results would be read as series of the study the next time."""
    there = out.resolve()
    for given in inputs:
        folder = given.resolve()
        if given.is_dir() and folder in {there, *there.parents}:
            raise InputError(
                f"the results would be written among the inputs, in {there}",
                expected="a folder outside the inputs, since a later run would find the results among the series",
                remedy="give another folder with -o",
            )
