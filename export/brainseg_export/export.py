"""One run from checkpoint to sealed bundle: calibrate, convert, quantise, prove, decide, seal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from torch import Tensor, nn

from brainseg_export import preflight
from brainseg_export.errors import GateError
from brainseg_export.evidence import parity
from brainseg_export.evidence.gate import GateLimits
from brainseg_export.evidence.latency import milliseconds, torch_milliseconds
from brainseg_export.evidence.parity import ParityConfig
from brainseg_export.evidence.predictors import REQUIRED
from brainseg_export.evidence.proof import Candidate, Progress, Proof, Prover, best_of
from brainseg_export.evidence.stress import Lowest, measure_stress, require_lowest
from brainseg_export.evidence.threshold import Calibration, calibrate, count_logits
from brainseg_export.graphs.convert import Graph, convert
from brainseg_export.graphs.fine_tune import TuneConfig, fine_tune, training_batches
from brainseg_export.graphs.float16 import to_float16
from brainseg_export.graphs.quantize import METHODS, Method, observe, quantize
from brainseg_export.sealing.contents import Evidence, assemble, graph_labels
from brainseg_export.sealing.seal import seal
from brainseg_export.sources import run_choice
from brainseg_export.sources.patients import Patients, calibration_images, validation_patients
from brainseg_export.sources.provenance import provenance_of
from brainseg_export.sources.run_choice import Chosen
from brainseg_runtime.evaluation.evaluate import Predict
from brainseg_runtime.evaluation.stress_table import StressTable
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
"""Training slices on which activations are observed: one or two of each patient of the full set."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The settings of an export."""

    version: str = __version__
    """Of the model."""
    require: tuple[str, ...] = ()
    """Variants without which no bundle is made."""
    private_key: Path | None = None
    """Signs the bundle, if given."""
    fp16: bool = False
    """Whether to make a variant for GPUs."""
    calibration_slices: int = CALIBRATION_SLICES
    methods: tuple[Method, ...] = METHODS
    """Ways to turn observed activations into ranges; each is tried."""
    qat: bool = False
    """Whether to fine-tune the integer network even where calibration alone passes the gate."""
    tuning: TuneConfig = field(default_factory=TuneConfig)
    """How it is fine-tuned."""
    parity: ParityConfig = field(default_factory=ParityConfig)
    """How closely fp32 must follow PyTorch."""
    gate: GateLimits = field(default_factory=GateLimits)
    """How much accuracy another variant may lose."""
    stress: bool = False
    """Whether to score the fp32 graph under perturbations; always done where lowest values are required."""
    lowest: Mapping[str, Lowest] = field(default_factory=dict)
    """Lowest allowed values by perturbation."""
    stated: DataSource = field(default_factory=DataSource)
    """What is stated about the origin of the data."""
    notes: str = ""
    """Markdown that the card shows as it is."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of an export, with reasons."""

    chosen: Chosen
    path: Path
    digest: str
    calibration: Calibration
    shipped: tuple[Proof, ...]
    """fp32 first."""
    tried: tuple[Proof, ...]
    """Every candidate, including those that were left out."""
    left_out: Mapping[str, str]
    """Variants that do not ship, and why."""
    latency_ms: Mapping[str, Mapping[str, float]]
    """Median for one 256 × 256 slice by variant and provider; PyTorch's own is under `torch`, `eager`."""
    files: Mapping[str, int]
    """Bytes by file name, the manifest included."""
    stress: StressTable | None = None
    """The fp32 graph under perturbations, where it was measured."""


@dataclass(frozen=True, kw_only=True)
class _Work:
    """One export: its run, its data, and where progress is reported."""

    chosen: Chosen
    dataset: DataSet
    options: Options
    console: Progress


def export(chosen: Chosen, dataset: DataSet, target: Path, options: Options, console: Progress) -> Result:
    """Make one bundle.

    Args:
        chosen: The run.
        dataset: The data that it was trained on.
        target: The bundle's folder; what is there stays unless everything succeeds.
        options: How.
        console: Where progress is reported.

    Returns:
        What was made.

    Raises:
        CheckpointError: The weights are missing or damaged, or do not fit the network.
        SelectionError: They changed since they were chosen.
        ExportError: A statement about the data is not accepted, or nothing can be chosen on the validation patients.
        ConversionError: The network cannot be written as a graph, or its graph breaks a rule.
        ParityError: The graph does not compute what the network computes.
        GateError: A variant that was required did not pass, or a score under perturbations is too low.
        SigningError: The bundle cannot be signed.
        FileWriteError: The bundle cannot be written.
    """
    work = _Work(chosen=chosen, dataset=dataset, options=options, console=console)
    provenance = provenance_of(dataset, chosen, options.stated)
    preflight.require_judges(dataset, chosen.split)
    preflight.require_proportions(dataset, chosen)
    patients = validation_patients(dataset, chosen.split)
    network, info = run_choice.load(chosen)
    calibration = _calibrated(network, patients, console)
    pipeline = InferencePipeline(network, threshold=calibration.threshold, temperature=calibration.temperature).eval()
    prover = Prover(
        reference=parity.reference(pipeline),
        patients=patients,
        threshold=calibration.threshold,
        console=console,
        parity=options.parity,
        gate=options.gate,
    )
    base, tried = _proven(work, pipeline, prover, metadata=graph_labels(info, provenance))
    shipped, left_out = _decide(base, tried, options.require, console)
    stress = _stressed(base, patients, options, console)

    console.note("evaluating and sealing")
    evidence = Evidence(
        version=options.version,
        chosen=chosen,
        dataset=dataset,
        patients=patients,
        calibration=calibration,
        provenance=provenance,
        parameters=sum(weight.numel() for weight in network.parameters()),
        shipped=shipped,
        left_out=left_out,
        stress=stress,
        notes=options.notes,
    )
    digest = seal(target, *assemble(evidence), private_key=options.private_key, check=_file_check(prover))
    return Result(
        chosen=chosen,
        path=target,
        digest=digest,
        calibration=calibration,
        shipped=shipped,
        tried=tuple(tried),
        left_out=left_out,
        latency_ms=_latency(prover.reference, shipped),
        files={path.name: path.stat().st_size for path in sorted(target.iterdir())},
        stress=stress,
    )


