"""One run from checkpoint to sealed bundle: calibrate, convert, quantise, prove, judge, seal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from torch import Tensor, nn

from brainseg_export import preflight
from brainseg_export.errors import GateError
from brainseg_export.evidence import parity
from brainseg_export.evidence import threshold as calibrate
from brainseg_export.evidence.latency import milliseconds, torch_milliseconds
from brainseg_export.evidence.predictors import REQUIRED
from brainseg_export.evidence.proof import Candidate, Proof, Watch, best_of, prove, prove_another
from brainseg_export.evidence.threshold import Calibration
from brainseg_export.graphs import fine_tune, quantize
from brainseg_export.graphs.convert import Graph, convert
from brainseg_export.graphs.fine_tune import TuneConfig
from brainseg_export.graphs.float16 import to_float16
from brainseg_export.sealing import seal
from brainseg_export.sealing.contents import assemble, labels
from brainseg_export.sources import patients as cases
from brainseg_export.sources import run_choice
from brainseg_export.sources.patients import Patients
from brainseg_export.sources.provenance import provenance_of
from brainseg_export.sources.run_choice import Chosen
from brainseg_runtime.evaluation.evaluate import Predict
from brainseg_runtime.images import read_image
from brainseg_runtime.segmenter import Segmenter
from brainseg_runtime.version import __version__
from brainseg_train.data.dataset import DataSet
from brainseg_train.data.source import DataSource
from brainseg_train.models.pipeline import InferencePipeline

FP32_NAME: Final = "model.onnx"
INT8_NAME: Final = "model.int8.onnx"
FP16_NAME: Final = "model.fp16.onnx"

CALIBRATION_SLICES: Final = 96
"""Training slices on which activations are watched: one or two of each patient of the full set."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a bundle is to be made."""

    version: str = __version__
    """Of the model."""
    require: tuple[str, ...] = ()
    """Variants without which there shall be no bundle."""
    private_key: Path | None = None
    """Signs the bundle, if given."""
    fp16: bool = False
    """Whether a variant for GPUs is made."""
    calibration_slices: int = CALIBRATION_SLICES
    qat: bool = False
    """Whether the integer network is fine-tuned even where calibration alone passes the gate."""
    tuning: TuneConfig = field(default_factory=TuneConfig)
    """How it is fine-tuned."""
    stated: DataSource = field(default_factory=DataSource)
    """What is stated about where the data comes from."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What an export made, and why it made that."""

    chosen: Chosen
    path: Path
    digest: str
    calibration: Calibration
    shipped: tuple[Proof, ...]
    """fp32 first."""
    tried: tuple[Proof, ...]
    """Every candidate, those that were left out too."""
    left_out: Mapping[str, str]
    """Variants that do not ship, and why."""
    latency_ms: Mapping[str, Mapping[str, float]]
    """Median for one 256 × 256 slice by variant and provider; `torch` by itself under `eager`."""
    files: Mapping[str, int]
    """Bytes by file name, the manifest included."""


def export(chosen: Chosen, dataset: DataSet, target: Path, options: Options, watch: Watch) -> Result:
    """Make one bundle.

    Args:
        chosen: The run.
        dataset: The data that it was trained on.
        target: The bundle's folder; what stands there stays unless everything succeeds.
        options: How.
        watch: Told how far it is.

    Returns:
        What was made.

    Raises:
        CheckpointError: The weights are missing or damaged, or do not fit the network.
        SelectionError: They changed since they were chosen.
        ExportError: A statement about the data cannot be taken, or nothing can be chosen on the validation patients.
        ConversionError: The network cannot be expressed, or its graph breaks a rule.
        ParityError: The graph does not compute what the network computes.
        GateError: A variant that was required did not pass.
        SigningError: The bundle cannot be signed.
        FileWriteError: The system refused.
    """
    provenance = provenance_of(dataset, chosen, options.stated)
    preflight.require_judges(dataset, chosen.split)
    preflight.require_proportions(dataset, chosen)
    patients = cases.validation(dataset, chosen.split)
    network, info = run_choice.load(chosen)
    calibration = _calibrated(network, patients, watch)
    pipeline = InferencePipeline(network, threshold=calibration.threshold, temperature=calibration.temperature).eval()
    reference = parity.reference(pipeline)

    watch.note("converting and quantising")
    fp32 = convert(pipeline, name=FP32_NAME, metadata=labels(info, provenance))
    candidates = _quantized(fp32, chosen, dataset, options)
    if options.fp16:
        candidates.append(Candidate(variant="fp16", graph=to_float16(fp32, name=FP16_NAME), label="rounded weights"))
    base, tried = prove(reference, fp32, candidates, patients, threshold=calibration.threshold, watch=watch)
    if _wants_tuning(tried, options):
        start = best_of([proof for proof in tried if proof.candidate.variant == "int8"]).candidate
        tuned = _tuned(fp32, start, pipeline, chosen, dataset, options, watch)
        tried.append(prove_another(reference, base, tuned, patients, threshold=calibration.threshold, watch=watch))
    shipped, left_out = _decide(base, tried, options, watch)

    watch.note("evaluating and sealing")
    contents = assemble(
        chosen,
        dataset,
        patients,
        calibration,
        provenance=provenance,
        parameters=sum(weight.numel() for weight in network.parameters()),
        shipped=shipped,
        left_out=left_out,
        version=options.version,
    )
    check = _file_check(reference, patients, calibration.threshold)
    digest = seal.seal(target, contents, private_key=options.private_key, check=check)
    return Result(
        chosen=chosen,
        path=target,
        digest=digest,
        calibration=calibration,
        shipped=shipped,
        tried=tuple(tried),
        left_out=left_out,
        latency_ms=_latency(reference, shipped),
        files={path.name: path.stat().st_size for path in sorted(target.iterdir())},
    )


