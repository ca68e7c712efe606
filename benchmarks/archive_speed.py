"""What an archive's engines cost: `python -m benchmarks.archive_speed --source PATIENTS --json FILE`.

In turns over the same patients: a bare loop over one loaded model in this process, the local engine with one worker and
with two, and, with `--ray`, Ray with two. Told are the medians of the ratios, the time to the first row, slices a
second, and the machine's load before and after, without which no ratio of a shared machine can be read.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks.machine import describe
from brainseg_runtime import Segmenter
from brainseg_runtime.archive.engines.engine import Engine
from brainseg_runtime.archive.engines.local import LocalEngine
from brainseg_runtime.archive.finding.references import Reference
from brainseg_runtime.archive.finding.sources import Found, references
from brainseg_runtime.archive.ledger.drive import Drive
from brainseg_runtime.archive.ledger.ledger import Ledger
from brainseg_runtime.archive.working.job import Crew, Job, Settings
from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.contract import DEFAULT_LIMITS
from brainseg_runtime.images import read_image
from brainseg_runtime.images.finder import find
from brainseg_runtime.isolation.messages import LoadRequest

BUNDLE: Final = Path(__file__).resolve().parents[1] / "models" / "resunet"
BARE: Final = "bare loop"


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One way, once."""

    way: str
    seconds: float
    first_seconds: float | None
    slices: int


def main() -> int:
    """Takes the turns and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="patients' folders")
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--provider", default="cpu")
    parser.add_argument("--variant", default="fp32")
    parser.add_argument("--patients", type=int, default=24)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    given = sorted(references(str(asked.source), Found()), key=lambda each: each.name)[: asked.patients]
    load = LoadRequest(
        path=asked.bundle.absolute(),
        digest=open_bundle(asked.bundle).digest,
        provider=asked.provider,
        variant=asked.variant,
        threads=1,
        limits=DEFAULT_LIMITS,
        sealed=True,
        memory_mib=None,
    )
    before = os.getloadavg()
    with ExitStack() as started:
        ways = _ways(load, asked.ray, started)
        turns = [way(given) for _ in range(asked.turns) for way in ways]
    after = os.getloadavg()
    _tell(turns, before, after)
    if asked.json is not None:
        record = {"machine": describe(), "load": [before, after], "turns": [asdict(each) for each in turns]}
        asked.json.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return 0


def _ways(load: LoadRequest, with_ray: bool, started: ExitStack) -> list[Callable[[Sequence[Reference]], Turn]]:
    """Every way; its workers start with its first turn, stay, and end with `started`."""
    segmenter = Segmenter.load(load.path, provider=load.provider, variant=load.variant, threads=1)
    engines: dict[str, Engine] = {f"local, {count}": LocalEngine(Crew(load=load, count=count)) for count in (1, 2)}
    if with_ray:
        from brainseg_runtime.archive.engines.ray_engine import RayEngine

        engines["ray, 2"] = RayEngine(Crew(load=load, count=2))
    for engine in engines.values():
        started.callback(engine.close)
    digest = load.digest or ""
    return [
        lambda given: _bare(segmenter, given),
        *(
            lambda given, way=way, engine=engine: _archived(way, engine, given, digest)
            for way, engine in engines.items()
        ),
    ]


def _bare(segmenter: Segmenter, given: Sequence[Reference]) -> Turn:
    """Read and segment, and nothing else."""
    begun, slices, first = time.perf_counter(), 0, None
    for each in given:
        for one in find(Path(each.paths[0]), pictures=True).folders[0].slices:
            segmenter.predict(read_image(one.image))
            slices += 1
        first = first or time.perf_counter() - begun
    return Turn(way=BARE, seconds=time.perf_counter() - begun, first_seconds=first, slices=slices)


def _archived(way: str, engine: Engine, given: Sequence[Reference], digest: str) -> Turn:
    """The same through an engine, with ledger and rows."""
    with tempfile.TemporaryDirectory(prefix="brainseg-archive-") as out, Ledger(Path(out)) as ledger:
        job = Job(work=ledger.work, bundle=digest, settings=Settings(), deadline=3600.0)
        drive = Drive(ledger, job, retry_failed=False)
        begun = time.perf_counter()
        drive.run(engine, given, cancelled=lambda: False, taken=lambda _: None)
        seconds = time.perf_counter() - begun
    return Turn(way=way, seconds=seconds, first_seconds=drive.first_seconds, slices=drive.slices)


def _tell(turns: Sequence[Turn], before: Sequence[float], after: Sequence[float]) -> None:
    """A table; the first turn of each way starts its workers, and counts for the first row alone."""
    ways = list(dict.fromkeys(each.way for each in turns))
    by_way = {way: [each for each in turns if each.way == way] for way in ways}
    write = sys.stdout.write
    write(f"load {before[0]:.1f} before, {after[0]:.1f} after\n")
    write("| way | slices a second | over the bare loop | against local, 1 | first row, cold | first row, warm |\n")
    write("|---|---|---|---|---|---|\n")
    for way in ways:
        warm = by_way[way][1:] or by_way[way]
        rate = statistics.median(each.slices / each.seconds for each in warm)
        bare = _ratio(warm, by_way[BARE][1:] or by_way[BARE])
        one = _ratio(by_way["local, 1"][1:] or by_way["local, 1"], warm)
        cold, soon = by_way[way][0].first_seconds, statistics.median(each.first_seconds or 0.0 for each in warm)
        write(f"| {way} | {rate:.1f} | {100 * (bare - 1):+.1f} % | {one:.2f} | {cold or 0:.2f} s | {soon:.2f} s |\n")
    write(
        "\nTargets: local, 2 at least 1.7 times local, 1 on two free cores; local, 1 at most 10 % over the bare loop.\n"
    )


def _ratio(above: Sequence[Turn], below: Sequence[Turn]) -> float:
    """Median of the ratios of turns taken beside each other."""
    return statistics.median(one.seconds / other.seconds for one, other in zip(above, below, strict=False))


if __name__ == "__main__":
    sys.exit(main())
