"""Whether a data set can be used, and what it holds: the check behind `brainseg-train check`.

A faulty set gives no report but a `DatasetError` that names every fault. What is unusual but not a fault is in the
report: missing sequences, slices that two patients share, blank slices, patients without tumour.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from brainseg_runtime.contract import CHANNELS
from brainseg_train.data.check_report import DatasetReport, Intensity, PatientReport, SiteReport
from brainseg_train.data.persons import PersonRule
from brainseg_train.data.slices import SliceFacts, content_digest, duplicates_across_patients, find_slices, read_slices

_PRE, _, _POST = CHANNELS


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
    """Counts over one patient's slices."""
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
        intensity={name: _intensity(facts, channel) for channel, name in enumerate(CHANNELS)},
        missing=tuple(name for name in (_PRE, _POST) if told and all(one[name] for one in told)),
    )


def _repeats(fact: SliceFacts) -> tuple[tuple[str, bool], tuple[str, bool]]:
    """Whether each sequence beside FLAIR repeats it."""
    return (_PRE, fact.pre_repeats_flair), (_POST, fact.post_repeats_flair)


def _intensity(facts: Sequence[SliceFacts], channel: int) -> Intensity:
    """A channel's range over slices of one size."""
    return Intensity(
        min=min(fact.low[channel] for fact in facts),
        max=max(fact.high[channel] for fact in facts),
        mean=round(statistics.fmean(fact.mean[channel] for fact in facts), 3),
    )


def _site_reports(patients: Sequence[PatientReport]) -> tuple[SiteReport, ...]:
    """Counts over each site's patients, in order of site."""
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
