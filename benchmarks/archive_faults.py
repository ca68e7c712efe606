"""Faults of Ray's actors and machines: `python -m benchmarks.archive_faults --kills 20`.

Made patients go through the Ray engine on a cluster of two nodes of this machine (Ray's cluster utility). Actors are
killed at random, then a whole node is removed. Told are kills, rows, and what does not add up: each patient must have
one row, equal to that of one process, or a failed one that says why. Ends with 1 if one does not.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from brainseg_runtime import Segmenter
from brainseg_runtime.archive.engines.ray_engine import RayEngine, environment
from brainseg_runtime.archive.finding.references import Reference
from brainseg_runtime.archive.ledger.drive import Drive
from brainseg_runtime.archive.ledger.ledger import Ledger
from brainseg_runtime.archive.working.work import taken
from tests.runtime.archive.made_archive import crew_of, job_of, made_source, plain, references_of
from tests.runtime.command_line import BUNDLE


def main() -> int:
    """Kills, and compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--slices", type=int, default=24)
    asked = parser.parse_args()
    os.environ.update(environment())  # every node of this cluster is on this machine
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory(prefix="brainseg-faults-") as folder:
        root = made_source(Path(folder) / "data", patients=asked.patients, slices=asked.slices)
        cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 1,
                "object_store_memory": 80 << 20,
                "include_dashboard": False,
                "node_ip_address": "127.0.0.1",
            },
        )
        second = cluster.add_node(num_cpus=1, object_store_memory=80 << 20, node_ip_address="127.0.0.1")
        cluster.wait_for_nodes()
        faults = _Faults(cluster, second, asked.kills)
        engine = RayEngine(replace(crew_of(2), address=cluster.address))
        with Ledger(Path(folder) / "out") as ledger:
            drive = Drive(ledger, job_of(ledger), retry_failed=False)
            faults.start()
            drive.run(engine, references_of(root), cancelled=lambda: False, taken=lambda _: None)
            faults.stop()
            rows = plain(ledger.rows())
        engine.close()
        cluster.shutdown()
        differing = [name for name, row in _alone(root, Path(folder) / "alone") if rows.get(name) != row]
        failed = [name for name in differing if name in rows and rows[name].status == "failed"]
    sys.stdout.write(
        f"{faults.kills} actors killed, {faults.nodes} of 2 nodes lost; "
        f"{asked.patients} patients in, {len(rows)} rows, "
        f"{len(failed)} of them given up, {len(differing) - len(failed)} missing or different\n"
    )
    return int(len(rows) != asked.patients or len(differing) > len(failed))


def _alone(root: Path, out: Path) -> Iterator[tuple[str, Any]]:
    """The rows of this process."""
    segmenter = Segmenter.load(BUNDLE, provider="cpu", variant="fp32", threads=1)
    with Ledger(out) as ledger:
        job = job_of(ledger)
        given: list[Reference] = references_of(root)
        yield from plain(row for each in given for row in taken(segmenter, each, job).rows).items()


class _Faults:
    """Kills actors now and then, and removes a node once half of the kills are done."""

    def __init__(self, cluster: Any, second: Any, most: int) -> None:  # noqa: ANN401 - Ray's own, untyped
        self._cluster, self._second, self._most = cluster, second, most
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.kills = self.nodes = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        rng = random.Random(0)  # noqa: S311 - when kills fall, not a secret
        seen: set[int] = set()
        while self.kills < self._most and not self._over.wait(rng.uniform(0.05, 0.5)):
            fresh = [pid for pid in actors() if pid not in seen]
            if not fresh:
                continue
            pid = rng.choice(fresh)
            seen.add(pid)
            os.kill(pid, signal.SIGKILL)
            self.kills += 1
            if self.kills == max(1, self._most // 2) and not self.nodes:
                self._cluster.remove_node(self._second, allow_graceful=False)
                self.nodes = 1


def actors() -> list[int]:
    """Processes of actors that hold a model, by the name that Ray gives them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes()
        except OSError:
            continue
        if text.startswith(b"ray::") and b"Worker" in text:
            found.append(int(path.parent.name))
    return found


if __name__ == "__main__":
    sys.exit(main())
