"""What a data set holds and whether it can be used: the report behind `brainseg-train check`.

A faulty set gives no report but a `DatasetError` that names every fault. What is unusual and no fault is in the report:
missing sequences, slices that two patients share, blank slices, patients without tumour.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brainseg_runtime.contract import CHANNELS
from brainseg_runtime.plurals import counted
from brainseg_runtime.problems import first_few
from brainseg_train.data.persons import PersonRule
from brainseg_train.data.slices import SliceFacts, content_digest, duplicates_across_patients, find_slices, read_slices

_PRE, _, _POST = CHANNELS
_NAMED: Final = 10
"""Names in one line of the report: the patients of `kaggle_3m` that lack a sequence, and no line of hundreds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Intensity:
    """The range of one channel, 0 to 255."""

    low: int
    high: int
    mean: float

    def to_json(self) -> dict[str, object]:
        """Keys `min`, `max`, `mean`."""
        return {"min": self.low, "max": self.high, "mean": round(self.mean, 3)}


@dataclass(frozen=True, kw_only=True, slots=True)
class PatientReport:
    """One patient's counts."""

    id: str
    site: str
    n_slices: int
    n_tumour_slices: int
    tumour_pixels: int
    burden: float
    """Share of the patient's pixels that is tumour, in [0, 1]."""
    n_blank_slices: int
    intensity: tuple[Intensity, Intensity, Intensity]
    """Of pre-contrast, FLAIR, post-contrast."""
    missing: tuple[str, ...]
    """Sequences missing in the whole patient: their channel repeats FLAIR in every slice that is not blank."""

    def to_json(self) -> dict[str, object]:
        """The fields, under their names."""
        return {
            "id": self.id,
            "site": self.site,
            "n_slices": self.n_slices,
            "n_tumour_slices": self.n_tumour_slices,
            "tumour_pixels": self.tumour_pixels,
            "burden": self.burden,
            "n_blank_slices": self.n_blank_slices,
            "intensity": {name: one.to_json() for name, one in zip(CHANNELS, self.intensity, strict=True)},
            "missing": list(self.missing),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteReport:
    """One site's counts."""

    site: str
    n_patients: int
    n_slices: int
    n_tumour_slices: int
    burden: float
    """Mean over patients of the share of tumour pixels, in [0, 1]."""

    def to_json(self) -> dict[str, object]:
        """The fields, under their names."""
        return {
            "site": self.site,
            "n_patients": self.n_patients,
            "n_slices": self.n_slices,
            "n_tumour_slices": self.n_tumour_slices,
            "burden": self.burden,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetReport:
    """What a faultless data set holds."""

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
    """What lies in the folder and is no part of the set, such as results of earlier runs; one line a kind."""
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
        examinations: dict[str, list[str]] = {}
        for patient in self.patients:
            examinations.setdefault(self.person_of[patient.id], []).append(patient.id)
        return {person: tuple(names) for person, names in sorted(examinations.items())}

    @property
    def persons_with_several(self) -> Mapping[str, tuple[str, ...]]:
        """Those of `persons` who were examined more than once."""
        return {person: names for person, names in self.persons.items() if len(names) > 1}

    def missing(self, sequence: str) -> tuple[str, ...]:
        """Patients who lack a sequence, one of the contract's channel names, altogether."""
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
            "sites": [site.to_json() for site in self.sites],
            "patients": [patient.to_json() for patient in self.patients],
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
        """One line for each thing that is unusual and no fault."""
        notes = []
        for name in (_PRE, _POST):
            patients = self.missing(name)
            notes.append(
                f"{name} missing (repeats FLAIR) in {counted(len(patients), 'whole patient')}{_listed(patients)}"
            )
        channels: dict[str, list[str]] = {}
        for key, name in self.single_repeats:
            channels.setdefault(key, []).append(name)
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


def check(
    root: Path, *, rule: PersonRule | None = None, on_slice: Callable[[int, int], None] | None = None
) -> DatasetReport:
    """Read a whole data set and report what it holds.

    Args:
        root: The folder of patient folders, in the `kaggle_3m` layout.
        rule: Whose a patient's folder is; that of `person_of` if not given.
        on_slice: Called with how many slices of how many are read, after each one.

    Raises:
        DatasetError: The set is faulty; it names every fault and its file.
        SplitError: The rule names no person for some patient.
    """
    root = Path(root)
    left_out: list[str] = []
    patients, slices = find_slices(root, tell=left_out.append)
    persons = (rule or PersonRule()).persons(patient.id for patient in patients)
    facts = read_slices(root, slices, on_slice=on_slice)
    reports = []
    repeats: list[tuple[str, str]] = []
    for index, patient in enumerate(patients):
        rows = [row for row, ref in enumerate(slices) if ref.patient == index]
        report = _patient_report(patient.id, patient.site, [facts[row] for row in rows])
        reports.append(report)
        repeats += [
            (slices[row].key, name)
            for row in rows
            for name, repeated in _repeats(facts[row])
            if repeated and name not in report.missing
        ]
    groups = duplicates_across_patients(slices, [f.image_digest for f in facts], [f.blank for f in facts])
    return DatasetReport(
        root=root,
        digest=content_digest(patients, slices, facts),
        size=facts[0].size,
        patients=tuple(reports),
        sites=_site_reports(reports),
        single_repeats=tuple(repeats),
        left_out=tuple(left_out),
        duplicates=tuple(tuple(slices[row].key for row in group) for group in groups),
        person_of=persons,
    )


def _patient_report(patient_id: str, site: str, facts: Sequence[SliceFacts]) -> PatientReport:
    """Sum one patient's slices up."""
    tumour = sum(fact.tumour_pixels for fact in facts)
    told = [dict(_repeats(fact)) for fact in facts if not fact.blank]
    return PatientReport(
        id=patient_id,
        site=site,
        n_slices=len(facts),
        n_tumour_slices=sum(fact.tumour_pixels > 0 for fact in facts),
        tumour_pixels=tumour,
        burden=tumour / sum(fact.size[0] * fact.size[1] for fact in facts),
        n_blank_slices=sum(fact.blank for fact in facts),
        intensity=(_intensity(facts, 0), _intensity(facts, 1), _intensity(facts, 2)),
        missing=tuple(name for name in (_PRE, _POST) if told and all(one[name] for one in told)),
    )


def _repeats(fact: SliceFacts) -> tuple[tuple[str, bool], tuple[str, bool]]:
    """Whether each sequence beside FLAIR repeats it."""
    return (_PRE, fact.pre_repeats_flair), (_POST, fact.post_repeats_flair)


def _intensity(facts: Sequence[SliceFacts], channel: int) -> Intensity:
    """A channel's range over slices of one size."""
    return Intensity(
        low=min(fact.low[channel] for fact in facts),
        high=max(fact.high[channel] for fact in facts),
        mean=statistics.fmean(fact.mean[channel] for fact in facts),
    )


def _site_reports(patients: Sequence[PatientReport]) -> tuple[SiteReport, ...]:
    """Sum each site's patients up, in order of site."""
    reports = []
    for site in sorted({patient.site for patient in patients}):
        here = [patient for patient in patients if patient.site == site]
        reports.append(
            SiteReport(
                site=site,
                n_patients=len(here),
                n_slices=sum(patient.n_slices for patient in here),
                n_tumour_slices=sum(patient.n_tumour_slices for patient in here),
                burden=statistics.fmean(patient.burden for patient in here),
            )
        )
    return tuple(reports)


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
        *(f"{one.low}-{one.high}" for one in patient.intensity),
        ", ".join(patient.missing) or "-",
    )


def _percent(share: float) -> str:
    """A share with two decimals of a percent."""
    return f"{100.0 * share:.2f} %"


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
