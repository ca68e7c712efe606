"""What would stop an export is told before work begins."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from brainseg_export import preflight
from brainseg_export.errors import ExportError
from brainseg_export.sources import run_choice
from brainseg_runtime.errors import FileWriteError
from brainseg_train.data.dataset import load_dataset
from brainseg_train.data.split import Split
from tests.export.conftest import run_export


def arguments(runs: Path, out: Path, *more: str) -> list[str]:
    return ["--all", "--runs", str(runs), "--out", str(out), *more]


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any work would fail the test."""

    def work(*_: object, **__: object) -> None:
        raise AssertionError("work began")

    monkeypatch.setattr("brainseg_export.export.export", work)
    monkeypatch.setattr("brainseg_export.sources.patients.open_dataset", work)


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize("kind", ["file", "link", "inside a file", "other content", "in the data set", "device"])
def test_a_place_that_cannot_hold_a_bundle_is_told_for_every_network_before_work(
    runs: Path, phantom: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    out = tmp_path / "out dir"
    if kind == "file":
        out.write_text("x")
    elif kind == "link":
        out.mkdir()
        for name in ("unet", "deeplab"):
            (out / name).symlink_to(tmp_path)
    elif kind == "inside a file":
        (tmp_path / "file").write_text("x")
        out = tmp_path / "file" / "deeper"
    elif kind == "other content":
        for name in ("unet", "deeplab"):
            (out / name).mkdir(parents=True)
            (out / name / "thesis.txt").write_text("x")
    elif kind == "device":
        out = Path("/dev/null")
    else:
        out = phantom / "bundles"
    assert run_export(*arguments(runs, out)) == 1
    told = capsys.readouterr().err
    assert "unet: " in told
    assert "deeplab: " in told
    assert not (phantom / "bundles").exists()


@pytest.mark.usefixtures("idle")
def test_data_that_is_not_there_is_told_first(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_export(*arguments(runs, tmp_path / "out", "--data", str(tmp_path / "nowhere"))) == 1
    told = capsys.readouterr().err
    assert "nowhere does not exist" in told
    assert "--data" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize(
    "more",
    [
        ["--data-name", "a\nb"], ["--data-url", "ward 7"], ["--data-licence", " "], ["--data-name", "/home/a/b/set"],
    ],
)  # fmt: skip
def test_a_statement_that_cannot_be_taken_is_told_first(runs: Path, tmp_path: Path, more: list[str]) -> None:
    assert run_export(*arguments(runs, tmp_path / "out", *more)) == 1


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize("version", ["1 0", "", "v/1", "é"])
def test_a_version_that_no_manifest_takes_is_wrong_usage(runs: Path, tmp_path: Path, version: str) -> None:
    assert run_export(*arguments(runs, tmp_path / "out", "--model-version", version)) == 2


def test_too_little_space_is_told(runs: Path, phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nearly_full = SimpleNamespace(total=10**9, used=10**9 - 10**6, free=10**6)
    monkeypatch.setattr("brainseg_export.preflight.shutil.disk_usage", lambda _: nearly_full)
    with pytest.raises(ExportError, match="too little disk space"):
        preflight.require_place(tmp_path / "out" / "unet", run_choice.best(runs), phantom)


def test_a_folder_that_refuses_new_files_is_told(runs: Path, phantom: Path) -> None:
    if not Path("/proc/1").is_dir():
        pytest.skip("no /proc on this system")
    with pytest.raises(FileWriteError, match="--out"):
        preflight.require_place(Path("/proc/bundles/unet"), run_choice.best(runs), phantom)


def test_nothing_is_left_where_a_place_was_looked_at(runs: Path, phantom: Path, tmp_path: Path) -> None:
    preflight.require_place(tmp_path / "a" / "b" / "unet", run_choice.best(runs), phantom)
    assert list(tmp_path.iterdir()) == []


def test_validation_without_tumour_is_told_first(phantom: Path, runs: Path) -> None:
    dataset = load_dataset(phantom)
    split = run_choice.best(runs).split
    preflight.require_judges(dataset, split)
    dataset.tumour_pixels[split.indices(dataset, "validation")] = 0
    with pytest.raises(ExportError, match="threshold and temperature cannot be chosen"):
        preflight.require_judges(dataset, split)


def test_a_split_without_validation_patients_is_told_first(phantom: Path) -> None:
    dataset = load_dataset(phantom)
    names = tuple(patient.id for patient in dataset.patients)
    split = Split(train=names, validation=(), test=(), seed=0, data_digest=dataset.digest)
    with pytest.raises(ExportError, match="0 patients"):
        preflight.require_judges(dataset, split)


def test_blank_training_slices_alone_are_told_first(phantom: Path, runs: Path) -> None:
    dataset = load_dataset(phantom)
    dataset.blank[:] = np.True_
    with pytest.raises(ExportError, match="only blank ones"):
        preflight.require_judges(dataset, run_choice.best(runs).split)


def test_weights_that_learnt_from_squeezed_slices_are_refused(phantom: Path, runs: Path) -> None:
    dataset = load_dataset(phantom)
    chosen = run_choice.best(runs)
    older = dataclasses.replace(chosen, info=dataclasses.replace(chosen.info, config=None))
    oblong = dataclasses.replace(dataset, size=(64, 48))
    preflight.require_proportions(dataset, older)
    preflight.require_proportions(oblong, chosen)
    with pytest.raises(ExportError, match="train again"):
        preflight.require_proportions(oblong, older)
