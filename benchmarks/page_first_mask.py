"""Times the page from the click on Segment to the mask on the screen: the table of `docs/web.md`.

python -m benchmarks.page_first_mask --patient DIR [--study DIR] [--rounds 5] [--write]

Each time in a fresh page, with every bundle and both variants: one slice of the patient, the patient's folder, and the
study, whose T1s are brought onto FLAIR's grid by their headers, as the page registers nothing. `make web` comes first.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.machine import describe
from benchmarks.page_equal import ROOT, WEB
from benchmarks.page_tables import put_table, table

COLUMNS: Final = ("images", "bundle", "variant", "slices", "opened, s", "first mask, s", "quickest to slowest, s")
TARGET_S: Final = 3.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table with processor and load; the exit code is 1 if one slice takes longer than the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patient", type=Path, required=True, help="a patient's folder of TIFFs")
    parser.add_argument("--study", type=Path, help="folder with flair.nii.gz, t1.nii.gz and t1c.nii.gz")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is timed (default: 5)")
    parser.add_argument("--write", action="store_true", help="also put the table into docs/web.md")
    asked = parser.parse_args(arguments)
    rows, missed, loads = [], 0, [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(prefix="brainseg-page-") as made:
        for what, path in _images(asked.patient.resolve(), asked.study, Path(made)):
            for manifest in sorted((ROOT / "models").glob("*/manifest.json")):
                for variant in ("fp32", "int8"):
                    found = timed(manifest.parent, variant, path, asked.rounds)
                    loads.append(os.getloadavg()[0])
                    first = [each["first"] for each in found]
                    missed += what == "one slice" and median(first) > TARGET_S
                    rows.append(_row(what, manifest.parent.name, variant, found))
                    sys.stderr.write(" ".join(rows[-1]) + "\n")
    machine = describe()
    made_on = (
        f"{machine['processor']}, {machine['cores']} cores, load {min(loads):.1f} to {max(loads):.1f}; "
        f"median of {asked.rounds}, each in a fresh page."
    )
    text = f"{table(COLUMNS, rows)}\n\n{made_on}"
    sys.stdout.write(f"{text}\n")
    if asked.write:
        put_table(ROOT / "docs" / "web.md", "first-mask", text)
    return int(missed > 0)


def timed(bundle: Path, variant: str, path: Path, rounds: int) -> list[dict[str, Any]]:
    """What the page took each time: seconds by step, slices, and the volume that it wrote.

    Raises:
        RuntimeError: The page failed.
    """
    jobs = [{"model": str(bundle), "variant": variant, "path": str(path), "folder": path.is_dir()}] * rounds
    command = [node_program(), "tests/first_mask.mjs", json.dumps(jobs)]
    done = subprocess.run(command, cwd=WEB, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the page failed: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def node_program() -> str:
    """Where Node.js is."""
    node = shutil.which("node")
    if node is None:
        raise SystemExit("Node.js is needed: 20.19 or newer")
    return node


def _images(patient: Path, study: Path | None, made: Path) -> list[tuple[str, Path]]:
    """What is opened, by what it is called."""
    slices = sorted(path for path in patient.glob("*.tif") if not path.stem.endswith("_mask"))
    if not slices:
        raise SystemExit(f"{patient}: expected TIFF slices, got none; name a patient's folder by --patient")
    found = [("one slice", slices[len(slices) // 2]), ("a patient's folder", patient)]
    return found if study is None else [*found, ("a study", on_one_grid(study, made / "study"))]


def on_one_grid(study: Path, target: Path) -> Path:
    """A study's series on FLAIR's grid, by their headers alone, linear, 16 bits."""
    sitk: Any = importlib.import_module("SimpleITK")
    target.mkdir(parents=True)
    flair = sitk.ReadImage(str(study / "flair.nii.gz"), sitk.sitkFloat32)
    for name in ("t1", "flair", "t1c"):
        series = sitk.ReadImage(str(study / f"{name}.nii.gz"), sitk.sitkFloat32)
        placed = sitk.Resample(series, flair, sitk.Transform(), sitk.sitkLinear)
        sitk.WriteImage(sitk.Cast(sitk.Round(placed), sitk.sitkInt16), str(target / f"{name}.nii.gz"))
    return target


def _row(what: str, bundle: str, variant: str, found: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    first = sorted(each["first"] for each in found)
    opened = median(each["model"] + each["images"] for each in found)
    span = f"{first[0]:.2f} to {first[-1]:.2f}"
    return (what, f"`{bundle}`", variant, str(found[0]["slices"]), f"{opened:.2f}", f"**{median(first):.2f}**", span)


if __name__ == "__main__":
    raise SystemExit(main())
