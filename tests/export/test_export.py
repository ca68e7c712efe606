"""The whole export: one command, one bundle, proven and sealed, or none."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import tifffile
import torch

from brainseg_export.errors import GateError, ParityError
from brainseg_export.evidence.gate import GateLimits
from brainseg_export.evidence.parity import ParityConfig
from brainseg_export.export import Options
from brainseg_export.graphs.fine_tune import TuneConfig
from brainseg_export.graphs.quantize import METHODS
from brainseg_export.sealing.contents import fingerprint_of
from brainseg_export.sources import run_choice
from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.evaluation.stress_table import StressTable
from brainseg_runtime.images import read_image, scan_dataset
from brainseg_runtime.installation.verify import verify_bundle
from brainseg_runtime.segmenter import Segmenter
from brainseg_train.data.dataset import load_dataset
from brainseg_train.models.pipeline import InferencePipeline
from tests.export.conftest import Exported, export_best, run_export
from tests.schemas.validation import violations

FEW_IMAGES = ParityConfig(sizes=((64, 64),), adversarial=4)


def test_the_bundle_is_whole_and_every_variant_of_it_gives_its_golden_answers(exported: Exported) -> None:
    bundle = open_bundle(exported.bundle, digest=exported.report["bundles"][0]["digest"])
    assert set(bundle.manifest.variants) >= {"fp32"}
    assert {"model.onnx", "golden.npz", "MODEL_CARD.md", "sbom.cdx.json"} <= set(bundle.files)
    verify_bundle(exported.bundle)


def test_the_manifest_holds_where_the_weights_come_from_and_what_was_measured(exported: Exported) -> None:
    manifest = open_bundle(exported.bundle).manifest
    chosen = run_choice.best(exported.runs)
    assert manifest.training["run"] == chosen.run
    assert manifest.training["split_digest"] == chosen.info.split_digest
    fp32 = manifest.variants["fp32"]
    cpu = fp32.parity["cpu"]
    assert isinstance(cpu, dict)
    assert cpu["passed"] is True
    assert {"validation", "sizes_and_batches", "adversarial"} <= set(cpu)
    assert fp32.same_bits["cpu"] is True
    assert manifest.fingerprint is not None
    assert manifest.licence.id == "Apache-2.0", "drawn heads carry no patients' licence"


def test_from_image_files_the_runtime_answers_what_training_answers(exported: Exported) -> None:
    manifest = open_bundle(exported.bundle).manifest
    network, _ = run_choice.load(run_choice.best(exported.runs))
    pipeline = InferencePipeline(network, threshold=manifest.threshold, temperature=manifest.temperature).eval()
    dataset = load_dataset(exported.data)
    segmenter = Segmenter.load(exported.bundle, provider="cpu", variant="fp32")
    for row, patient in ((0, 0), (len(dataset.slices) - 1, -1)):
        path = scan_dataset(exported.data)[patient].slices[0 if row == 0 else -1].image
        result = segmenter.predict(read_image(path))
        with torch.inference_mode():
            mask, probability = pipeline(torch.from_numpy(dataset.native_image(row)[None]))
        assert np.abs(result.probability - probability[0].numpy()).max() <= 1e-5
        far = np.abs(probability[0].numpy() - manifest.threshold) > 1e-5
        assert np.array_equal(result.mask[far], mask[0].numpy()[far])


def test_every_way_to_a_variant_is_tried_and_judged_on_every_provider(exported: Exported, tmp_path: Path) -> None:
    options = Options(fp16=True, qat=True, parity=FEW_IMAGES, tuning=TuneConfig(steps=3))
    tried = export_best(exported.runs, exported.data, tmp_path, options).tried
    labels = [proof.candidate.label for proof in tried]
    assert labels[:4] == [*METHODS, "rounded weights"]
    assert labels[4] in {f"{start}, then 3 steps of fine-tuning" for start in METHODS}
    assert len(labels) == 5
    assert all(proof.verdicts.keys() == proof.measured.keys() >= {"cpu"} for proof in tried)


def test_the_card_says_what_a_reader_must_know(exported: Exported) -> None:
    card = (exported.bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    for part in (
        "Not a medical device", "drawn heads, not on patients", "## Intended use", "## Data", "Licence:",
        "loss: binary cross-entropy + soft Dice.", "running mean over the optimisation steps",
        "of the slices without tumour", "95 % interval", "By site and by size", "## Where it fails",
        "calibration error", "## Limits", "test patients",
    ):  # fmt: skip
        assert part in card, part


def test_the_bill_of_materials_lists_the_runtimes_closure(exported: Exported) -> None:
    bill = json.loads((exported.bundle / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    names = {component["name"] for component in bill["components"]}
    assert {"brainseg-runtime", "numpy", "onnxruntime"} <= names
    assert not names & {"torch", "onnx", "tifffile", "typer"}


def test_no_path_of_this_machine_is_in_the_bundle(exported: Exported) -> None:
    for path in exported.bundle.iterdir():
        data = path.read_bytes()
        assert str(exported.data).encode() not in data
        assert str(exported.runs).encode() not in data


def test_a_failure_leaves_the_old_bundle_and_nothing_else(exported: Exported, tmp_path: Path) -> None:
    before = _copied(exported.bundle, tmp_path)
    options = Options(methods=("minmax",), parity=replace(FEW_IMAGES, limit=0.0))  # nothing computes to the last bit
    with pytest.raises(ParityError, match="does not compute what the network computes"):
        export_best(exported.runs, exported.data, tmp_path, options)
    assert _files(tmp_path / exported.bundle.name) == before
    assert [path.name for path in tmp_path.iterdir()] == [exported.bundle.name]


def test_a_variant_that_was_required_is_tuned_and_then_its_failed_gate_is_an_error(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _copied(exported.bundle, tmp_path)
    options = Options(
        require=("int8",), methods=("minmax",), parity=FEW_IMAGES, tuning=TuneConfig(steps=2),
        gate=GateLimits(mean_drop=-1.0),  # nothing is better by one
    )  # fmt: skip
    with pytest.raises(GateError, match="int8 was required but failed its gate"):
        export_best(exported.runs, exported.data, tmp_path, options)
    assert "fine-tuning int8 from minmax" in capsys.readouterr().err
    assert _files(tmp_path / exported.bundle.name) == before


def test_a_folder_that_is_no_bundle_is_never_replaced(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / exported.bundle.name
    place.mkdir()
    (place / "thesis.txt").write_text("years of work", encoding="utf-8")
    assert run_export("--best", "--runs", str(exported.runs), "--out", str(tmp_path), "--json", "-") == 1
    told = capsys.readouterr()
    assert "already exists and is not a bundle" in told.err
    assert json.loads(told.out)["faults"][0]["kind"] == "ExportError"
    assert [path.name for path in place.iterdir()] == ["thesis.txt"]


def test_the_json_holds_what_the_help_promises(exported: Exported) -> None:
    assert set(exported.report) == {"bundles", "faults"}
    assert exported.report["faults"] == []
    assert set(exported.report["bundles"][0]) == {
        "model", "path", "digest", "run", "reason", "calibration", "files", "variants", "tried", "left_out",
        "latency_ms", "stress",
    }  # fmt: skip


def test_an_edited_run_record_leaves_card_and_manifest_as_they_were(exported: Exported, tmp_path: Path) -> None:
    runs = Path(shutil.copytree(exported.runs, tmp_path / "runs"))
    for path in runs.glob("*/run.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        for key in ("dice_median", "dice_min", "dice_pooled", "loss"):
            record["best"]["validation"][key] = 0.123
        record |= {"parameters": 1, "epochs": 999, "threads": 77, "initial": {"run": "edited"}, "precision": "edited"}
        record |= {"slices": {"train": 1, "validation": 1}, "versions": {"torch": "edited"}, "timing": {"seconds": 0.5}}
        path.write_text(json.dumps(record), encoding="utf-8")
    assert run_export("--best", "--runs", str(runs), "--out", str(tmp_path / "out")) == 0
    for name in ("MODEL_CARD.md", "manifest.json"):
        assert (tmp_path / "out" / exported.bundle.name / name).read_bytes() == (exported.bundle / name).read_bytes()


def test_grey_images_in_three_channels_leave_the_fingerprint_open(exported: Exported, tmp_path: Path) -> None:
    grey = Path(shutil.copytree(exported.data, tmp_path / "grey"))
    for path in grey.glob("*/*.tif"):
        if "_mask" not in path.name:
            flair = tifffile.imread(path)[..., 1]
            tifffile.imwrite(path, np.stack([flair] * 3, axis=-1), photometric="rgb", metadata=None)
    dataset = load_dataset(grey)
    chosen = run_choice.best(exported.runs)
    split = replace(chosen.split, data_digest=dataset.digest)
    assert fingerprint_of(chosen, load_dataset(exported.data)) is not None
    assert fingerprint_of(replace(chosen, split=split), dataset) is None


def test_the_manifest_says_where_the_data_comes_from_and_what_becomes_of_proportions(exported: Exported) -> None:
    training = open_bundle(exported.bundle).manifest.training
    assert training["data"] == {
        "name": "phantom", "licence": "Apache-2.0", "url": None, "citation": None, "recognised": "phantom",
        "patients": 20, "patients_of_kaggle_3m": 0,
    }  # fmt: skip
    assert str(training["aspect_ratio"]).startswith("kept")
    model = onnx.load_model_from_string((exported.bundle / "model.onnx").read_bytes())
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert told["brainseg.aspect_ratio"] == training["aspect_ratio"]


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _copied(bundle: Path, out: Path) -> dict[str, bytes]:
    """What is in a bundle, of which `out` now has a copy."""
    shutil.copytree(bundle, out / bundle.name)
    return _files(bundle)


def test_a_bundle_that_was_scored_under_perturbations_says_so(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lowest = tmp_path / "lowest.json"
    lowest.write_text(json.dumps({"mirrored": 0.0, "head-50": {"difference": -1}}), encoding="utf-8")
    options = ("--best", "--runs", str(runs), "--out", str(tmp_path / "out"), "--require-stress", str(lowest))
    assert run_export(*options, "--json", "-") == 0
    (report,) = json.loads(capsys.readouterr().out)["bundles"]
    bundle = open_bundle(Path(report["path"]))
    kept = StressTable.from_json(bundle.manifest.training["stress"])
    assert kept == StressTable.from_json(report["stress"]).without_patients()
    card = bundle.files["MODEL_CARD.md"].decode()
    row = kept.by_name["mirrored"]
    assert row.dice is not None
    assert f"| mirrored | left and right exchanged | {row.dice.mean:.3f} |" in card
    assert all(f"| {name} |" in card for name in kept.by_name)
    assert not violations("export", {"bundles": [report], "faults": []})


def test_no_bundle_is_made_below_the_lowest_values(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lowest = tmp_path / "lowest.json"
    lowest.write_text(json.dumps({"no-flair-zeros": 1.0}), encoding="utf-8")
    options = ("--best", "--runs", str(runs), "--out", str(tmp_path / "out"), "--require-stress", str(lowest))
    assert run_export(*options) == 1
    assert "no-flair-zeros: Dice" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*/manifest.json"))


def test_a_faulty_file_of_lowest_values_is_refused_before_any_work(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lowest = tmp_path / "lowest.json"
    lowest.write_text(json.dumps({"head-51": 1.0}), encoding="utf-8")
    options = ("--best", "--runs", str(runs), "--out", str(tmp_path / "out"), "--require-stress", str(lowest))
    assert run_export(*options) == 1
    told = capsys.readouterr().err
    assert "head-51" in told
    assert "converting" not in told


def test_a_bundle_that_was_not_scored_under_perturbations_has_no_such_table(exported: Exported) -> None:
    bundle = open_bundle(exported.bundle)
    assert "stress" not in bundle.manifest.training
    assert "Under perturbations" not in bundle.files["MODEL_CARD.md"].decode()
