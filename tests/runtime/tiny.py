"""The committed bundle that the runtime's tests load, images for it, and changed copies of it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TINY = Path(__file__).parents[1] / "bundles" / "tiny"


def slice_image(height: int = 40, width: int = 56, seed: int = 0) -> NDArray[np.uint8]:
    """(H, W, 3) like the slices that the bundle was made from: a bright disk on a grey head."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    head = np.hypot((rows - height / 2) / height, (columns - width / 2) / width) < 0.42
    disk = np.hypot(rows - height / 2, columns - width / 2) < 0.15 * min(height, width)
    levels = head[..., None] * np.where(disk[..., None], (90, 185, 135), (70, 75, 75))
    made: NDArray[np.uint8] = (levels + rng.integers(0, 12, (height, width, 3))).astype(np.uint8)
    return made


def copy_tiny(folder: Path, name: str = "bundle") -> Path:
    """A copy of the bundle that a test may change."""
    return Path(shutil.copytree(TINY, folder / name))


def edit_manifest(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest's JSON in place."""
    path = bundle / "manifest.json"
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


def replace_file(bundle: Path, name: str, data: bytes) -> None:
    """Put other bytes under a listed name and list them: a bundle that is whole, and made by somebody else."""
    (bundle / name).write_bytes(data)
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    edit_manifest(bundle, lambda value: value["files"].update({name: entry}))


def digest_of(bundle: Path) -> str:
    """The bundle's digest, by the rule that the documents state."""
    return hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
