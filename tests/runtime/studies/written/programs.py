"""Second readers of what is written: dcmqi, dciodvfy and dcmtk, as programs, and SimpleITK."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from brainseg_runtime.studies.geometry import Grid


def program(name: str, *arguments: object) -> str:
    """What a program says, once it has ended well; skips the test if it is not installed."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: Debian's dicom3tools and dcmtk, and dcmqi from PyPI")
    done = subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, check=False, errors="replace")
    assert done.returncode == 0 or name == "dciodvfy", done.stdout + done.stderr
    return done.stdout + done.stderr


def errors(path: Path) -> list[str]:
    """What dciodvfy calls an error in a DICOM file."""
    return [line for line in program("dciodvfy", "-new", path).splitlines() if line.startswith("Error")]


def by_dcmqi(seg: Path, folder: Path) -> tuple[NDArray[np.uint8], Grid]:
    """The first segment of a SEG as dcmqi takes it out of the file, and where it puts it."""
    folder.mkdir()
    program("segimage2itkimage", "--inputDICOM", seg, "--outputDirectory", folder, "-t", "nrrd")
    return from_itk(SimpleITK.ReadImage(str(folder / "1.nrrd")))


def from_itk(image: Any) -> tuple[NDArray[Any], Grid]:  # noqa: ANN401 - SimpleITK has no types
    """Voxels (K, R, C) and grid of an ITK image, whose coordinates are LPS as well."""
    voxels = SimpleITK.GetArrayFromImage(image)
    columns = np.array(image.GetDirection()).reshape(3, 3).T  # row i: direction of ITK's axis i
    grid = Grid(
        shape=voxels.shape,
        spacing=tuple(image.GetSpacing()[::-1]),
        directions=np.asarray(columns[::-1], np.float64),
        origin=np.array(image.GetOrigin()),
    )
    return voxels, grid


def marked(mask: NDArray[Any], grid: Grid) -> NDArray[np.float64]:
    """(M, 3) sorted positions of a mask's voxels, LPS mm, to compare masks whatever their axes."""
    positions = grid.positions(np.argwhere(mask)).round(2) + 0.0
    return np.asarray(positions[np.lexsort(positions.T)], np.float64)
