"""Both wheels, built once a session from the sources as they stand."""

from __future__ import annotations

import email
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from email.message import Message

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Wheel:
    """A built wheel, read."""

    path: Path
    files: dict[str, bytes]

    @property
    def metadata(self) -> Message:
        return email.message_from_bytes(self.dist_info("METADATA"))

    def dist_info(self, name: str) -> bytes:
        return next(data for path, data in self.files.items() if path.endswith(f".dist-info/{name}"))


def _build(project: Path, out: Path) -> Wheel:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(project)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    path = next(out.glob("*.whl"))
    with zipfile.ZipFile(path) as archive:
        return Wheel(path, {name: archive.read(name) for name in archive.namelist()})


@pytest.fixture(scope="session")
def whole_wheel(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    """`brainseg`: the three packages."""
    return _build(ROOT, tmp_path_factory.mktemp("brainseg"))


@pytest.fixture(scope="session")
def runtime_wheel(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    """`brainseg-runtime`: what a workstation receives."""
    return _build(ROOT / "runtime", tmp_path_factory.mktemp("brainseg-runtime"))
