"""The model card: what a bundle is for, what it was made of, what it scored on whom, and where it fails, in Markdown.

Source of the form: Mitchell et al., Model Cards for Model Reporting, 2019.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from brainseg_export.evidence.gate import Verdict
from brainseg_export.evidence.threshold import Calibration
from brainseg_export.sources.provenance import NOT_STATED, Provenance
from brainseg_export.sources.run_choice import Chosen
from brainseg_runtime.evaluation.result import Evaluation, PatientScores
from brainseg_runtime.metrics.bootstrap import bootstrap_interval
from brainseg_runtime.metrics.scores import table
from brainseg_runtime.plurals import counted
from brainseg_train.config import LossConfig, TrainConfig

WORST: Final = 3
"""Patients whose failures are told."""

_NETWORKS: Final = {
    "unet": "UNet (Ronneberger et al., 2015)",
    "resunet": "ResUNet, residual units (Zhang et al., 2018)",
    "deeplab": "simplified DeepLab, atrous spatial pyramid (Chen et al., 2017 and 2018)",
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
    """The one look at the test part, by PyTorch at threshold 0.5; None where there was none."""
    verdicts: Mapping[str, Verdict]
    """What the gate said, by variant that ships."""
    made_by: Mapping[str, str]
    """How each of those was made, such as the calibration."""
    left_out: Mapping[str, str]
    """Variants that do not ship, and why."""
    provenance: Provenance
    """Where the training data comes from."""
    parameters: int
    """Trainable numbers of the network."""
    guarded: bool
    """Whether the manifest tells the runtime what intensities to expect."""


def write_card(facts: Facts) -> str:
    """The card as Markdown.

    Args:
        facts: What is known.
    """
    parts = (_head, _use, _data, _training, _results, _test, _subgroups, _failures, _variants, _limits)
    return "\n".join(line for part in parts for line in part(facts)) + "\n"


def _head(facts: Facts) -> list[str]:
    info, recognised = facts.chosen.info, facts.provenance.recognised
    target = (
        "FLAIR abnormality of lower-grade glioma" if recognised == "kaggle_3m" else "what its training masks outline"
    )
    return [
        f"# {info.model} {facts.version}",
        "",
        _sentence(
            f"Segments {target} in single MRI slices:",
            f"{_NETWORKS.get(info.model, info.model)}, width {info.width}, {facts.parameters:,} parameters.",
        ),
        "",
        _sentence(
            "**Not a medical device.** Nobody has cleared it for diagnosis or treatment;",
            "its masks are for research and need a reader.",
        ),
        "",
        *(
            ["**Trained on drawn heads, not on patients.** It says nothing about patients.", ""]
            if recognised == "phantom"
            else []
        ),
    ]


def _use(_: Facts) -> list[str]:
    return [
        "## Intended use",
        "",
        _sentence(
            "- Research on segmentation of abnormality in pre-contrast T1, FLAIR and post-contrast T1 slices,",
            "co-registered and in this order as three channels of 8 bits.",
        ),
        "- Not for other diseases, other sequences, children, scans after surgery, or any decision about a patient.",
        "- In: raw pixels (N, H, W, 3) uint8, 16 to 2048 a side. Out: mask and probability at the same size.",
        "- An image that is not square keeps its proportions: it is resized as if zeros made it a square.",
        "",
    ]


def _data(facts: Facts) -> list[str]:
    split, info, provenance = facts.chosen.split, facts.chosen.info, facts.provenance
    sites = sorted({patient.site for patient in facts.validation.patients} - {""})
    return [
        "## Data",
        "",
        *(f"- {line}" for line in _source(provenance)),
        _sentence(
            f"- Patients: {len(split.train)} trained it, {len(split.validation)} chose among models, epochs, threshold",
            f"and variants, {len(split.test)} kept for testing; nobody is in two parts.",
        ),
        *([f"- Sites among the validation patients: {', '.join(sites)}."] if sites else []),
        f"- Licence: {_plain(provenance.licence.id)}. {_plain(provenance.licence.note)}",
        f"- Data digest `{info.data_digest}`, split digest `{info.split_digest}`.",
        "",
    ]


def _source(provenance: Provenance) -> list[str]:
    """What the data set is called, where it is, what to cite; what was not stated is said to be so."""
    source = provenance.source
    found = {"phantom": "phantom, known by its mark and its patients' names", "kaggle_3m": "kaggle_3m, by its pixels"}
    named = [found[provenance.recognised]] if provenance.recognised else []
    if source.name and source.name != provenance.recognised:
        named.append(f"{_plain(source.name)}, as stated by whoever trained or exported")
    lines = [f"Data set: {'; '.join(named) or NOT_STATED}."]
    if source.url:
        lines.append(f"Address: <{source.url}>")
    if source.citation:
        lines.append(f"To cite: {_plain(source.citation).rstrip('.')}.")
    return lines


def _plain(text: str) -> str:
    """A text that others wrote, without effect as Markdown or HTML."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", text)


