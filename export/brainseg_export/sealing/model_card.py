"""The model card: what a bundle is for, what it was made of, what it scored on whom, and where it fails.

Its text is the template `MODEL_CARD.md.jinja`; what has to be computed or put into words by rules is here.

Source of the form: Mitchell et al., Model Cards for Model Reporting, 2019.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import jinja2
import numpy as np

from brainseg_export.evidence.gate import Verdict
from brainseg_export.evidence.threshold import Calibration
from brainseg_export.sources.provenance import NOT_STATED, Provenance
from brainseg_export.sources.run_choice import Chosen
from brainseg_runtime.evaluation.result import Evaluation, PatientScores
from brainseg_runtime.evaluation.stress_table import StressTable
from brainseg_runtime.metrics.bootstrap import bootstrap_interval
from brainseg_runtime.metrics.scores import table
from brainseg_runtime.plurals import counted
from brainseg_train.config import AugmentConfig, LossConfig
from brainseg_train.models import describe

TEMPLATE: Final = "MODEL_CARD.md.jinja"

WORST: Final = 3
"""How many patients are listed as failures."""

_RECOGNISED: Final = {
    "phantom": "phantom, recognised by its mark and its patients' names",
    "kaggle_3m": "kaggle_3m, recognised by its pixels",
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a card is written from."""

    version: str
    chosen: Chosen
    calibration: Calibration
    validation: Evaluation
    """Of the fp32 graph at its threshold."""
    test: Evaluation | None
    """The one evaluation on the test patients, by PyTorch at threshold 0.5; None if there was none."""
    variants: Sequence[tuple[str, str, Verdict]]
    """Name, how it was made, and the gate's verdict of each variant that ships beside fp32."""
    left_out: Mapping[str, str]
    """Variants that do not ship, and why."""
    provenance: Provenance
    """Where the training data comes from."""
    parameters: int
    """Trainable numbers of the network."""
    guarded: bool
    """Whether the manifest tells the runtime what intensities to expect."""
    stress: StressTable | None = None
    """The fp32 graph under perturbations, where it was measured."""
    notes: str = ""
    """Markdown of whoever exports, such as a cross-validation's figures; stands in the card as it is."""


def write_card(facts: Facts) -> str:
    """The card as Markdown."""
    chosen, patients = facts.chosen, facts.validation.patients
    return _template().render(
        vars(facts),
        info=chosen.info,
        split=chosen.split,
        reason=chosen.reason,
        network=describe(chosen.model),
        data_set=_data_set(facts.provenance),
        sites=sorted({patient.site for patient in patients} - {""}),
        config=chosen.config,
        last=chosen.config is not None and chosen.config.keep == "last",
        loss=loss_in_words(chosen.config.loss) if chosen.config else "",
        simulated=simulated_in_words(chosen.config.augment) if chosen.config else "",
        groups=[_group_row(name, group) for name, group in _groups(patients)],
        under_stress=[] if facts.stress is None else list(_stress_rows(facts.stress)),
        worst=sorted(patients, key=lambda patient: patient.dice)[:WORST],
    )


def plain(text: str) -> str:
    r"""A text that others wrote, without effect as Markdown or HTML.

    >>> print(plain("<b>Ward</b> 7"))
    \<b\>Ward\</b\> 7
    """
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", text)


def loss_in_words(config: LossConfig) -> str:
    """The terms of a loss with their weights.

    >>> loss_in_words(LossConfig(boundary=0.1))
    'binary cross-entropy + soft Dice + 0.1 × cross-entropy along the outline'
    """
    entropy = "binary cross-entropy" if config.focal_gamma == 0 else f"focal loss of exponent {config.focal_gamma:g}"
    overlap = "soft Dice" if config.miss_weight == 0.5 else f"Tversky loss with misses at {config.miss_weight:g}"
    terms = ((config.bce, entropy), (config.dice, overlap), (config.boundary, "cross-entropy along the outline"))
    return " + ".join(name if weight == 1 else f"{weight:g} × {name}" for weight, name in terms if weight)


