"""A workstation's install of the runtime wheel, from nothing, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.packaging.conftest import Wheel

ROOT = Path(__file__).resolve().parents[2]
NEEDS_OF_ONNXRUNTIME = {"flatbuffers", "packaging", "protobuf"}
BIN = "Scripts" if os.name == "nt" else "bin"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workstation(runtime_wheel: Wheel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts folder of an environment that holds the runtime wheel without extras."""
    home = tmp_path_factory.mktemp("workstation")
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    python = home / BIN / "python"
    install = [str(python), "-m", "pip", "install", "-qq", "-c", str(ROOT / "constraints.txt"), str(runtime_wheel.path)]
    subprocess.run(install, check=True)
    return home / BIN


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT / "tests")


def test_the_install_is_numpy_and_onnxruntime_and_what_they_need(workstation: Path) -> None:
    listed = _run([str(workstation / "python"), "-m", "pip", "list", "--format", "json"])
    names = {item["name"].lower() for item in json.loads(listed.stdout)} - {"pip", "setuptools", "wheel"}
    assert names - NEEDS_OF_ONNXRUNTIME == {"brainseg-runtime", "numpy", "onnxruntime"}


def test_the_library_imports_without_extras(workstation: Path) -> None:
    done = _run([str(workstation / "python"), "-W", "error", "-c", "from brainseg_runtime import Segmenter"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_command_without_its_extra_exits_1_and_names_the_extra(workstation: Path) -> None:
    done = _run([str(workstation / "brainseg"), "doctor"])
    assert done.returncode == 1
    assert "brainseg-runtime[cli]" in done.stderr
    assert "Traceback" not in done.stderr