def _training(facts: Facts) -> list[str]:
    info, config = facts.chosen.info, facts.chosen.config
    return [
        "## Training",
        "",
        f"- Run `{info.run}`: {facts.chosen.reason}.",
        *(
            _recipe(config, info.epoch)
            if config
            else [f"- Epoch {info.epoch}; the weights do not say how they learnt."]
        ),
        f"- Validation Dice in training, at 128 × 128 and threshold 0.5: {info.validation_dice:.4f}.",
        "",
    ]


def _recipe(config: TrainConfig, epoch: int) -> list[str]:
    """How the run was trained."""
    return [
        _sentence(
            f"- Adam, rate {config.rate:g} ({config.schedule}), batch {config.batch},",
            f"best epoch {epoch} of at most {config.epochs}; loss: {_loss(config.loss)}.",
        ),
        *([f"- Weights are the running mean over steps, decay {config.ema_decay:g}."] if config.ema_decay else []),
        *(
            [f"- An epoch draws {config.empty_fraction:.0%} of the slices without tumour."]
            if config.empty_fraction < 1
            else []
        ),
    ]


def _loss(config: LossConfig) -> str:
    """The terms of the loss with their weights, in words."""
    entropy = "binary cross-entropy" if config.focal_gamma == 0 else f"focal loss of exponent {config.focal_gamma:g}"
    overlap = "soft Dice" if config.miss_weight == 0.5 else f"Tversky loss with misses at {config.miss_weight:g}"
    terms = ((config.bce, entropy), (config.dice, overlap), (config.boundary, "cross-entropy along the outline"))
    return " + ".join(name if weight == 1 else f"{weight:g} × {name}" for weight, name in terms if weight)


def _results(facts: Facts) -> list[str]:
    calibration = facts.calibration
    return [
        "## Results on the validation patients",
        "",
        _sentence(
            "These patients chose the model, the threshold and the temperature, so the figures lean to the good side:",
            "what to expect of new patients is what a test part or a cross-validation says.",
        ),
        "",
        *_scores(facts.validation),
        "",
        _sentence(
            f"- Threshold {calibration.threshold:g}: mean volume Dice {calibration.dice:.4f},",
            f"at 0.5 {calibration.dice_at_half:.4f}.",
        ),
        _sentence(
            f"- Temperature {calibration.temperature:g}: expected calibration error",
            f"{calibration.ece_before:.4f} before, {calibration.ece_after:.4f} after.",
        ),
        *(
            ["- The temperature is the end of what is tried: the probabilities are not calibrated."]
            if calibration.at_bound
            else []
        ),
        "",
    ]


def _test(facts: Facts) -> list[str]:
    if facts.test is None:
        return []
    return [
        "## Results on the test patients",
        "",
        _sentence(
            "Looked at once, after every choice, by the trained network in PyTorch",
            f"at threshold {facts.test.threshold:g} and without temperature.",
        ),
        "",
        *_scores(facts.test),
        "",
    ]


def _scores(evaluation: Evaluation) -> list[str]:
    volume, pooled, intervals = evaluation.volume_dice, evaluation.pooled.scores, evaluation.pooled_ci95.scores
    rows = [
        ("Dice per patient, mean", volume.mean, volume.ci95),
        ("Dice per patient, median", volume.median, None),
        ("Dice per patient, lowest", volume.min, None),
        ("Dice per slice with tumour", evaluation.slice_dice_tumour.mean, evaluation.slice_dice_tumour.ci95),
        ("Dice per slice, all", evaluation.slice_dice_all.mean, evaluation.slice_dice_all.ci95),
        *(
            (f"{score.label[0].upper()}{score.label[1:]} over all pixels", pooled[score.key], intervals[score.key])
            for score in table().pooled
            if not score.same_as
        ),
    ]
    found = evaluation.detection
    return [
        _sentence(
            f"{counted(evaluation.n_patients, 'patient')}, {counted(evaluation.n_slices, 'slice')}, at the slices' own",
            "size; intervals are 95 %, BCa, by bootstrap over patients.",
        ),
        "",
        "| score | value | 95 % interval |",
        "|---|---|---|",
        *(
            f"| {name} | {_number(value)} | {_interval(interval, digits=4 if 'AUC' in name else 3)} |"
            for name, value, interval in rows
        ),
        "",
        _sentence(
            f"Of {counted(found.tumour_slices, 'slice')} with tumour {found.missed} were missed whole;",
            f"of {found.healthy_slices} without, {found.false_alarms} were marked somewhere. Two empty masks score 1.",
        ),
    ]


def _subgroups(facts: Facts) -> list[str]:
    patients = facts.validation.patients
    by_site = {site: [p for p in patients if p.site == site] for site in sorted({p.site for p in patients})}
    return [
        "## By site and by size of the tumour (validation patients)",
        "",
        "| group | patients | mean volume Dice | 95 % interval |",
        "|---|---|---|---|",
        *(_group_row(f"site {name}", group) for name, group in by_site.items()),
        *(_group_row(name, group) for name, group in _by_size(patients)),
        "",
        "Groups this small are shown to find weakness, not to compare sites; below six patients there is no interval.",
        "",
    ]