def simulated_in_words(config: AugmentConfig) -> str:
    """What training simulates of other scanners and other software, with the fraction of slices; empty for nothing.

    >>> simulated_in_words(AugmentConfig(scalp=0.5, swap=0.05))
    'scalp dimmed, brightened or removed (50% of the slices), T1s exchanged (5%)'
    """
    chances = (
        (config.scalp, "scalp dimmed, brightened or removed"),
        (config.healthy, "the half with tumour replaced by the other's mirror image, where it lies on one side"),
        (config.zoom_out, f"head shrunk, to {100 * config.zoom_least:.0f}% of its size at least"),
        (config.curve, "a channel's grey levels bent"),
        (config.detail, "sharpened or blurred"),
        (config.scaling, "a channel scaled and clipped"),
        (config.swap, "T1s exchanged"),
        (config.missing_zero, "a missing sequence left empty"),
    )
    found = [f"{what} ({100 * chance:g}%)" for chance, what in chances if chance]
    return ", ".join(found).replace("%)", "% of the slices)", 1)


def _template() -> jinja2.Template:
    """The card's template."""
    environment = jinja2.Environment(  # noqa: S701 - Markdown: what others wrote goes through `plain`
        loader=jinja2.PackageLoader("brainseg_export", "sealing"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"plain": plain, "counted": counted, "rows": _score_rows}
    return environment.get_template(TEMPLATE)


def _data_set(provenance: Provenance) -> str:
    """What the data set is called, recognised or stated; or that it was not stated."""
    name = provenance.source.name
    named = [_RECOGNISED[provenance.recognised]] if provenance.recognised else []
    if name and name != provenance.recognised:
        named.append(f"{plain(name)}, as stated by whoever trained or exported")
    return "; ".join(named) or NOT_STATED


def _score_rows(evaluation: Evaluation) -> Iterator[tuple[str, str, str]]:
    """Name, value and interval of every score in the card's table."""
    volume = evaluation.volume_dice
    yield "Dice per patient, mean", _number(volume.mean), _interval(volume.ci95)
    yield "Dice per patient, median", _number(volume.median), ""
    yield "Dice per patient, lowest", _number(volume.min), ""
    for name, slices in (("with tumour", evaluation.slice_dice_tumour), ("all", evaluation.slice_dice_all)):
        yield f"Dice per slice, {name}", _number(slices.mean), _interval(slices.ci95)
    for score in table().pooled:
        if not score.same_as:
            value, interval = evaluation.pooled.scores[score.key], evaluation.pooled_ci95.scores[score.key]
            name = f"{score.label[0].upper()}{score.label[1:]} over all pixels"
            yield name, _number(value), _interval(interval, digits=4 if "AUC" in name else 3)


def _stress_rows(table: StressTable) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Name, description, Dice, the lowest, the difference and its interval of each row with patients with tumour."""
    for row in table.rows:
        if row.dice is not None:
            change = row.difference
            yield (
                row.name,
                row.about,
                f"{row.dice.mean:.3f}",
                f"{row.dice.min:.3f}",
                "" if change is None else f"{change.mean:+.3f}",
                "" if change is None or change.ci95 is None else f"{change.ci95[0]:+.3f} to {change.ci95[1]:+.3f}",
            )


def _groups(patients: Sequence[PatientScores]) -> Iterator[tuple[str, Sequence[PatientScores]]]:
    """Patients by site, then in thirds by tumour pixels of the volume."""
    for site in sorted({patient.site for patient in patients}):
        yield f"site {site}", [patient for patient in patients if patient.site == site]
    ordered = sorted(patients, key=lambda patient: patient.counts.truth)
    cuts = [round(len(ordered) * third / 3) for third in range(4)]
    for name, start, end in zip(("smallest", "middle", "largest"), cuts, cuts[1:], strict=False):
        if group := ordered[start:end]:
            first, last = group[0].counts.truth, group[-1].counts.truth
            yield f"{name} third, {first:,} to {last:,} tumour pixels", group


def _group_row(name: str, group: Sequence[PatientScores]) -> tuple[str, int, str, str]:
    """A group's name, size, mean Dice and its interval."""
    values = [patient.dice for patient in group]
    low, high = bootstrap_interval(values)
    return name, len(group), f"{np.mean(values):.3f}", _interval(None if np.isnan(low) else (low, high))


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _interval(interval: tuple[float, float] | None, *, digits: int = 3) -> str:
    return "" if interval is None else f"{interval[0]:.{digits}f} to {interval[1]:.{digits}f}"
