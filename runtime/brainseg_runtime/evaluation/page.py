"""The page that `brainseg evaluate --report` writes: scores with intervals, curves, patients, pictures.

`page.html` is the page; this module gives it rows and charts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.evaluation.charts import curve_charts, patient_charts, stress_charts
from brainseg_runtime.evaluation.result import Evaluation, PatientScores
from brainseg_runtime.evaluation.rows import missing_lines
from brainseg_runtime.evaluation.stress_rows import DICE_HEADERS, about_rows, dice_rows, marked_headers, marked_rows
from brainseg_runtime.evaluation.stress_table import StressTable
from brainseg_runtime.evaluation.volume_scores import PatientSummary, VolumeAgreement
from brainseg_runtime.html.page import interval_text, render
from brainseg_runtime.images import read_image, read_mask, read_slice
from brainseg_runtime.images.overlay import PREDICTION, TRUTH, overlay
from brainseg_runtime.metrics.scores import table
from brainseg_runtime.plurals import counted

if TYPE_CHECKING:
    from brainseg_runtime.images.dataset import Patient, SlicePaths

Row: TypeAlias = tuple[object, ...]
Table: TypeAlias = tuple[Sequence[str], Sequence[Row], str]
"""Headers, rows, and caption."""

MaskOf: TypeAlias = Callable[[int, NDArray[np.uint8]], NDArray[np.uint8]]
"""From a slice's index in its patient and its image (H, W, 3) to the predicted mask (H, W), uint8 with 0 and 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """An overlay and what it shows.

    Attributes:
        caption: Which patient and slice, and how well it went.
        rgb: (H, W, 3) uint8.
    """

    caption: str
    rgb: NDArray[np.uint8]


def evaluation_page(
    evaluation: Evaluation,
    pictures: Sequence[Picture],
    run: Mapping[str, object],
    *,
    title: str = "Evaluation",
    stress: StressTable | None = None,
) -> str:
    """The whole page.

    Args:
        evaluation: What was measured.
        pictures: Overlays of chosen patients; none leaves their section out.
        run: What ran: label to value, shown as it is at the end.
        title: The page's heading, such as "Evaluation of resunet 1.0.0".
        stress: Scores under perturbations; None leaves their section out.

    Returns:
        A document that loads nothing.

    Raises:
        MissingExtraError: jinja2 is not installed, or there are pictures and pillow is not.
    """
    return render(
        Path(__file__).with_name("page.html"),
        title=title,
        size=f"{counted(evaluation.n_patients, 'patient')}, {counted(evaluation.n_slices, 'slice')}",
        evaluation=evaluation,
        missing=missing_lines(evaluation.missing),
        pooled=_pooled(evaluation),
        averages=_averages(evaluation),
        curves=curve_charts(evaluation),
        volumes=_volume_tables(evaluation),
        patient_charts=patient_charts(evaluation),
        sites=[
            (each.site, each.n_patients, each.n_slices, each.volume_dice, each.volume_iou, each.pooled_dice)
            for each in evaluation.sites
        ],
        patients=_patients(evaluation),
        stress=None if stress is None else _stress_tables(stress),
        stress_charts=[] if stress is None else stress_charts(stress),
        pictures=pictures,
        truth=TRUTH,
        prediction=PREDICTION,
        run=list(run.items()),
    )


def patient_picture(mask_of: MaskOf, patient: Patient, scores: PatientScores, label: str) -> Picture:
    """The slice with the largest true tumour, both masks outlined; the middle slice if none has tumour.

    Args:
        mask_of: Predicts or reads the slice's mask again, so that none has to be kept while patients stream by.
        patient: Whose slices.
        scores: For the caption.
        label: Why this patient was chosen, such as "worst".

    Raises:
        BrainsegError: A file cannot be read any more, or inference fails.
    """
    areas = [0 if paths.mask is None else int(np.count_nonzero(read_mask(paths.mask))) for paths in patient.slices]
    at = int(np.argmax(areas)) if any(areas) else len(areas) // 2
    image, truth = _pixels(patient.slices[at])
    caption = f"{label}: {patient.id}, volume Dice {scores.dice:.3f}; slice {patient.slices[at].number}"
    return Picture(caption=caption, rgb=overlay(image, truth, mask_of(at, image)))


def _pixels(paths: SlicePaths) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A slice with its mask; one without is of a patient without tumour."""
    if paths.mask is not None:
        return read_slice(paths)
    image = read_image(paths.image)
    return image, np.zeros(image.shape[:2], np.uint8)


def _pooled(evaluation: Evaluation) -> list[Row]:
    """The scores over all pixels."""
    values, intervals = evaluation.pooled.scores, evaluation.pooled_ci95.scores
    return [(each.label, values[each.key], interval_text(intervals[each.key])) for each in table().pooled]