def _by_size(patients: Sequence[PatientScores]) -> list[tuple[str, list[PatientScores]]]:
    """Thirds of the patients by tumour pixels of the volume."""
    ordered = sorted(patients, key=_tumour)
    cuts = [round(len(ordered) * third / 3) for third in range(4)]
    groups = []
    for name, start, end in zip(("smallest", "middle", "largest"), cuts, cuts[1:], strict=False):
        group = ordered[start:end]
        if group:
            groups.append((f"{name} third, {_tumour(group[0]):,} to {_tumour(group[-1]):,} tumour pixels", group))
    return groups


def _tumour(patient: PatientScores) -> int:
    """Tumour pixels of a patient's volume."""
    return patient.counts.truth


def _group_row(name: str, group: Sequence[PatientScores]) -> str:
    values = [patient.dice for patient in group]
    low, high = bootstrap_interval(values)
    interval = _interval(None if np.isnan(low) else (low, high))
    return f"| {name} | {len(group)} | {np.mean(values):.3f} | {interval} |"


def _failures(facts: Facts) -> list[str]:
    worst = sorted(facts.validation.patients, key=lambda patient: patient.dice)[:WORST]
    return ["## Where it fails", "", *(f"- {_failure(patient)}" for patient in worst), ""]


def _failure(patient: PatientScores) -> str:
    """One patient's result in words."""
    counts, found = patient.counts, patient.detection
    told = [f"{patient.id} (site {patient.site}): Dice {patient.dice:.3f} over {counted(patient.n_slices, 'slice')}"]
    if counts.truth:
        told.append(f"{1 - (patient.recall or 0.0):.0%} of {counts.truth:,} tumour pixels missed")
    told.append(f"{counted(counts.fp, 'pixel')} marked without tumour")
    if found.missed:
        told.append(f"{found.missed} of {counted(found.tumour_slices, 'slice')} with tumour missed whole")
    if found.false_alarms:
        told.append(f"{found.false_alarms} of {counted(found.healthy_slices, 'slice')} without tumour marked")
    return "; ".join(told) + "."


def _variants(facts: Facts) -> list[str]:
    return [
        "## Variants",
        "",
        "- fp32: the reference; what it differs from PyTorch by is in the manifest.",
        *(_variant(name, verdict, facts.made_by[name]) for name, verdict in facts.verdicts.items()),
        *(f"- {name} is not in this bundle: {why}." for name, why in facts.left_out.items()),
        "",
    ]


def _variant(name: str, verdict: Verdict, made_by: str) -> str:
    agreement = verdict.measured.agreement.mask_agreement
    return _sentence(
        f"- {name}, by {made_by}: gate {verdict.sentence};",
        f"its masks agree with fp32's on {agreement:.4%} of the pixels.",
    )


def _limits(facts: Facts) -> list[str]:
    return [
        "## Limits",
        "",
        _sentence(
            "- Slices are seen one by one at 128 × 128: structures below two pixels of a 256 × 256 slice",
            "are blurred away, and nothing is known about the slice above.",
        ),
        *(_seen_scanners() if facts.provenance.recognised == "kaggle_3m" else _seen_data(facts.guarded)),
        _sentence(
            "- Readers' own outlines of a tumour differ;",
            "near the agreement of two readers, differences say more about the reader than about the model.",
        ),
        "- A probability is calibrated over all pixels, most of which are easy; at a tumour's edge it is not.",
        "",
    ]


def _seen_scanners() -> list[str]:
    """What the patients of `kaggle_3m` are."""
    return [
        _sentence(
            "- It knows five hospitals' scanners of the years around 2000. Other machines, field strengths, skull",
            "stripping or windowing can break it; the runtime warns where intensities are unlike those of training.",
        ),
        _sentence(
            "- Where a sequence is missing, some training patients have FLAIR in its place;",
            "other substitutes were never seen.",
        ),
        _sentence(
            "- On fat-suppressed FLAIR, and where the head is small in its field of view, networks trained on this set",
            "were seen to mark healthy tissue and to miss tumour. Crop slices to the head, and check every mask.",
        ),
        "- How far two readers agree on this set is not known; the Dice of 0.84 often quoted is from another set.",
    ]


def _seen_data(guarded: bool) -> list[str]:
    """What holds of any training data."""
    warned = (
        "the runtime warns where intensities are unlike those of training."
        if guarded
        else "no training slice had three different sequences, so the runtime cannot warn of unlike intensities."
    )
    return [
        _sentence(
            "- It knows the scanners and the preparation of its training data. Other machines, field strengths, skull",
            f"stripping or windowing can break it; {warned}",
        )
    ]


def _sentence(*parts: str) -> str:
    """One line of Markdown from parts that fit into lines of code."""
    return " ".join(parts)


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _interval(interval: tuple[float, float] | None, *, digits: int = 3) -> str:
    return "" if interval is None else f"{interval[0]:.{digits}f} to {interval[1]:.{digits}f}"
