"""Kills processes of a training by two hosts and compares its bytes: `python -m benchmarks.training_hosts`.

The hosts are network namespaces of this machine with a common folder; making them takes root on Linux.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from brainseg_train.phantom.patients import write_phantom
from tests.train.launches import Launch, Rendezvous, digests
from tests.train.network_hosts import Host, two_hosts


@dataclass(frozen=True)
class Outcome:
    """What became of one training.

    Attributes:
        scenario: What was killed.
        kills: How many processes.
        codes: Exit codes of the two agents that ended last.
        studies: Studies in the folder of runs; one is right.
        equal: Whether weights and last state are, byte for byte, those of the training without kills.
        seconds: From start to end.
    """

    scenario: str
    kills: int
    codes: list[int]
    studies: int
    equal: bool
    seconds: float


def rank(launch: Launch, draw: random.Random, kills: int, ranks: tuple[int, ...]) -> int:
    """Kill workers, each some time after the launch has saved another state."""
    for number in range(kills):
        launch.wait_for_steps(launch.steps() + 3)
        time.sleep(draw.random() * 0.3)
        launch.kill_worker(ranks[number % len(ranks)])
    return kills


def saving(launch: Launch, kills: int) -> int:
    """Kill rank 0 as soon as the file of a new state appears, finished or not."""
    for _ in range(kills):
        launch.wait_for_steps(launch.steps() + 3)
        (run,) = [path.parent for path in launch.runs.glob("*/run.json")]
        before = set(run.iterdir())
        while not any("resume" in path.name for path in set(run.iterdir()) - before):
            time.sleep(0.0005)
        launch.kill_worker(0)
    return kills


def agent(launch: Launch, side: int) -> int:
    """Kill one host's agent, end the other's as Ctrl-C does, and start both again."""
    launch.wait_for_steps(3)
    launch.agents[side].send_signal(signal.SIGKILL)
    if side == 1:  # with the first host's agent the store is gone, and the other ends by itself
        launch.agents[0].terminate()
    launch.agents[1 - side].wait(300)
    for each in (0, 1):
        launch.start(each, "--resume")
    return 1


def main() -> int:
    """Prints a table, and says whether every training ended in the same bytes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--kills", type=int, default=5, help="in the scenario of many kills")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="scenarios whose name holds this")
    parser.add_argument("--json", type=Path, help="gets the outcomes")
    asked = parser.parse_args()
    draw = random.Random(asked.seed)  # noqa: S311 - moments to kill at
    many = max(asked.kills, 1)
    scenarios: dict[str, tuple[Rendezvous, Callable[[Launch], int]]] = {
        "nothing": ("c10d", lambda _: 0),
        "rank 1, once": ("c10d", lambda launch: rank(launch, draw, 1, (1,))),
        "rank 0, then rank 1": ("c10d", lambda launch: rank(launch, draw, 2, (0, 1))),
        f"either rank, {many} times": ("c10d", lambda launch: rank(launch, draw, many, (1, 0, 0))),
        "rank 0 while it saves, twice": ("c10d", lambda launch: saving(launch, 2)),
        "agent of the second host": ("c10d", lambda launch: agent(launch, 1)),
        "agent of the first host": ("c10d", lambda launch: agent(launch, 0)),
        "rank 1, once, --master-addr": ("static", lambda launch: rank(launch, draw, 1, (1,))),
    }
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="brainseg-hosts-") as temporary, two_hosts() as hosts:
        folder = Path(temporary)
        write_phantom(folder / "patients", patients=20, seed=3, slices=(5, 6), side=64)
        calm: dict[str, str] = {}
        for number, (name, (rendezvous, hurt)) in enumerate(scenarios.items()):
            if number and asked.only and asked.only not in name:
                continue
            launch = _launch(folder, number, hosts, rendezvous, asked.epochs, restarts=2 * many + 4)
            outcome = _carry_out(name, launch, hurt, calm)
            calm = calm or digests(launch.runs)
            outcomes.append(outcome)
            _say(
                f"| {outcome.scenario} | {outcome.kills} | {outcome.codes} | {outcome.studies} | "
                f"{'equal' if outcome.equal else 'DIFFERENT'} | {outcome.seconds:.0f} s |"
            )
    if asked.json is not None:
        asked.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1), encoding="utf-8")
    return 0 if all(outcome.equal and outcome.codes == [0, 0] for outcome in outcomes) else 1


def _launch(
    folder: Path, number: int, hosts: tuple[Host, Host], rendezvous: Rendezvous, epochs: int, *, restarts: int
) -> Launch:
    where = folder / f"runs{number}"
    data, cache = folder / "patients", folder / "cache"
    return Launch(hosts, data, where, cache, epochs=epochs, restarts=restarts, rendezvous=rendezvous)


def _carry_out(name: str, launch: Launch, hurt: Callable[[Launch], int], calm: dict[str, str]) -> Outcome:
    begun = time.monotonic()
    try:
        for side in (0, 1):
            launch.start(side)
        kills = hurt(launch)
        codes = launch.wait()
    finally:
        launch.end()
    if codes != [0, 0]:
        _say("\n".join(launch.log(side).read_text(encoding="utf-8")[-3000:] for side in (0, 1)))
    studies = len(list((launch.runs / "studies").iterdir()))
    found = digests(launch.runs)
    return Outcome(name, kills, codes, studies, not calm or found == calm, time.monotonic() - begun)


def _say(text: str) -> None:
    """A line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
