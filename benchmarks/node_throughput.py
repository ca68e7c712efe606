"""Studies an hour, and how long a result takes: `python -m benchmarks.node_throughput --workers 1 2 --studies 60`.

A node gets a burst of made studies, segments them and sends the results to an archive; the rate is of the time from the
first study's claim to the last one's result. The numbers of workers take turns, each with a node of its own and the
same studies, so that whatever else the machine does meets each alike; their ratio is taken within each round of turns.
Then single studies are sent to a node without other work: the time from a study's last image to its SEG's acceptance.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.dataset import Dataset

from tests.runtime.node.kills import Modality
from tests.runtime.node.node_process import NodeProcess, moment, settings
from tests.runtime.node.pacs import HOST, free_port, wait_for
from tests.runtime.node.sending.peers import archive
from tests.studies_made.series import write_study
from tests.studies_made.shapes import axial_grid, made_head
from tests.studies_made.uids import made_uid

RESUNET: Final = Path(__file__).resolve().parents[1] / "models" / "resunet"
HEIGHT_MM: Final = 150.0
SIDE_MM: Final = 240.0
PATIENCE: Final = 600.0
"""Longest wait for a study, s."""


@dataclass(kw_only=True)
class Turn:
    """What one node did.

    Attributes:
        workers: Its workers.
        studies: Studies of the burst.
        per_hour: Studies an hour within it.
        seconds: For each single study, from its last image to its SEG's acceptance, s.
        load: The machine's load over the last minute when the burst ended; others' work too.
    """

    workers: int
    studies: int
    per_hour: float
    seconds: list[float]
    load: float


@dataclass(kw_only=True)
class Throughput:
    """All turns.

    Attributes:
        bundle: The model's name.
        slices: Of each series.
        side: Rows and columns of each slice.
        turns: In their order.
    """

    bundle: str
    slices: int
    side: int
    turns: list[Turn] = field(default_factory=list)

    def of(self, workers: int) -> list[Turn]:
        """The turns of a number of workers."""
        return [each for each in self.turns if each.workers == workers]

    def ratios(self, workers: int, other: int) -> list[float]:
        """Rates of one number of workers relative to another, round by round."""
        return [a.per_hour / b.per_hour for a, b in zip(self.of(workers), self.of(other), strict=True)]


def measure(folder: Path, found: Throughput, bundle: Path, *, workers: int, studies: int, single: int) -> Turn:
    """One turn.

    Args:
        folder: Gets the node's state, configuration and log.
        found: What the studies are like.
        bundle: The model.
        workers: How many.
        studies: Of the burst.
        single: Studies that are sent one by one.
    """
    port = free_port()
    with archive(name="pacs") as pacs:
        send = [{"name": "pacs", "aet": "ARCHIVE", "host": HOST, "port": pacs.destination.port}]
        work: dict[str, Any] = {"workers": workers, "provider": "auto", "variant": "auto", "register": True}
        work["threads"] = max(1, (os.cpu_count() or 1) // workers)
        intake = {"complete_after_associations": 1, "quiet_seconds": 30.0}
        made = settings(send=send, dicom={"port": port}, work=work, intake=intake)
        node = NodeProcess(folder, made, bundle=bundle)
        node.start()
        try:
            wait_for(lambda: len(node.events("worker_started")) == workers, "all workers", seconds=PATIENCE)
            modality = Modality(port)
            for number in range(studies):
                _send(modality, _images(folder / "made", found, number))
            _wait_for_segs(node, studies)
            per_hour = _rate(node)
            load = os.getloadavg()[0]
            for number in range(studies, studies + single):
                _send(modality, _images(folder / "made", found, number))
                _wait_for_segs(node, number + 1)
            seconds = _seconds_to_seg(node)[studies:]
            node.stop()
        finally:
            node.kill()
    return Turn(workers=workers, studies=studies, per_hour=per_hour, seconds=seconds, load=load)


def _images(folder: Path, found: Throughput, number: int) -> list[Dataset]:
    """A study's images; each number is another patient."""
    spacing = (HEIGHT_MM / found.slices, SIDE_MM / found.side, SIDE_MM / found.side)
    grid = axial_grid((found.slices, found.side, found.side), spacing=spacing)
    head = made_head(grid, seed=number)
    tags = {"StudyInstanceUID": made_uid("throughput", number), "PatientID": f"MADE-{number}"}
    place = folder / str(number)
    if not place.exists():
        write_study(place, {role: getattr(head, role) for role in ("pre", "flair", "post")}, grid, tags=tags)
    return [pydicom.dcmread(path) for path in sorted(place.rglob("*.dcm"))]


def _send(modality: Modality, images: Sequence[Dataset]) -> None:
    """Sends a study in one association."""
    modality.accepted.clear()
    if not modality.send(images):
        raise RuntimeError("the node refused a study")


def _wait_for_segs(node: NodeProcess, studies: int) -> None:
    """Waits until the archive has so many SEGs."""
    wait_for(
        lambda: len([each for each in node.events("delivered") if each["kind"] == "seg"]) >= studies,
        f"{studies} results",
        seconds=PATIENCE * studies,
    )


def _rate(node: NodeProcess) -> float:
    """Studies an hour from the first claim to the last result."""
    done = [moment(each) for each in node.events("study_done")]
    return len(done) / (max(done) - moment(node.events("study_claimed")[0])) * 3600


def _seconds_to_seg(node: NodeProcess) -> list[float]:
    """From each study's last image to its SEG's acceptance, in the order of acceptance, s."""
    last = {each["study"]: moment(each) for each in node.events("image_received")}
    segs = [each for each in node.events("delivered") if each["kind"] == "seg"]
    return [moment(each) - last[each["study"]] for each in segs]


def main() -> int:
    """Prints the turns and what they come to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--studies", type=int, default=60, help="of all bursts of a number of workers together")
    parser.add_argument("--turns", type=int, default=3, help="bursts of each number of workers")
    parser.add_argument("--single", type=int, default=3, help="studies sent one by one after each burst")
    parser.add_argument("--bundle", type=Path, default=RESUNET)
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--json", type=Path, help="gets every turn")
    asked = parser.parse_args()
    found = Throughput(bundle=asked.bundle.name, slices=asked.slices, side=asked.side)
    of_a_burst = max(1, asked.studies // asked.turns)
    for number in range(asked.turns):
        for workers in asked.workers:
            with tempfile.TemporaryDirectory(prefix="brainseg-throughput-") as folder:
                turn = measure(
                    Path(folder), found, asked.bundle, workers=workers, studies=of_a_burst, single=asked.single
                )
            found.turns.append(turn)
            _say(
                f"turn {number + 1}: workers {workers}, {turn.per_hour:.0f} studies an hour; last image to SEG "
                f"{statistics.median(turn.seconds):.1f} s; load {turn.load:.1f}"
            )
    for workers in asked.workers:
        turns = found.of(workers)
        seconds = [each for turn in turns for each in turn.seconds]
        _say(
            f"workers {workers}: {statistics.median([each.per_hour for each in turns]):.0f} studies an hour (median), "
            f"last image to SEG {statistics.median(seconds):.1f} s, {min(seconds):.1f} to {max(seconds):.1f}"
        )
    first = asked.workers[0]
    for workers in asked.workers[1:]:
        ratios = found.ratios(workers, first)
        median = statistics.median(ratios)
        _say(f"{workers} workers to {first}: {median:.2f} times, {min(ratios):.2f} to {max(ratios):.2f}")
    if asked.json is not None:
        asked.json.write_text(json.dumps(asdict(found), indent=1), encoding="utf-8")
    return 0


def _say(text: str) -> None:
    """A line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