def _averages(evaluation: Evaluation) -> list[Row]:
    """Dice and IoU by patient and by slice."""
    rows: list[Row] = []
    for key, name in (("dice", "Dice"), ("iou", "IoU")):
        volume = getattr(evaluation, f"volume_{key}")
        rows.append((name, "each patient's volume", evaluation.n_patients, volume.mean, interval_text(volume.ci95)))
        for kind, text in (("tumour", "slices with tumour"), ("all", "all slices")):
            found = getattr(evaluation, f"slice_{key}_{kind}")
            rows.append((name, text, found.n, found.mean, interval_text(found.ci95)))
    return rows


def _volume_tables(evaluation: Evaluation) -> list[Table]:
    """Surface and lesion scores over patients, and volume errors; what an older record lacks is left out."""
    surface, lesions, errors = evaluation.surface, evaluation.lesions, evaluation.volume_error
    headers = ("score", "patients", "mean", "95 % interval", "median", "lowest", "highest")
    tables: list[Table] = []
    if surface is not None:
        known = evaluation.spacing_mm is not None
        shown = [each for each in table().surface if known or not each.needs_spacing]
        caption = (
            f"Distances between surfaces by patient; NSD within {surface.tolerance:g} "
            f"{'pixels or mm' if known else 'pixels'}; no distance to an empty mask"
        )
        rows = [(each.title(surface.tolerance), *_summary(surface.scores[each.key])) for each in shown]
        tables.append((headers, rows, caption))
    if lesions is not None:
        unit = {"voxels": "voxels", "mm3": "mm³"}[lesions.least_volume_unit]
        caption = (
            f"Lesion by lesion, as BraTS counts: {lesions.found} found, {lesions.missed} missed, "
            f"{lesions.false} false; {lesions.small} of up to {lesions.least_volume:g} {unit} left out"
        )
        tables.append(
            (headers, [(each.label, *_summary(lesions.scores[each.key])) for each in table().lesions], caption)
        )
    if errors is not None:
        units = [("pixels", errors.px), *([("mL", errors.ml)] if errors.ml is not None else [])]
        columns = ("unit", "mean error", "95 % interval", "limits of agreement", "mean absolute error")
        caption = "Predicted minus true volume over patients (Bland and Altman)"
        tables.append((columns, [_agreement(unit, each) for unit, each in units], caption))
    return tables


def _stress_tables(stress: StressTable) -> list[Table]:
    """Dice and marked volume under each perturbation, and what the perturbations are."""
    tables: list[Table] = []
    if rows := dice_rows(stress):
        caption = (
            f"{counted(stress.n_with_tumour, 'patient')} with tumour: volume Dice, and its difference from the "
            "unperturbed Dice of the same patients"
        )
        tables.append((DICE_HEADERS, [tuple(map(_interval_or_value, row)) for row in rows], caption))
    if rows := marked_rows(stress):
        caption = f"{counted(stress.n_without_tumour, 'patient')} without tumour: what was marked, all of it falsely"
        tables.append(([str(header) for header in marked_headers(stress)], rows, caption))
    tables.append((("perturbation", "what it does"), about_rows(stress), f"The perturbations, seed {stress.seed}"))
    return tables


def _interval_or_value(value: object) -> object:
    """A cell: intervals as text, numbers to three decimals, as small differences mean nothing."""
    if isinstance(value, tuple):
        return interval_text([round(end, 3) for end in value])
    return round(value, 3) if isinstance(value, float) else value


def _summary(found: PatientSummary | None) -> Row:
    """The cells of a score over patients; patients without it are counted, records older than it have dashes."""
    if found is None:
        return (None,) * 6
    number = f"{found.n} ({found.n_undefined} undefined)" if found.n_undefined else found.n
    return number, found.mean, interval_text(found.ci95), found.median, found.min, found.max


def _agreement(unit: str, found: VolumeAgreement) -> Row:
    """The cells of one unit's volume errors."""
    return unit, found.bias, interval_text(found.bias_ci95), interval_text(found.limits), found.mean_absolute


def _patients(evaluation: Evaluation) -> tuple[list[str], list[Row]]:
    """Headers and rows of every patient, the worst first."""
    counted_scores = [score for score in table().counted if not score.same_as]
    of_volumes = {"hd95_px": "HD95 px", "nsd_px": "NSD"}, {"dice": "lesion Dice", "f1": "lesion F1"}
    headers = ["patient", "slices", "tumour px", "predicted px", *(score.label for score in counted_scores)]
    headers += [*of_volumes[0].values(), *of_volumes[1].values(), "FN", "FP"]
    rows: list[Row] = [
        (
            each.id,
            each.n_slices,
            each.counts.truth,
            each.counts.predicted,
            *(each.scores[score.key] for score in counted_scores),
            *(each.surface and each.surface.scores[key] for key in of_volumes[0]),
            *(each.lesions and each.lesions.scores[key] for key in of_volumes[1]),
            each.detection.missed,
            each.detection.false_alarms,
        )
        for each in sorted(evaluation.patients, key=lambda patient: (patient.dice, patient.id))
    ]
    return headers, rows
