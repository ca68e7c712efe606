"""Kills a node over receiving, segmenting and sending: `python -m benchmarks.node_kills --kills 100`."""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.runtime.node.archives import KINDS
from tests.runtime.node.kills import PHASES, Kill, kill_repeatedly


def main() -> int:
    """Prints a table, and says whether anything was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--archive", choices=KINDS, default="pynetdicom", help="who gets the results")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=math.inf, help="after so many no further kill is begun")
    parser.add_argument("--folder", type=Path, help="kept; a temporary one without it")
    parser.add_argument("--json", type=Path, help="gets the outcome")
    asked = parser.parse_args()
    begun = time.monotonic()

    def told(kill: Kill) -> None:
        _say(f"{time.monotonic() - begun:7.1f} s  {kill.phase:8} {kill.state:12} +{kill.after:.3f} s")

    with tempfile.TemporaryDirectory(prefix="brainseg-kills-") as temporary:
        folder = asked.folder or Path(temporary)
        outcome = kill_repeatedly(
            folder, asked.kills, archive=asked.archive, seed=asked.seed, seconds=asked.minutes * 60, told=told
        )
    _say("\n| aimed at | kills | the queue held |\n|---|---|---|")
    for phase, states in outcome.table():
        held = ", ".join(f"{state} {count}" for state, count in sorted(states.items()))
        _say(f"| {phase} | {sum(states.values())} | {held} |")
    _say(
        f"\n{len(outcome.kills)} kills in {time.monotonic() - begun:.0f} s over {', '.join(PHASES)}, {asked.archive}: "
        f"{outcome.accepted} images accepted, {len(outcome.lost)} lost; {outcome.revisions} results, "
        f"{outcome.objects} objects at the archive, {len(outcome.doubled)} doubled, {len(outcome.again)} received "
        f"again under their identity, {len(outcome.altered)} with other bytes, {len(outcome.strange)} unknown, "
        f"{len(outcome.unfinished)} unfinished"
    )
    if asked.json is not None:
        asked.json.write_text(json.dumps(asdict(outcome), indent=1), encoding="utf-8")
    faults = [outcome.lost, outcome.doubled, outcome.altered, outcome.strange, outcome.unfinished]
    if asked.archive != "storescp":  # it offers no query, so what is in doubt is sent again
        faults.append(outcome.again)
    return 1 if any(faults) else 0


def _say(text: str) -> None:
    """A line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
