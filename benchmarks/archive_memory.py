"""Memory of driver and workers over many slices: `python -m benchmarks.archive_memory --slices 10000 --curve FILE.svg`.

Made patients of 36 slices of 64 x 64 pixels go through the local engine with the small test bundle. After each patient
the resident memory of the driver and of all workers together is read; the slope of each over the last three quarters
is told, in MiB a thousand slices.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

from benchmarks.curves import curve
from brainseg_runtime.archive.engines.local import LocalEngine
from brainseg_runtime.archive.finding.references import Reference
from brainseg_runtime.archive.ledger.drive import Drive
from brainseg_runtime.archive.ledger.ledger import Ledger
from tests.runtime.archive.made_archive import crew_of, job_of

PATIENT = 36
"""Slices of a patient."""


def main() -> int:
    """Tells the slope; fails if it is 1 MiB a thousand slices or more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--curve", type=Path, help="an SVG picture of the memory")
    asked = parser.parse_args()
    samples: list[tuple[int, float, float]] = []
    with tempfile.TemporaryDirectory(prefix="brainseg-memory-") as folder:
        engine = LocalEngine(crew_of(asked.workers))
        with Ledger(Path(folder) / "out") as ledger:
            drive = Drive(ledger, job_of(ledger), retry_failed=False)
            drive.run(
                engine,
                _made(Path(folder) / "data", asked.slices // PATIENT),
                cancelled=lambda: False,
                taken=lambda _: samples.append(
                    (drive.slices, _resident_mib("self"), sum(_resident_mib(str(pid)) for pid in engine.pids))
                ),
            )
        engine.close()
    kept = np.array(samples[len(samples) // 4 :])
    slopes = [float(np.polyfit(kept[:, 0] / 1000, kept[:, column], 1)[0]) for column in (1, 2)]
    sys.stdout.write(
        f"{drive.slices} slices, {drive.counts.n_done} patients: "
        f"driver at {samples[0][1]:.1f} MiB, then {samples[-1][1]:.1f}, {slopes[0]:+.3f} MiB a thousand slices; "
        f"{asked.workers} workers at {samples[0][2]:.1f} MiB, then {samples[-1][2]:.1f}, {slopes[1]:+.3f}; "
        f"target below 1 after warm-up; load {os.getloadavg()[0]:.1f}\n"
    )
    if asked.json is not None:
        asked.json.write_text(json.dumps({"slopes_mib": slopes, "samples": samples}), encoding="utf-8")
    if asked.curve is not None:
        done, *resident = (list(column) for column in zip(*samples, strict=True))
        lines = dict(zip(("driver", f"{asked.workers} workers"), resident, strict=True))
        asked.curve.write_text(
            curve(done, lines, title="Resident memory", unit="MiB", along="slices"), encoding="utf-8"
        )
    return int(max(slopes) >= 1)


def _made(root: Path, patients: int) -> Iterator[Reference]:
    """Patients made as they are asked for; those done long ago are removed."""
    rng = np.random.default_rng(0)
    for number in range(patients):
        folder = root / f"p{number}"
        folder.mkdir(parents=True)
        for index in range(1, PATIENT + 1):
            image = rng.integers(0, 200, (64, 64, 3), dtype=np.uint8)
            tifffile.imwrite(folder / f"p{number}_{index}.tif", image, photometric="rgb")
        yield Reference(name=folder.name, paths=(str(folder),), kind="slices", shallow=(str(folder),))


def _resident_mib(process: str) -> float:
    """A process's resident memory, MiB."""
    with open(f"/proc/{process}/statm", encoding="ascii") as file:  # noqa: PTH123 - not a file on a disk
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


if __name__ == "__main__":
    sys.exit(main())
