"""What goes into a bundle, gathered from the run, the data and the proofs."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_export.evidence import golden as vectors
from brainseg_export.evidence.predictors import REQUIRED, predictor, predictors
from brainseg_export.evidence.proof import Proof, stability
from brainseg_export.evidence.threshold import Calibration
from brainseg_export.sealing.model_card import Facts, write_card
from brainseg_export.sealing.sbom import bill_of_materials
from brainseg_export.sealing.seal import Contents
from brainseg_export.sources import patients as cases
from brainseg_export.sources.patients import Patients
from brainseg_export.sources.provenance import Provenance
from brainseg_export.sources.run_choice import Chosen
from brainseg_runtime.bundles.golden import GoldenCase
from brainseg_runtime.bundles.manifest import Fingerprint, Variant
from brainseg_runtime.errors import DataError
from brainseg_runtime.evaluation.evaluate import evaluate
from brainseg_runtime.evaluation.result import Evaluation
from brainseg_runtime.safe_io.strict_json import Json
from brainseg_runtime.segmentation.input_guard import take_fingerprint
from brainseg_train.checkpoint import WeightsInfo
from brainseg_train.comparison import test_scores
from brainseg_train.data.dataset import DataSet
from brainseg_train.errors import RecordError

FINGERPRINT_SLICES: Final = 600
"""Training slices over which the input guard's picture of intensities is taken; its ends are their percentiles."""

_TOOLS: Final[tuple[str, ...]] = ("numpy", "onnx", "onnxruntime", "onnxruntime-ep-openvino", "onnxscript", "torch")


ASPECT: Final = "kept: an image that is not square is resized as if zeros made it one, in the middle"
"""What graphs do with the proportions of an image; those of older releases, which say nothing, squeeze it."""


def labels(info: WeightsInfo, provenance: Provenance) -> dict[str, str]:
    """What a bare graph says about itself, beside the contract.

    Args:
        info: Its weights.
        provenance: The data that it was trained on.
    """
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


def assemble(  # noqa: PLR0913 - gathered in one place
    chosen: Chosen,
    dataset: DataSet,
    patients: Patients,
    calibration: Calibration,
    *,
    provenance: Provenance,
    parameters: int,
    shipped: tuple[Proof, ...],
    left_out: Mapping[str, str],
    version: str,
) -> Contents:
    """Everything that a bundle holds.

    Args:
        chosen: The run.
        dataset: The data that it was trained on.
        patients: The validation patients.
        calibration: Threshold and temperature.
        provenance: Where that data comes from.
        parameters: Trainable numbers of the network.
        shipped: What ships, fp32 first.
        left_out: Variants that do not ship, and why.
        version: Of the model.

    Returns:
        The contents, ready to be sealed.
    """
    graphs = {proof.candidate.graph.name: proof.candidate.graph.data for proof in shipped}
    golden = vectors.golden_cases(
        {proof.candidate.variant: predictor(proof.candidate.graph, REQUIRED) for proof in shipped}
    )
    fingerprint = fingerprint_of(chosen, dataset)
    facts = Facts(
        version=version,
        chosen=chosen,
        calibration=calibration,
        validation=_validation(shipped[0], patients, calibration.threshold),
        test=_test(chosen),
        verdicts={proof.candidate.variant: proof.verdict for proof in shipped[1:]},
        made_by={proof.candidate.variant: proof.candidate.label for proof in shipped[1:]},
        left_out=left_out,
        provenance=provenance,
        parameters=parameters,
        guarded=fingerprint is not None,
    )
    return Contents(
        name=chosen.model,
        version=version,
        threshold=calibration.threshold,
        temperature=calibration.temperature,
        variants={proof.candidate.variant: _variant(proof, golden, calibration) for proof in shipped},
        graphs=graphs,
        golden=golden,
        card=write_card(facts),
        sbom=bill_of_materials(chosen.model, version, graphs),
        licence=provenance.licence,
        fingerprint=fingerprint,
        training=_training(facts, patients),
        tools=_tools(),
    )


def fingerprint_of(chosen: Chosen, dataset: DataSet) -> Fingerprint | None:
    """Intensities of training slices, spread evenly over the patients.

    Args:
        chosen: The run.
        dataset: The data that it was trained on.

    Returns:
        What the runtime holds other images against; None where no slice has three different sequences.
    """
    rows = chosen.split.indices(dataset, "train")
    rows = rows[~dataset.blank[rows]]
    wanted = rows[:: max(1, len(rows) // FINGERPRINT_SLICES)]

    def images() -> Iterator[NDArray[np.uint8]]:
        for row in wanted:
            yield dataset.native_image(int(row))

    try:
        return take_fingerprint(images())
    except DataError:  # grey images in three channels, for one: there is nothing to know other images by
        return None


def _validation(fp32: Proof, patients: Patients, threshold: float) -> Evaluation:
    """Every score of the fp32 graph on the validation patients."""
    predict = predictor(fp32.candidate.graph, REQUIRED)
    return evaluate(
        patients.cases(), predict, threshold=threshold, provider=REQUIRED, variant="fp32", batch=cases.BATCH
    )


def _test(chosen: Chosen) -> Evaluation | None:
    """What the study saw of the test part, where this run is the one that it looked at."""
    if chosen.study is None or chosen.run not in chosen.study.record.selected.get(chosen.model, ()):
        return None
    try:
        return test_scores.load_test(chosen.study, chosen.model).evaluation
    except RecordError:  # a study that ended before its look, or without one
        return None


def _variant(proof: Proof, golden: list[GoldenCase], calibration: Calibration) -> Variant:
    """One variant's evidence as the manifest holds it."""
    name = proof.candidate.variant
    functions, _ = predictors(proof.candidate.graph)
    measured = {provider: run for provider, run in functions.items() if provider in proof.measured}
    accuracy: dict[str, Json] = {"validation_volume_dice": proof.dice, "threshold": calibration.threshold}
    if name != "fp32":
        accuracy |= {
            "calibration": proof.candidate.label,
            "gate": {provider: verdict.to_json() for provider, verdict in proof.verdicts.items()},
        }
    return Variant(
        file=proof.candidate.graph.name,
        precision=name,
        parity=proof.parity_json(),
        accuracy=accuracy,
        same_bits=stability(proof),
        tolerances=vectors.tolerances(name, name, golden, measured),
    )


def _training(facts: Facts, patients: Patients) -> dict[str, Json]:
    """Where the weights come from: what they say of themselves, and what was measured here."""
    chosen = facts.chosen
    info, split, validation = chosen.info, chosen.split, facts.validation
    value: dict[str, Json] = {
        "run": info.run,
        "study": chosen.study.record.id if chosen.study else None,
        "chosen": chosen.reason,
        "weights_sha256": info.sha256,
        "data": facts.provenance.to_json(),
        "data_digest": info.data_digest,
        "split_digest": info.split_digest,
        "split_by": split.split_by,
        "patients": {"train": len(split.train), "validation": len(patients.ids), "test": len(split.test)},
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
            "ece_before": facts.calibration.ece_before,
            "ece_after": facts.calibration.ece_after,
            "dice_at_half": facts.calibration.dice_at_half,
        },
    }
    return value


def _tools() -> dict[str, str]:
    """Versions of what the bundle was made and proven with."""
    found: dict[str, str] = {}
    for name in _TOOLS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return {"python": platform.python_version(), **found}
