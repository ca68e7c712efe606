"""Litter is passed over wherever it lies: in data sets, in patients' folders and in bundles."""

from __future__ import annotations

from pathlib import Path

import pytest

from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.errors import BundleTamperedError
from brainseg_runtime.images.dataset import scan_dataset
from brainseg_runtime.prediction.inputs import collect
from brainseg_runtime.safe_io.litter import is_hidden, is_litter
from tests.runtime.tiny import copy_tiny

LITTER = [".DS_Store", "._model.onnx", "Thumbs.db", "THUMBS.DB", "desktop.ini", "@eaDir", "__MACOSX", "model.onnx~"]


@pytest.mark.parametrize("name", LITTER)
def test_litter_is_known_and_hidden(name: str) -> None:
    assert is_litter(name)
    assert is_hidden(name)


@pytest.mark.parametrize("name", ["model.onnx", "x_1.tif", "mac", "eaDir", "~x.tif"])
def test_other_names_are_not_litter(name: str) -> None:
    assert not is_litter(name)


def test_a_dot_hides_a_name_among_images_and_excuses_nothing_in_a_bundle() -> None:
    assert is_hidden(".evil.onnx")
    assert not is_litter(".evil.onnx")


def test_a_set_full_of_litter_is_the_set(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for folder in (root, root / "p"):
        folder.mkdir()
        for name in LITTER:
            if name in ("@eaDir", "__MACOSX"):
                (folder / name / "deep").mkdir(parents=True)
                (folder / name / "deep" / "._p_1.tif").touch()
                (folder / name / "p_9.tif").touch()
            else:
                (folder / name).touch()
    for name in ("p_1.tif", "p_1_mask.tif", "p_1.tif~", "._p_1.tif", "._p_1_mask.tif"):
        (root / "p" / name).touch()
    told: list[str] = []
    (patient,) = scan_dataset(root, tell=told.append)
    assert [one.image.name for one in patient.slices] == ["p_1.tif"]
    assert told == []
    assert [item.name for item in collect([root], tmp_path / "out").items] == ["p_1"]


def test_a_bundle_with_litter_is_the_same_bundle(tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    digest = open_bundle(bundle).digest
    for name in LITTER:
        if name in ("@eaDir", "__MACOSX"):
            (bundle / name).mkdir()
            (bundle / name / "model.onnx").write_bytes(b"shadow")
        else:
            (bundle / name).write_bytes(b"shadow")
    assert open_bundle(bundle).digest == digest
    (bundle / "other.onnx").touch()
    with pytest.raises(BundleTamperedError) as caught:
        open_bundle(bundle)
    assert "other.onnx" in str(caught.value)
    assert not any(name in str(caught.value) for name in LITTER if name != "model.onnx~")
