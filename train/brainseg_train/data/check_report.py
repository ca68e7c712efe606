"""The report behind `brainseg-train check`: counts by patient and site, and what is unusual, as JSON and as text."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brainseg_runtime.contract import CHANNELS
from brainseg_runtime.plurals import counted
from brainseg_runtime.problems import first_few
from brainseg_runtime.safe_io.typed_json import to_json

_PRE, _, _POST = CHANNELS
_NAMED: Final = 10
"""Names in one line of the report: the patients of `kaggle_3m` that lack a sequence, and no line of hundreds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Intensity:
    """The range of one channel, 0 to 255."""

    min: int
    max: int
    mean: float
    """To three decimals."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PatientReport:
    """One patient's counts."""

    id: str
    site: str
    n_slices: int
    n_tumour_slices: int
    tumour_pixels: int
    burden: float
    """Fraction of the patient's pixels that is tumour, in [0, 1]."""
    n_blank_slices: int
    intensity: Mapping[str, Intensity]
    """By channel: pre-contrast, FLAIR, post-contrast."""
    missing: tuple[str, ...]
    """Sequences missing in the whole patient: their channel repeats FLAIR in every slice that is not blank."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteReport:
    """One site's counts."""

    site: str
    n_patients: int
    n_slices: int
    n_tumour_slices: int
    burden: float
    """Mean over patients of the fraction of tumour pixels, in [0, 1]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetReport:
    """What a data set without faults holds."""

    root: Path
    digest: str
    """SHA-256 of names, numbers and pixels of the whole set."""
    size: tuple[int, int]
    """Rows and columns of every slice, pixels."""
    patients: tuple[PatientReport, ...]
    sites: tuple[SiteReport, ...]
    single_repeats: tuple[tuple[str, str], ...]
    """Slice and sequence where a channel repeats FLAIR in a patient who has that sequence elsewhere."""
    left_out: tuple[str, ...]
    """What is in the folder and does not belong to the set, such as results of earlier runs; one line for each kind."""
    duplicates: tuple[tuple[str, ...], ...]
    """Groups of slices of different patients that are identical, pixel for pixel; blank slices aside."""
    person_of: Mapping[str, str]
    """Each patient's person."""

    @property
    def n_slices(self) -> int:
        """Slices of all patients."""
        return sum(patient.n_slices for patient in self.patients)

    @property
    def n_tumour_slices(self) -> int:
        """Slices with at least one tumour pixel."""
        return sum(patient.n_tumour_slices for patient in self.patients)

    @property
    def persons(self) -> Mapping[str, tuple[str, ...]]:
        """Persons by name, each with the patient folders, one an examination, that are theirs."""
        examinations: defaultdict[str, list[str]] = defaultdict(list)
        for patient in self.patients:
            examinations[self.person_of[patient.id]].append(patient.id)
        return {person: tuple(names) for person, names in sorted(examinations.items())}

    @property
    def persons_with_several(self) -> Mapping[str, tuple[str, ...]]:
        """Those of `persons` who were examined more than once."""
        return {person: names for person, names in self.persons.items() if len(names) > 1}

    def missing(self, sequence: str) -> tuple[str, ...]:
        """Patients who lack a sequence, one of the contract's channel names, in every slice."""
        return tuple(patient.id for patient in self.patients if sequence in patient.missing)

    def to_json(self) -> dict[str, object]:
        """The report as `check --json` writes it.

        Keys: `data`, `digest`, `size` [rows, columns], `n_patients`, `n_slices`, `n_tumour_slices`, `burden` {mean,
        median, min, max} over patients, `sites`, `patients`, `n_persons`, `persons` [{id, examinations}],
        `persons_with_several` [id, ...], `missing_sequences` {channel: patients}, `repeated_slices` [{slice, channel}],
        `duplicates` [[slice, ...]], `left_out` [line, ...].
        """
        burdens = [patient.burden for patient in self.patients]
        return {
            "data": str(self.root),
            "digest": self.digest,
            "size": list(self.size),
            "n_patients": len(self.patients),
            "n_slices": self.n_slices,
            "n_tumour_slices": self.n_tumour_slices,
            "burden": {
                "mean": statistics.fmean(burdens),
                "median": statistics.median(burdens),
                "min": min(burdens),
                "max": max(burdens),
            },
            "sites": [to_json(site) for site in self.sites],
            "patients": [to_json(patient) for patient in self.patients],
            "n_persons": len(self.persons),
            "persons": [{"id": person, "examinations": list(names)} for person, names in self.persons.items()],
            "persons_with_several": list(self.persons_with_several),
            "missing_sequences": {name: list(self.missing(name)) for name in (_PRE, _POST)},
            "repeated_slices": [{"slice": key, "channel": name} for key, name in self.single_repeats],
            "duplicates": [list(group) for group in self.duplicates],
            "left_out": list(self.left_out),
        }

    def to_text(self) -> str:
        """The report as tables of plain text; names are never cut short."""
        counts = (
            f"{counted(len(self.patients), 'patient')}, {counted(self.n_slices, 'slice')} of "
            f"{self.size[0]}×{self.size[1]} pixels, "
            f"{self.n_tumour_slices} of them with tumour"
        )
        return "\n".join(
            [
                f"data    {self.root}",
                f"digest  {self.digest}",
                f"holds   {counts}",
                "",
                *_table(_SITE_HEAD, [_site_row(site) for site in self.sites]),
                "",
                *_table(_PATIENT_HEAD, [_patient_row(patient) for patient in self.patients]),
                "",
                *self._notes(),
            ]
        )

    def _notes(self) -> list[str]:
        """One line for each thing that is unusual and not a fault."""
        notes = []
        for name in (_PRE, _POST):
            patients = self.missing(name)
            notes.append(
                f"{name} missing (repeats FLAIR) in {counted(len(patients), 'whole patient')}{_listed(patients)}"
            )
        channels: defaultdict[str, list[str]] = defaultdict(list)
        for key, name in self.single_repeats:
            channels[key].append(name)
        repeats = [f"{key} ({', '.join(names)})" for key, names in channels.items()]
        notes.append(f"FLAIR repeated in {counted(len(repeats), 'single slice')}{_listed(repeats)}")
        blank = sum(patient.n_blank_slices for patient in self.patients)
        notes.append(counted(blank, "blank slice"))
        healthy = [patient.id for patient in self.patients if patient.tumour_pixels == 0]
        notes.append(f"{counted(len(healthy), 'patient')} without tumour{_listed(healthy)}")
        groups = [" = ".join(group) for group in self.duplicates]
        notes.append(f"{counted(len(groups), 'slice')} shared by several patients{_listed(groups)}")
        several = [f"{person} ({len(names)})" for person, names in self.persons_with_several.items()]
        persons = counted(len(self.persons), "person")
        notes.append(f"{persons}, {len(several)} with several examinations{_listed(several)}")
        notes += self.left_out
        return notes


