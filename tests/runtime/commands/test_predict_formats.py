"""`brainseg predict` on slices as other programs write them: the same masks, and what was assumed is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from brainseg_runtime.images import read_mask
from tests.runtime.command_line import BUNDLE, brainseg
from tests.runtime.made_slices import made_image, made_patient

IMAGE = made_image(3)


def predicted(path: Path, out: Path, *options: str) -> tuple[int, dict[str, Any], str]:
    done = brainseg("predict", BUNDLE, path, "-o", out, *options)
    entry: dict[str, Any] = json.loads((out / "predictions.json").read_text(encoding="utf-8"))["slices"][0]
    return done.code, entry, done.err


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.uint8]:
    """The mask of the slice as the data set has it."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "in").mkdir()
    Image.fromarray(IMAGE).save(folder / "in" / "x.tif")
    code, _, err = predicted(folder / "in" / "x.tif", folder / "out")
    assert code == 0, err
    return read_mask(folder / "out" / "x_mask.tif")


@pytest.mark.parametrize(
    ("kind", "options", "note"),
    [
        ("TIFF", {"compression": "tiff_lzw"}, None),
        ("TIFF", {"compression": "tiff_adobe_deflate"}, None),
        ("TIFF", {"compression": "packbits"}, None),
        ("PNG", {}, "was read as one"),
    ],
)
def test_another_form_gives_the_same_mask_and_says_what_was_assumed(
    tmp_path: Path,
    expected: NDArray[np.uint8],
    kind: str,
    options: dict[str, str],
    note: str | None,
) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(IMAGE).save(tmp_path / "in" / "x.tif", kind, **options)
    code, entry, err = predicted(tmp_path / "in" / "x.tif", tmp_path / "out")
    assert code == 0, err
    assert np.array_equal(read_mask(tmp_path / "out" / "x_mask.tif"), expected)
    assert (
        any(note in warning for warning in entry["warnings"])
        if note
        else not any("read" in w for w in entry["warnings"])
    )
    assert note is None or note in err


def test_grey_fails_with_what_to_do_and_is_flair_alone_where_that_is_said(tmp_path: Path) -> None:
    for name, pixels in (("grey", IMAGE[..., 1]), ("equal", np.repeat(IMAGE[..., 1:2], 3, axis=2))):
        (tmp_path / name).mkdir()
        Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / name / "x.tif")
    code, entry, err = predicted(tmp_path / "grey" / "x.tif", tmp_path / "refused")
    assert code == 1
    assert "--flair-only" in entry["error"]["remedy"]
    assert "--flair-only" in err
    masks = []
    for name in ("grey", "equal"):
        code, entry, err = predicted(tmp_path / name / "x.tif", tmp_path / f"out-{name}", "--flair-only")
        assert code == 0, err
        assert any("FLAIR alone" in warning for warning in entry["warnings"])
        masks.append(read_mask(tmp_path / f"out-{name}" / "x_mask.tif"))
    assert np.array_equal(masks[0], masks[1])


def test_a_colour_slice_is_not_flair_alone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(IMAGE).save(tmp_path / "in" / "x.tif")
    code, entry, _ = predicted(tmp_path / "in" / "x.tif", tmp_path / "out", "--flair-only")
    assert code == 1
    assert "channels differ" in entry["error"]["what"]


def test_a_slice_smaller_than_a_model_takes_fails_and_names_the_limits(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(np.ascontiguousarray(IMAGE[:10, :12])).save(tmp_path / "in" / "x.tif")
    code, entry, _ = predicted(tmp_path / "in" / "x.tif", tmp_path / "out")
    assert code == 1
    assert "16" in str(entry["error"]["expected"])


def test_flair_alone_and_strict_exclude_each_other(tmp_path: Path) -> None:
    """FLAIR in three channels is what --strict refuses, so no slice could pass."""
    folder = made_patient(tmp_path / "TCGA_X_1_19990101", slices=1)
    done = brainseg("predict", BUNDLE, folder, "-o", tmp_path / "out", "--flair-only", "--strict")
    assert done.code == 2
    assert "--strict and --flair-only exclude each other" in done.err
    assert not (tmp_path / "out").exists()
