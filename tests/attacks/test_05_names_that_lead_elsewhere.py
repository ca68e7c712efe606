"""Attack 5: names and links that lead out of the bundle, or that a file system reads as another."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.victim import accepted
from tests.runtime.tiny import TINY, copy_tiny, edit_manifest

SECRET = b"outside"
NAMES = (
    "../outside", "..\\outside", "/etc/passwd", "C:\\outside", "C:outside", "\\\\host\\share", "a/b", "a\\b", "..", ".",
    "", " ", ".hidden", "model.onnx.", "model.onnx ", "model.onnx:stream", "con", "NUL", "aux.onnx", "com1.txt", "-rf",
    "~", "$HOME", "%TEMP%", "model\u202eonnx", "mode\u0301l.onnx", "model.onnx\n", "a" * 65, "MODEL.ONNX",
    "manifest.json", "Manifest.JSON", "model.sig", "file:///etc/passwd",
)  # fmt: skip


def entry(data: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


@pytest.mark.parametrize("name", NAMES)
def test_no_such_name_is_followed(tmp_path: Path, name: str) -> None:
    bundle = copy_tiny(tmp_path)
    (tmp_path / "outside").write_bytes(SECRET)
    edit_manifest(bundle, lambda value: value["files"].update({name: entry(SECRET)}))
    assert accepted(bundle) is None


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "NUL"])
def test_no_variant_or_golden_file_leads_elsewhere(tmp_path: Path, name: str) -> None:
    bundle = copy_tiny(tmp_path)
    edit_manifest(bundle, lambda value: value["variants"]["fp32"].update(file=name))
    assert accepted(bundle) is None
    edit_manifest(bundle, lambda value: value.update(golden=name))
    assert accepted(bundle) is None


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
@pytest.mark.parametrize("name", [path.name for path in sorted(TINY.iterdir())])
def test_no_link_is_followed_even_to_the_right_bytes(tmp_path: Path, name: str) -> None:
    bundle = copy_tiny(tmp_path)
    (bundle / name).rename(tmp_path / name)
    (bundle / name).symlink_to(tmp_path / name)
    assert accepted(bundle) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_that_never_answers_is_refused_at_once(tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    (bundle / "model.onnx").unlink()
    os.mkfifo(bundle / "model.onnx")
    assert accepted(bundle) is None


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no endless file")
def test_a_file_without_end_is_refused_at_once(tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    (bundle / "model.onnx").unlink()
    (bundle / "model.onnx").symlink_to("/dev/zero")
    assert accepted(bundle) is None


def test_a_file_that_grew_to_gigabytes_is_refused_without_reading_it(tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    with (bundle / "model.onnx").open("r+b") as file:
        file.truncate(8 << 30)  # sparse: takes no room
    assert accepted(bundle) is None
