"""A node under steady load: `python -m benchmarks.node_soak --minutes 60`; the slope of its memory, studies in and out.

Made studies, each another patient, are sent to a node as long as asked, at most `--queue` waiting at a time; then it
may finish. Counted are studies sent and studies whose SEG and SR arrived; measured are the resident memory of the node
and of its worker, their open files and threads, and the time from the last image accepted to the SEG's arrival.
`--json` gets every sample, `--svg` the curve of the memory.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from benchmarks.curves import curve
from tests.runtime.node.kills import ATTEMPTS, Modality, made_images
from tests.runtime.node.node_process import NodeProcess, moment, settings
from tests.runtime.node.pacs import HOST, free_port
from tests.runtime.node.sending.peers import archive

WARM_UP: Final = 0.25
"""Part of the time that does not count for the slope."""


@dataclass(kw_only=True)
class Soak:
    """What was counted and measured.

    Attributes:
        minutes: How long studies were sent.
        sent: Studies sent.
        returned: Studies whose SEG and SR both arrived.
        quarantined: Studies given up.
        studies_per_hour: Returned, over the time from the first image to the last SEG.
        image_to_seg_seconds: Median from a study's last image to its SEG's acceptance, s.
        node_slope_mib: The node's memory, MiB an hour after warm-up.
        node_slope_error_mib: Standard error of it.
        worker_slope_mib: Its worker's, which is larger within a study than between two.
        worker_slope_error_mib: Standard error of it.
        times: Seconds since the start of each sample.
        node_mib: The node's resident memory at each.
        worker_mib: The worker's.
        files: The node's open files at each.
        threads: Its threads at each.
        queued: Studies that are not done at each.
        load: The machine's load at each, over a minute; others' work too.
    """

    minutes: float
    sent: int = 0
    returned: int = 0
    quarantined: int = 0
    studies_per_hour: float = 0.0
    image_to_seg_seconds: float = 0.0
    node_slope_mib: float = 0.0
    node_slope_error_mib: float = 0.0
    worker_slope_mib: float = 0.0
    worker_slope_error_mib: float = 0.0
    times: list[float] = field(default_factory=list)
    node_mib: list[float] = field(default_factory=list)
    worker_mib: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    queued: list[int] = field(default_factory=list)
    load: list[float] = field(default_factory=list)

    def sample(self, node: NodeProcess, begun: float) -> None:
        """Measures once."""
        started = node.events("worker_started")
        worker = int(started[-1]["pid"]) if started else 0
        self.times.append(time.monotonic() - begun)
        self.node_mib.append(resident_mib(node.pid))
        self.worker_mib.append(resident_mib(worker))
        self.files.append(len(list(Path(f"/proc/{node.pid}/fd").iterdir())))
        self.threads.append(len(list(Path(f"/proc/{node.pid}/task").iterdir())))
        self.queued.append(_open(node))
        self.load.append(os.getloadavg()[0])

    def finish(self) -> None:
        """Fits the slopes."""
        times = np.asarray(self.times)
        warm = times >= times[-1] * WARM_UP
        for name in ("node", "worker"):
            slope, error = _slope(times[warm] / 3600, np.asarray(getattr(self, f"{name}_mib"))[warm])
            setattr(self, f"{name}_slope_mib", slope)
            setattr(self, f"{name}_slope_error_mib", error)

    @property
    def grew(self) -> bool:
        """Whether memory certainly grew by a MiB an hour or more; half an hour is the least that tells."""
        node = self.node_slope_mib - 2 * self.node_slope_error_mib
        worker = self.worker_slope_mib - 2 * self.worker_slope_error_mib
        return self.minutes >= 30 and max(node, worker) >= 1


def _slope(hours: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, float]:
    """Slope of a line through the values, and its standard error; NaN for fewer than four."""
    known = np.isfinite(values)
    if np.count_nonzero(known) < 4:
        return float("nan"), float("nan")
    line, spread = np.polyfit(hours[known], values[known], 1, cov=True)
    return float(line[0]), float(np.sqrt(spread[0, 0]))


def resident_mib(pid: int) -> float:
    """Resident memory of a process that Linux counts, MiB; NaN if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("nan")
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), float("nan"))


def soak(folder: Path, *, minutes: float, queue: int, most: int | None, every: float) -> Soak:
    """Send studies through a node.

    Args:
        folder: Gets the node's state, configuration and log.
        minutes: How long to send.
        queue: Most studies that are not done at a time.
        most: Most studies; None: as many as the time allows.
        every: Pause between samples, s.
    """
    found = Soak(minutes=minutes)
    most_seconds = 600 + 5 * queue
    port = free_port()
    with archive(name="pacs") as pacs:
        send = [{"name": "pacs", "aet": "ARCHIVE", "host": HOST, "port": pacs.destination.port}]
        retention = {"inputs_hours": 0.02, "results_hours": 0.05}
        node = NodeProcess(folder / "node", settings(send=send, dicom={"port": port}, retention=retention))
        node.start()
        modality = Modality(port)
        try:
            begun = time.monotonic()
            next_sample = 0.0
            while time.monotonic() - begun < minutes * 60 and (most is None or found.sent < most):
                if _open(node) < queue:
                    _send(modality, made_images(folder / "studies", found.sent))
                    found.sent += 1
                else:
                    time.sleep(0.2)
                if time.monotonic() - begun >= next_sample:
                    next_sample += every
                    found.sample(node, begun)
            while _open(node) or _unsent(node):
                if time.monotonic() - begun > minutes * 60 + most_seconds:
                    raise RuntimeError(f"{_open(node)} studies and {_unsent(node)} objects are not done")
                time.sleep(0.5)
                if time.monotonic() - begun >= next_sample:
                    next_sample += every
                    found.sample(node, begun)
            seconds = time.monotonic() - begun
            found.sample(node, begun)
            _count(found, node, seconds)
            node.stop()
        finally:
            node.kill()
    found.finish()
    return found