def _calibrated(network: nn.Module, patients: Patients, console: Progress) -> Calibration:
    """Threshold and temperature, from the trained network in PyTorch."""
    predict = parity.reference(InferencePipeline(network).eval())
    with console.progress("validation slices for threshold and temperature", patients.slices) as advance:
        return calibrate(count_logits(predict, patients.cases(), advance))


def _proven(
    work: _Work, pipeline: InferencePipeline, prover: Prover, *, metadata: Mapping[str, str]
) -> tuple[Proof, list[Proof]]:
    """The network's graph and every candidate, made and measured."""
    work.console.note("converting and quantising")
    fp32 = convert(pipeline, name=FP32_NAME, metadata=metadata)
    candidates = _quantized(work, fp32)
    if work.options.fp16:
        candidates.append(Candidate(variant="fp16", graph=to_float16(fp32, name=FP16_NAME), label="rounded weights"))
    base, tried = prover.prove(fp32, candidates)
    integer = [proof for proof in tried if proof.candidate.variant == "int8"]
    if work.options.qat or not any(proof.passed for proof in integer):
        tuned = _tuned(work, fp32, best_of(integer).candidate, pipeline)
        tried.append(prover.prove_another(tuned, base))
    return base, tried


def _quantized(work: _Work, fp32: Graph) -> list[Candidate]:
    """The integer network, once for each method; activations are observed on training patients."""
    images = calibration_images(work.dataset, work.chosen.split, count=work.options.calibration_slices)
    seen = observe(fp32, images)
    return [
        Candidate(variant="int8", graph=quantize(fp32, seen, method, name=INT8_NAME), label=method)
        for method in work.options.methods
    ]


def _tuned(work: _Work, fp32: Graph, start: Candidate, pipeline: InferencePipeline) -> Candidate:
    """The integer network after fine-tuning on training patients, with the scales of the best calibration."""
    config, chosen = work.options.tuning, work.chosen
    label = f"{start.label}, then {config.steps} steps of fine-tuning"
    batches = training_batches(work.dataset, chosen.split, chosen.recipe, config=config)
    with work.console.progress(f"fine-tuning int8 from {start.label}, steps", config.steps) as advance:
        graph = fine_tune(
            fp32,
            start.graph,
            pipeline.network,
            _counted(batches, advance),
            temperature=pipeline.temperature,
            label=label,
            config=config,
        )
    return Candidate(variant="int8", graph=graph, label=label)


def _counted(batches: Iterator[Tensor], advance: Callable[[int], None]) -> Iterator[Tensor]:
    """The same batches; each is reported as it is taken."""
    for batch in batches:
        yield batch
        advance(1)


def _decide(
    base: Proof, tried: Sequence[Proof], required: Sequence[str], console: Progress
) -> tuple[tuple[Proof, ...], dict[str, str]]:
    """The variants that ship; and those that do not, with reasons.

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
        if variant in required:
            raise GateError(f"{variant} was required but failed its gate", got=why, remedy="export without --require")
        console.note(f"{variant} is left out: {why}")
        left_out[variant] = why
    return tuple(shipped), left_out


def _stressed(base: Proof, patients: Patients, options: Options, console: Progress) -> StressTable | None:
    """The fp32 graph under perturbations, if that is wanted.

    Raises:
        GateError: A score is below its lowest allowed value.
    """
    if not (options.stress or options.lowest):
        return None
    table = measure_stress(base.candidate.graph, patients, console)
    require_lowest(table, options.lowest)
    return table


def _file_check(prover: Prover) -> Callable[[Path], None]:
    """A check of the finished folder: from image files the runtime must answer what the network in PyTorch answers.

    One slice of each validation patient is compared, the one with most tumour.
    """

    def check(folder: Path) -> None:
        segmenter = Segmenter.load(folder, provider=REQUIRED, variant="fp32", threads=1)
        dataset, total = prover.patients.dataset, parity.Agreement()
        for patient in prover.patients.ids:
            rows = dataset.indices([patient])
            row = int(rows[np.argmax(dataset.tumour_pixels[rows])])
            result = segmenter.predict(read_image(dataset.slices[row].image))
            expected = prover.reference(dataset.native_image(row)[None])
            got = result.mask[None], result.probability[None]
            total += parity.compare(expected, got, threshold=prover.threshold)
        parity.require("the sealed bundle, from image files on disk,", total, limit=prover.parity.limit)

    return check


def _latency(reference: Predict, shipped: Sequence[Proof]) -> dict[str, dict[str, float]]:
    """Milliseconds of every variant on every provider, and of PyTorch."""
    measured = {
        proof.candidate.variant: {name: milliseconds(proof.candidate.graph, name) for name in proof.measured}
        for proof in shipped
    }
    return {"torch": {"eager": torch_milliseconds(reference)}, **measured}
