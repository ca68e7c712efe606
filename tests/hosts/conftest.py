"""What the tests of every host share: bundles, their golden cases as raw bytes, and raw slices."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.images import read_image
from brainseg_runtime.installation.golden_files import write_golden
from tests.hosts.host import ROOT
from tests.runtime.tiny import TINY, slice_image

pytest.register_assert_rewrite("tests.hosts.contract")

BUNDLES = {path.name: path for path in sorted((ROOT / "models").iterdir()) if (path / "manifest.json").is_file()}
"""The bundles that are shipped, by name."""


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Makes the golden cases of a bundle, once a session, and gives their folder."""
    made: dict[Path, Path] = {}

    def folder(bundle: Path) -> Path:
        if bundle not in made:
            made[bundle] = tmp_path_factory.mktemp("golden") / bundle.name
            write_golden(open_bundle(bundle), made[bundle])
        return made[bundle]

    return folder


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A small bundle that a test may damage."""
    return Path(shutil.copytree(TINY, tmp_path / "tiny"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB; skips where this user may not mount one."""
    mount = shutil.which("mount")
    if mount is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("no file system can be mounted: run the tests as root on Linux")
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)  # noqa: S607 - beside mount


@pytest.fixture(params=list(BUNDLES.values()), ids=list(BUNDLES))
def shipped(request: pytest.FixtureRequest) -> Path:
    """Each of the shipped bundles."""
    path: Path = request.param
    return path


@pytest.fixture(scope="session")
def raw_slices(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[int, int, int]]:
    """A file of generated slices as raw bytes, and (N, H, W); height and width differ, as hosts may confuse them."""
    slices = np.stack([slice_image(96, 160, seed) for seed in range(2)])
    path = tmp_path_factory.mktemp("raw") / "slices.u8"
    path.write_bytes(slices.tobytes())
    return path, slices.shape[:3]


@pytest.fixture(scope="session")
def real_slice(real_patients: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[int, int, int]]:
    """The middle slice of a real patient as raw bytes, and (1, H, W)."""
    patient = min(path for path in real_patients.iterdir() if path.is_dir())
    found = sorted(path for path in patient.glob("*.tif") if not path.stem.endswith("_mask"))
    image = read_image(found[len(found) // 2])
    path = tmp_path_factory.mktemp("raw") / "real.u8"
    path.write_bytes(image.tobytes())
    return path, (1, image.shape[0], image.shape[1])