def _send(modality: Modality, images: Sequence[Dataset]) -> None:
    """Sends a study, again where the machine's disk was busy for longer than the modality waits."""
    modality.accepted.clear()
    for _ in range(ATTEMPTS):
        if modality.send(images):
            return
        time.sleep(1.0)
    raise RuntimeError("the node refused a study")


def _ask(node: NodeProcess, question: str) -> list[tuple[float, ...]]:
    """Asks the node's queue."""
    with closing(sqlite3.connect(f"file:{node.state / 'node.sqlite3'}?mode=ro", uri=True)) as queue:
        return queue.execute(question).fetchall()


def _open(node: NodeProcess) -> int:
    """Studies that are not done with."""
    return int(_ask(node, "SELECT count(*) FROM study WHERE state NOT IN ('done', 'quarantined')")[0][0])


def _unsent(node: NodeProcess) -> int:
    """Objects that are not sent."""
    return int(_ask(node, "SELECT count(*) FROM delivery WHERE state NOT IN ('sent', 'superseded')")[0][0])


def _count(found: Soak, node: NodeProcess, seconds: float) -> None:
    """Reads the audit, a line for each study that ended: retention forgets the studies themselves."""
    lines = [
        json.loads(line) for path in (node.state / "audit").glob("*.jsonl") for line in path.open(encoding="utf-8")
    ]
    done = {each["study"] for each in node.events("study_done")}
    kinds: dict[str, set[str]] = {}
    last: dict[str, float] = {}
    waits = []
    for each in node.events():
        when = moment(each)
        if each["event"] == "image_received":
            last[each["study"]] = when
        elif each["event"] == "delivered":
            kinds.setdefault(each["study"], set()).add(each["kind"])
            if each["kind"] == "seg":
                waits.append(when - last[each["study"]])
    found.returned = len([key for key in done if {"seg", "sr"} <= kinds.get(key, set())])
    found.quarantined = len(node.events("study_quarantined"))
    found.studies_per_hour = found.returned / seconds * 3600
    found.image_to_seg_seconds = statistics.median(waits)
    if len(lines) < found.returned:
        raise RuntimeError(f"the audit has {len(lines)} lines for {found.returned} studies")


def _range(counts: Sequence[int]) -> str:
    """Least and most after warm-up."""
    warm = counts[int(len(counts) * WARM_UP) :]
    return f"{min(warm)} to {max(warm)}"


def main() -> int:
    """Says what was found; 1 if a study was lost, or memory grew by a MiB an hour over half an hour or more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--queue", type=int, default=200)
    parser.add_argument("--studies", type=int, help="most studies; as many as the time allows without it")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between samples of the memory")
    parser.add_argument("--folder", type=Path, help="kept; a temporary one without it")
    parser.add_argument("--json", type=Path, help="gets the figures and the curve")
    parser.add_argument("--svg", type=Path, help="gets the curve as a picture")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="brainseg-soak-") as temporary:
        folder = asked.folder or Path(temporary)
        found = soak(folder, minutes=asked.minutes, queue=asked.queue, most=asked.studies, every=asked.every)
    if asked.json is not None:
        asked.json.write_text(json.dumps(asdict(found), indent=1), encoding="utf-8")
    if asked.svg is not None:
        lines = {"node": found.node_mib, "its worker": found.worker_mib}
        title = f"Resident memory, {found.sent} studies in, {found.returned} out"
        minutes = [seconds / 60 for seconds in found.times]
        asked.svg.write_text(curve(minutes, lines, title=title, unit="MiB", along="minutes"), encoding="utf-8")
    sys.stdout.write(
        f"{found.minutes:g} min: {found.sent} studies in, {found.returned} out, {found.quarantined} quarantined; "
        f"{found.studies_per_hour:.0f} studies an hour; last image to SEG {found.image_to_seg_seconds:.1f} s (median)\n"
        f"memory after warm-up: node {found.node_mib[-1]:.0f} MiB, {found.node_slope_mib:+.2f} MiB an hour "
        f"(standard error {found.node_slope_error_mib:.2f}); worker {found.worker_mib[-1]:.0f} MiB, "
        f"{found.worker_slope_mib:+.2f} MiB an hour (standard error {found.worker_slope_error_mib:.2f})\n"
        f"open files {_range(found.files)}, threads {_range(found.threads)} after warm-up; "
        f"at most {max(found.queued)} studies queued; the machine's load {statistics.mean(found.load):.1f}\n"
    )
    return 1 if found.sent != found.returned or found.grew else 0


if __name__ == "__main__":
    sys.exit(main())
