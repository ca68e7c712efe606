"""Everything that goes into a bundle, gathered from the run, the data and the proofs."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_export.evidence.golden import golden_cases, tolerances
from brainseg_export.evidence.predictors import REQUIRED, predictor, predictors
from brainseg_export.evidence.proof import Proof, stability
from brainseg_export.evidence.threshold import Calibration
from brainseg_export.sealing.model_card import Facts, write_card
from brainseg_export.sealing.sbom import bill_of_materials
from brainseg_export.sealing.seal import GOLDEN_NAME, bundle_files, entries
from brainseg_export.sources.patients import BATCH, Patients
from brainseg_export.sources.provenance import Provenance
from brainseg_export.sources.run_choice import Chosen
from brainseg_runtime.bundles.golden import GoldenCase
from brainseg_runtime.bundles.manifest import Fingerprint, Manifest, Variant
from brainseg_runtime.errors import DataError
from brainseg_runtime.evaluation.evaluate import evaluate
from brainseg_runtime.evaluation.result import Evaluation
from brainseg_runtime.evaluation.stress_table import StressTable
from brainseg_runtime.safe_io.strict_json import Json
from brainseg_runtime.safe_io.typed_json import to_json
from brainseg_runtime.segmentation.input_guard import take_fingerprint
from brainseg_train.checkpoint import WeightsInfo
from brainseg_train.comparison import test_scores
from brainseg_train.data.dataset import DataSet
from brainseg_train.errors import RecordError

FINGERPRINT_SLICES: Final = 600
"""Training slices from which the input guard learns what intensities to expect, as percentiles."""

_TOOLS: Final[tuple[str, ...]] = ("numpy", "onnx", "onnxruntime", "onnxruntime-ep-openvino", "onnxscript", "torch")

ASPECT: Final = "kept: an image that is not square is resized as if zeros made it one, in the middle"
"""How graphs treat an image that is not square; those of older releases say nothing and squeeze it."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What an export knows once its graphs are proven: what a bundle is gathered from."""

    version: str
    """Of the model."""
    chosen: Chosen
    dataset: DataSet
    """The data that the run was trained on."""
    patients: Patients
    """The validation patients."""
    calibration: Calibration
    provenance: Provenance
    """Where the data comes from."""
    parameters: int
    """Trainable numbers of the network."""
    shipped: tuple[Proof, ...]
    """fp32 first."""
    left_out: Mapping[str, str]
    """Variants that do not ship, and why."""
    stress: StressTable | None = None
    """The fp32 graph under perturbations, where it was measured."""
    notes: str = ""
    """Markdown for the card."""


def graph_labels(info: WeightsInfo, provenance: Provenance) -> dict[str, str]:
    """What a graph says about itself outside a bundle, beside the contract."""
    licence = provenance.licence
    return {
        "model": info.model,
        "width": str(info.width),
        "run": info.run,
        "weights_sha256": info.sha256,
        "data_digest": info.data_digest,
        "split_digest": info.split_digest,
        "validation_dice": repr(info.validation_dice),
        "aspect_ratio": ASPECT,
        "licence": licence.id,
        "licence_note": licence.note,
        "use": "research only; not a medical device",
    }


def assemble(evidence: Evidence) -> tuple[Manifest, dict[str, bytes]]:
    """Everything that a bundle holds, ready to be sealed: its manifest, and the files that this lists."""
    chosen, shipped, calibration = evidence.chosen, evidence.shipped, evidence.calibration
    graphs = {proof.candidate.graph.name: proof.candidate.graph.data for proof in shipped}
    golden = golden_cases({proof.candidate.variant: predictor(proof.candidate.graph, REQUIRED) for proof in shipped})
    fingerprint = fingerprint_of(chosen, evidence.dataset)
    validation = _validation(evidence)
    facts = Facts(
        version=evidence.version,
        chosen=chosen,
        calibration=calibration,
        validation=validation,
        test=_test(chosen),
        variants=[(proof.candidate.variant, proof.candidate.label, proof.verdict) for proof in shipped[1:]],
        left_out=evidence.left_out,
        provenance=evidence.provenance,
        parameters=evidence.parameters,
        guarded=fingerprint is not None,
        stress=evidence.stress,
        notes=evidence.notes,
    )
    bill = bill_of_materials(chosen.model, evidence.version, graphs)
    content = bundle_files(graphs, golden, write_card(facts), bill)
    manifest = Manifest(
        name=chosen.model,
        version=evidence.version,
        files=entries(content),
        threshold=calibration.threshold,
        temperature=calibration.temperature,
        variants={proof.candidate.variant: _variant(proof, golden, calibration) for proof in shipped},
        golden=GOLDEN_NAME,
        licence=evidence.provenance.licence,
        fingerprint=fingerprint,
        training=_training(evidence, validation),
        tools=_tools(),
    )
    return manifest, content


