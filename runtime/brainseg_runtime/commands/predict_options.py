"""Options of `brainseg predict` that hold for slices alone, or for studies alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Final

import typer

from brainseg_runtime.commands.options import SpacingOption
from brainseg_runtime.errors import ArgumentError, UsageError
from brainseg_runtime.prediction.study_inputs import RolesByHand
from brainseg_runtime.studies.written.settings import Code, SegmentSettings

if TYPE_CHECKING:
    from brainseg_runtime.prediction.segment_studies import StudyConfig

KINDS: Final = ("seg", "sr", "sc", "rtstruct", "nifti", "preview")
"""What can be written for a study, in the order of the help; `study.json` is always written."""

_SLICES: Final = "Slices"
_STUDIES: Final = "Studies"
_SERIES: Final = "SERIES"


def _kinds(value: str | None) -> str | None:
    """Refuses what cannot be written; returns the kinds once each, in their order."""
    if value is None:
        return None
    wanted = {part.strip() for part in value.split(",")} - {""}
    if strange := sorted(wanted - set(KINDS)):
        raise typer.BadParameter(f"{', '.join(strange)}: expected some of {', '.join(KINDS)}, with commas between")
    if not wanted:
        raise typer.BadParameter(f"expected at least one of {', '.join(KINDS)}")
    return ",".join(kind for kind in KINDS if kind in wanted)


def _label(value: str | None) -> str | None:
    """Refuses a label that a DICOM string cannot hold."""
    return _tried(value, lambda text: SegmentSettings(label=text))


def _code(value: str | None) -> str | None:
    """Refuses a code that is not VALUE,SCHEME,MEANING."""
    return _tried(value, Code.parse)


def _tried(value: str | None, make: Callable[[str], object]) -> str | None:
    """Returns the value if something can be made of it."""
    if value is not None:
        try:
            make(value)
        except ArgumentError as fault:
            raise typer.BadParameter(f"{fault.what}: expected {fault.expected}; got {fault.got}") from None
    return value


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceOptions:
    """What to write for slices, and how to take them."""

    probability: Annotated[
        bool,
        typer.Option(
            "--probability", help="Also write <name>_probability.tif: float32 in [0, 1].", rich_help_panel=_SLICES
        ),
    ] = False
    overlay: Annotated[
        bool,
        typer.Option("--overlay", help="Also write <name>_overlay.png: the outline on FLAIR.", rich_help_panel=_SLICES),
    ] = False
    by_patient: Annotated[
        bool,
        typer.Option(
            "--by-patient/--flat",
            help="A folder in OUT for each patient, or all files side by side.",
            rich_help_panel=_SLICES,
        ),
    ] = False
    flair_only: Annotated[
        bool,
        typer.Option(
            "--flair-only",
            help="The images are FLAIR alone (grey); it stands in for the other channels.",
            rich_help_panel=_SLICES,
        ),
    ] = False
    spacing: SpacingOption = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyOptions:
    """What to write for studies, and how to take them."""

    write: Annotated[
        str | None,
        typer.Option(
            metavar="KIND,...",
            help=f"What to write for a study: {', '.join(KINDS)}; default: seg, sr, sc, nifti and preview for DICOM, "
            "nifti and preview for NIfTI.",
            callback=_kinds,
            rich_help_panel=_STUDIES,
        ),
    ] = None
    flair: Annotated[
        str | None,
        typer.Option(
            metavar=_SERIES,
            help="In a study, the series that is FLAIR: its UID, number or path.",
            rich_help_panel=_STUDIES,
        ),
    ] = None
    pre: Annotated[
        str | None,
        typer.Option(
            metavar=_SERIES,
            help="In a study, the series that is T1 before contrast; none leaves it out.",
            rich_help_panel=_STUDIES,
        ),
    ] = None
    post: Annotated[
        str | None,
        typer.Option(
            metavar=_SERIES,
            help="In a study, the series that is T1 after contrast; none leaves it out.",
            rich_help_panel=_STUDIES,
        ),
    ] = None
    no_register: Annotated[
        bool,
        typer.Option(
            "--no-register",
            help="Bring a study's T1s onto FLAIR by their headers alone.",
            rich_help_panel=_STUDIES,
        ),
    ] = False
    deterministic_uids: Annotated[
        bool,
        typer.Option(
            "--deterministic-uids",
            help="The same study and model give the same UIDs and bytes; else UIDs are new each time.",
            rich_help_panel=_STUDIES,
        ),
    ] = False
    segment_label: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="What a study's segment is called; default: FLAIR abnormality.",
            callback=_label,
            rich_help_panel=_STUDIES,
        ),
    ] = None
    segment_category: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help="Its property category, as VALUE,SCHEME,MEANING.",
            callback=_code,
            rich_help_panel=_STUDIES,
        ),
    ] = None
    segment_type: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help='Its property type, such as "4147007,SCT,Mass".',
            callback=_code,
            rich_help_panel=_STUDIES,
        ),
    ] = None

    @property
    def by_hand(self) -> RolesByHand:
        """The series that are named."""
        return RolesByHand(flair=self.flair, pre=self.pre, post=self.post)

    def config(self, *, threshold: float | None, strict: bool) -> StudyConfig:
        """How to segment studies.

        Args:
            threshold: Probability from which a voxel is marked; None: the model's own.
            strict: Whether a study with a warning fails.

        Raises:
            ArgumentError: The segment's label or a code is wrong.
        """
        from brainseg_runtime.prediction.segment_studies import StudyConfig

        default = SegmentSettings()
        segment = SegmentSettings(
            label=default.label if self.segment_label is None else self.segment_label,
            category=default.category if self.segment_category is None else Code.parse(self.segment_category),
            type=default.type if self.segment_type is None else Code.parse(self.segment_type),
        )
        return StudyConfig(
            kinds=None if self.write is None else tuple(self.write.split(",")),
            register=not self.no_register,
            deterministic_uids=self.deterministic_uids,
            threshold=threshold,
            strict=strict,
            segment=segment,
        )


def refuse_options_of(options: SliceOptions | StudyOptions, inputs: str) -> None:
    """Refuse options that do not hold for the inputs: they would be without effect.

    Args:
        options: Those of the other kind.
        inputs: What the inputs are: "slices" or "studies".

    Raises:
        UsageError: One of them is given.
    """
    given = [
        f"--{each.name.replace('_', '-')}" for each in fields(options) if getattr(options, each.name) != each.default
    ]
    if given:
        raise UsageError(
            f"{', '.join(given)} cannot be used with {inputs}",
            expected=f"options for {inputs}, as brainseg predict --help lists them",
            got=", ".join(given),
        )