_SITE_HEAD = ("site", "patients", "slices", "with tumour", "burden")
_PATIENT_HEAD = ("patient", "site", "slices", "with tumour", "burden", "pre", "FLAIR", "post", "missing")


def _site_row(site: SiteReport) -> tuple[str, ...]:
    """One line of the sites' table."""
    return site.site or "-", str(site.n_patients), str(site.n_slices), str(site.n_tumour_slices), _percent(site.burden)


def _patient_row(patient: PatientReport) -> tuple[str, ...]:
    """One line of the patients' table."""
    return (
        patient.id,
        patient.site or "-",
        str(patient.n_slices),
        str(patient.n_tumour_slices),
        _percent(patient.burden),
        *(f"{one.min}-{one.max}" for one in patient.intensity.values()),
        ", ".join(patient.missing) or "-",
    )


def _percent(fraction: float) -> str:
    """A fraction as a percentage with two decimals."""
    return f"{100.0 * fraction:.2f} %"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Columns as wide as their widest cell, two spaces apart: words to the left, numbers to the right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    words = {column for column, name in enumerate(head) if name in ("patient", "site", "missing")}
    return [
        "  ".join(
            cell.ljust(width) if column in words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _listed(names: Sequence[str]) -> str:
    """The first names after a colon, or nothing; `--json` has all of them."""
    return f": {first_few(names, few=_NAMED)}" if names else ""
