"""Compares the page's masks of real slices with Python's, every bundle and variant: the table of `docs/web.md`.

python -m benchmarks.page_equal --patients DIR [--slices 90] [--write]

Each patient's folder gives slices in turn, with and without tumour, so that 90 slices come from 90 patients. The page
runs in Chromium and reads the same files; its pixels must be Python's before masks are compared.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.page_tables import put_table, table
from brainseg_runtime import Segmenter
from brainseg_runtime.images.slices import decode_image
from tests.web.core.core_page import CorePage, files, folder

ROOT: Final = Path(__file__).resolve().parents[1]
WEB: Final = ROOT / "web"
COLUMNS: Final = ("bundle", "variant", "slices", "pixels", "marked", "different", "equal", "largest difference of p")


@dataclass(kw_only=True, slots=True)
class Compared:
    """Sums over the slices of one variant of one bundle."""

    slices: int = 0
    pixels: int = 0
    marked: int = 0
    """Pixels of Python's masks."""
    different: int = 0
    apart: float = 0.0
    """Largest difference of a probability."""

    @property
    def equal(self) -> float:
        """Share of pixels that both answer alike, 0 to 1."""
        return 1 - self.different / max(1, self.pixels)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; the exit code is 1 if a variant misses its target: no pixel in fp32, 1 in 10,000 in int8."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=Path, required=True, help="folder of patients' folders of TIFFs")
    parser.add_argument("--slices", type=int, default=90, help="how many slices (default: 90)")
    parser.add_argument("--write", action="store_true", help="also put the table into docs/web.md")
    asked = parser.parse_args(arguments)
    paths = spread(asked.patients, asked.slices)
    rows, missed = [], 0
    with core_page() as page:
        for manifest in sorted((ROOT / "models").glob("*/manifest.json")):
            for variant in ("fp32", "int8"):
                found = compare(page, manifest.parent, variant, paths)
                missed += found.equal < (1.0 if variant == "fp32" else 0.9999)
                rows.append(_row(manifest.parent.name, variant, found))
                sys.stderr.write(" ".join(rows[-1]) + "\n")
    made = table(COLUMNS, rows)
    sys.stdout.write(f"{made}\n")
    if asked.write:
        put_table(ROOT / "docs" / "web.md", "equal", made)
    return int(missed > 0)


def spread(patients: Path, count: int) -> list[Path]:
    """So many slices, one of each patient in turn, from the middle of a volume outwards."""
    volumes = [_slices(each) for each in sorted(patients.iterdir()) if each.is_dir()]
    volumes = [each for each in volumes if each]
    if not volumes:
        raise SystemExit(f"{patients}: expected folders of TIFF slices, got none; name the set's folder by --patients")
    found: list[Path] = []
    turn = 0
    while len(found) < count and turn < max(map(len, volumes)):
        # 7 steps through a volume's length, so that the slices of a first turn lie at every height of the head.
        found += [paths[(len(paths) // 2 + turn + 7 * at) % len(paths)] for at, paths in enumerate(volumes)]
        turn += 1
    return found[:count]


def _slices(patient: Path) -> list[Path]:
    paths = [path for path in patient.glob("*.tif") if not path.stem.endswith("_mask")]
    return sorted(paths, key=lambda path: int(path.stem.rpartition("_")[2]))


def compare(page: CorePage, bundle: Path, variant: str, paths: Sequence[Path]) -> Compared:
    """Both answers to every slice.

    Raises:
        RuntimeError: The page refuses a slice or reads other pixels than Python does.
    """
    model = Segmenter.load(bundle, provider="cpu", variant=variant)
    found = Compared()
    for path in paths:
        pixels = decode_image(path.read_bytes(), path.name).pixels
        expected = model.predict(pixels)
        save = {name: name for name in ("mask", "pixels", "probability")}
        answer = page.ask("segment", bundle=folder(bundle), variant=variant, files=files([path]), save=save)
        if "fault" in answer or not np.array_equal(page.values("pixels", "u1", *pixels.shape), pixels):
            raise RuntimeError(f"the page did not read a slice as Python does: {answer.get('fault', 'other pixels')}")
        probability = page.values("probability", "<f4", *expected.mask.shape)
        found.slices += 1
        found.pixels += expected.mask.size
        found.marked += int(expected.mask.sum())
        found.different += int((page.values("mask", "u1", *expected.mask.shape) != expected.mask).sum())
        found.apart = max(found.apart, float(np.abs(probability - expected.probability).max()))
    return found


@contextmanager
def core_page() -> Iterator[CorePage]:
    """The page's core, built into a temporary folder, in Chromium.

    Raises:
        SystemExit: Node.js, its packages or Chromium is missing.
    """
    node, chromium = shutil.which("node"), os.environ.get("BRAINSEG_CHROMIUM") or shutil.which("chromium")
    if node is None or chromium is None or not (WEB / "node_modules" / "vite").is_dir():
        raise SystemExit("Node.js, Chromium and the page's packages are needed: `npm ci` in web/")
    with tempfile.TemporaryDirectory(prefix="brainseg-page-") as made:
        build, results = Path(made) / "build", Path(made) / "results"
        results.mkdir()
        vite = [node, "node_modules/vite/bin/vite.js", "build", "--mode", "core", "--logLevel", "warn"]
        subprocess.run([*vite, "--outDir", str(build)], cwd=WEB, check=True)
        page = CorePage(node, chromium, WEB, build, results)
        try:
            yield page
        finally:
            page.close()


def _row(bundle: str, variant: str, found: Compared) -> tuple[str, ...]:
    figures = (f"{value:,}" for value in (found.slices, found.pixels, found.marked, found.different))
    return (f"`{bundle}`", variant, *figures, f"{found.equal:.5%}", f"{found.apart:.1e}")


if __name__ == "__main__":
    raise SystemExit(main())