def _calibrated(network: nn.Module, patients: Patients, watch: Watch) -> Calibration:
    """Threshold and temperature from the trained network in PyTorch."""
    predict = parity.reference(InferencePipeline(network).eval())
    with watch.progress("validation slices for threshold and temperature", patients.slices) as advance:
        return calibrate.calibrate(calibrate.count_logits(predict, patients.cases(), advance))


def _quantized(fp32: Graph, chosen: Chosen, dataset: DataSet, options: Options) -> list[Candidate]:
    """The integer network, once for each calibration, watched on training patients."""
    images = cases.calibration_images(dataset, chosen.split, count=options.calibration_slices)
    seen = quantize.observe(fp32, images)
    return [
        Candidate(variant="int8", graph=quantize.quantize(fp32, seen, method, name=INT8_NAME), label=method)
        for method in quantize.METHODS
    ]


def _wants_tuning(tried: list[Proof], options: Options) -> bool:
    """Whether no calibration passed its gate, or fine-tuning was asked for."""
    return options.qat or not any(proof.passed for proof in tried if proof.candidate.variant == "int8")


def _tuned(
    fp32: Graph,
    start: Candidate,
    pipeline: InferencePipeline,
    chosen: Chosen,
    dataset: DataSet,
    options: Options,
    watch: Watch,
) -> Candidate:
    """The integer network after fine-tuning on training patients, with the best calibration's scales."""
    config, training = options.tuning, chosen.recipe
    label = f"{start.label}, then {config.steps} steps of fine-tuning"
    with watch.progress(f"fine-tuning int8 from {start.label}, steps", config.steps) as advance:
        graph = fine_tune.fine_tune(
            fp32,
            start.graph,
            pipeline.network,
            _told(fine_tune.training_batches(dataset, chosen.split, training, config=config), advance),
            temperature=pipeline.temperature,
            label=label,
            config=config,
        )
    return Candidate(variant="int8", graph=graph, label=label)


def _told(batches: Iterator[Tensor], advance: Callable[[int], None]) -> Iterator[Tensor]:
    """The same batches; each is counted as it is taken."""
    for batch in batches:
        yield batch
        advance(1)


def _decide(
    base: Proof, tried: list[Proof], options: Options, watch: Watch
) -> tuple[tuple[Proof, ...], dict[str, str]]:
    """What ships, and what does not and why.

    Raises:
        GateError: A variant that was required did not pass.
    """
    shipped, left_out = [base], {}
    for variant in dict.fromkeys(proof.candidate.variant for proof in tried):
        best = best_of([proof for proof in tried if proof.candidate.variant == variant])
        if best.passed:
            shipped.append(best)
            continue
        why = f"its gate {best.verdict.sentence}, at best, by {best.candidate.label}"
        if variant in options.require:
            raise GateError(f"{variant} was required and may not ship", got=why, remedy="export without --require")
        watch.note(f"{variant} is left out: {why}")
        left_out[variant] = why
    return tuple(shipped), left_out


def _file_check(reference: Predict, patients: Patients, threshold: float) -> Callable[[Path], None]:
    """A check of the finished folder: from files on disk, the runtime answers what the training stage answers."""

    def check(folder: Path) -> None:
        segmenter = Segmenter.load(folder, provider=REQUIRED, variant="fp32", threads=1)
        total = parity.Agreement()
        for patient in patients.ids:
            rows = patients.dataset.indices([patient])
            row = int(rows[np.argmax(patients.dataset.tumour_pixels[rows])])
            result = segmenter.predict(read_image(patients.dataset.slices[row].image))
            right = reference(patients.dataset.native_image(row)[None])
            total += parity.compare(right, (result.mask[None], result.probability[None]), threshold=threshold)
        parity.require("the sealed bundle, from image files on disk,", total)

    return check


def _latency(reference: Predict, shipped: tuple[Proof, ...]) -> dict[str, dict[str, float]]:
    """Milliseconds of every variant on every provider, and of PyTorch."""
    measured = {
        proof.candidate.variant: {name: milliseconds(proof.candidate.graph, name) for name in proof.measured}
        for proof in shipped
    }
    return {"torch": {"eager": torch_milliseconds(reference)}, **measured}
