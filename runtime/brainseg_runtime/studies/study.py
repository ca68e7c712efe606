"""A study as read: its series, which of them are used as what and why, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from brainseg_runtime.studies.series import Role, Series


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """A series' place in the study.

    Attributes:
        series: The series.
        role: What it is used as; None if it is left out.
        reason: Why, in words that name the tags or the text that decided.
    """

    series: Series
    role: Role | None
    reason: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """One study, ready to be segmented.

    Attributes:
        uid: StudyInstanceUID; for NIfTI the folder's or FLAIR file's name.
        name: The name of its output folder: letters, digits, ".", "_" and "-", never a patient's name.
        source: Where it comes from.
        choices: All series and why each is used or left out.
        warnings: What a reader must know before trusting a mask, such as a missing sequence.
        root: The folder, file or archive that was read.
        left_out: Files beside the study's that were not read, in words.
    """

    uid: str
    name: str
    source: Literal["dicom", "nifti"]
    choices: tuple[Choice, ...]
    warnings: tuple[str, ...]
    root: Path
    left_out: tuple[str, ...] = ()

    @property
    def roles(self) -> Mapping[Role, Series]:
        """The series used, by role; FLAIR is always among them."""
        return {choice.role: choice.series for choice in self.choices if choice.role is not None}

    @property
    def flair(self) -> Series:
        """The series whose grid the mask is made on."""
        return self.roles["flair"]