def fingerprint_of(chosen: Chosen, dataset: DataSet) -> Fingerprint | None:
    """Intensities of training slices, spread evenly over the patients.

    Returns:
        What the runtime compares other images with; None if no slice has three different sequences.
    """
    rows = chosen.split.indices(dataset, "train")
    rows = rows[~dataset.blank[rows]]
    wanted = rows[:: max(1, len(rows) // FINGERPRINT_SLICES)]

    def images() -> Iterator[NDArray[np.uint8]]:
        for row in wanted:
            yield dataset.native_image(int(row))

    try:
        return take_fingerprint(images())
    except DataError:  # such as grey images in three channels: nothing distinguishes them from other images
        return None


def _validation(evidence: Evidence) -> Evaluation:
    """Every score of the fp32 graph on the validation patients."""
    predict = predictor(evidence.shipped[0].candidate.graph, REQUIRED)
    threshold, cases = evidence.calibration.threshold, evidence.patients.cases()
    return evaluate(cases, predict, threshold=threshold, provider=REQUIRED, variant="fp32", batch=BATCH)


def _test(chosen: Chosen) -> Evaluation | None:
    """The study's evaluation on the test subset, if this run is the one that was evaluated."""
    if chosen.study is None or chosen.run not in chosen.study.record.selected.get(chosen.model, ()):
        return None
    try:
        return test_scores.load_test(chosen.study, chosen.model).evaluation
    except RecordError:  # the study ended before it, or without it
        return None


def _variant(proof: Proof, golden: list[GoldenCase], calibration: Calibration) -> Variant:
    """One variant's entry in the manifest."""
    name = proof.candidate.variant
    functions, _ = predictors(proof.candidate.graph)
    measured = {provider: run for provider, run in functions.items() if provider in proof.measured}
    accuracy: dict[str, Json] = {"validation_volume_dice": proof.dice, "threshold": calibration.threshold}
    if name != "fp32":
        accuracy |= {
            "calibration": proof.candidate.label,
            "gate": {provider: to_json(verdict) for provider, verdict in proof.verdicts.items()},
        }
    return Variant(
        file=proof.candidate.graph.name,
        precision=name,
        parity=proof.parity_json(),
        accuracy=accuracy,
        same_bits=stability(proof),
        tolerances=tolerances(name, name, golden, measured),
    )


def _training(evidence: Evidence, validation: Evaluation) -> dict[str, Json]:
    """Where the weights come from: what they say of themselves, and what was measured here."""
    chosen, calibration = evidence.chosen, evidence.calibration
    info, split = chosen.info, chosen.split
    return {
        "run": info.run,
        "study": chosen.study.record.id if chosen.study else None,
        "chosen": chosen.reason,
        "weights_sha256": info.sha256,
        "data": evidence.provenance.to_json(),
        "data_digest": info.data_digest,
        "split_digest": info.split_digest,
        "split_by": split.split_by,
        "patients": {"train": len(split.train), "validation": len(evidence.patients.ids), "test": len(split.test)},
        # Its path is the training machine's; the weights are named by digest.
        "config": None if chosen.config is None else {**chosen.config.to_json(), "initial": info.initial},
        "epoch": info.epoch,
        "validation_in_training": dict(info.validation) or {"dice": info.validation_dice},
        "aspect_ratio": ASPECT,
        "validation": {
            "n_slices": validation.n_slices,
            "volume_dice_mean": validation.volume_dice.mean,
            "volume_dice_median": validation.volume_dice.median,
            "volume_dice_min": validation.volume_dice.min,
            "pooled_dice": validation.pooled.dice,
        },
        "calibration": {
            "ece_before": calibration.ece_before,
            "ece_after": calibration.ece_after,
            "dice_at_half": calibration.dice_at_half,
        },
        **({} if evidence.stress is None else {"stress": evidence.stress.without_patients().to_json()}),
    }


def _tools() -> dict[str, str]:
    """Versions of the tools that made and proved the bundle."""
    found: dict[str, str] = {}
    for name in _TOOLS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return {"python": platform.python_version(), **found}
