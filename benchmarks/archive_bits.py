"""The same bits on every engine: `python -m benchmarks.archive_bits --source PATIENTS --slices 2000`.

The rows of one process, of the local engine and, with `--ray`, of Ray are compared over the same patients: every column
but times and attempts, the masks' digests among them. Ends with 1 if one differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.archive_speed import BUNDLE
from brainseg_runtime import Segmenter
from brainseg_runtime.archive.engines.engine import Engine
from brainseg_runtime.archive.engines.local import LocalEngine
from brainseg_runtime.archive.finding.references import Reference
from brainseg_runtime.archive.finding.sources import Found, references
from brainseg_runtime.archive.ledger.drive import Drive
from brainseg_runtime.archive.ledger.ledger import Ledger
from brainseg_runtime.archive.working.job import Crew, Job, Settings
from brainseg_runtime.archive.working.rows import Row
from brainseg_runtime.archive.working.work import taken
from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.contract import DEFAULT_LIMITS
from brainseg_runtime.isolation.messages import LoadRequest
from brainseg_runtime.safe_io.typed_json import to_json


def main() -> int:
    """Compares, and tells the digest of all rows of each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--slices", type=int, default=2000)
    parser.add_argument("--providers", default="cpu,openvino")
    parser.add_argument("--variant", default="int8")
    parser.add_argument("--ray", action="store_true")
    asked = parser.parse_args()
    given: list[Reference] = []
    count = 0
    for each in sorted(references(str(asked.source), Found()), key=lambda reference: reference.name):
        if count >= asked.slices:
            break
        given.append(each)
        count += sum("_mask" not in path.name for path in Path(each.paths[0]).iterdir())
    differing = 0
    for provider in asked.providers.split(","):
        load = LoadRequest(
            path=asked.bundle.absolute(),
            digest=open_bundle(asked.bundle).digest,
            provider=provider,
            variant=asked.variant,
            threads=1,
            limits=DEFAULT_LIMITS,
            sealed=True,
            memory_mib=None,
        )
        digests = {
            "one process": _alone(load, given),
            "local, 2": _through(LocalEngine(Crew(load=load, count=2)), load, given),
        }
        if asked.ray:
            from brainseg_runtime.archive.engines.ray_engine import RayEngine

            digests["ray, 2"] = _through(RayEngine(Crew(load=load, count=2)), load, given)
        for way, digest in digests.items():
            sys.stdout.write(f"{provider} {asked.variant}, {count} slices of {len(given)} patients, {way}: {digest}\n")
        differing += len(set(digests.values())) > 1
    return int(differing > 0)


def _alone(load: LoadRequest, given: Sequence[Reference]) -> str:
    """The rows that this process gives."""
    segmenter = Segmenter.load(load.path, provider=load.provider, variant=load.variant, threads=1)
    with tempfile.TemporaryDirectory() as out, Ledger(Path(out)) as ledger:
        job = Job(work=ledger.work, bundle=load.digest or "", settings=Settings(), deadline=3600.0)
        return _digest([row for each in given for row in taken(segmenter, each, job).rows])


def _through(engine: Engine, load: LoadRequest, given: Sequence[Reference]) -> str:
    """The rows that an engine gives."""
    with tempfile.TemporaryDirectory() as out, Ledger(Path(out)) as ledger:
        job = Job(work=ledger.work, bundle=load.digest or "", settings=Settings(), deadline=3600.0)
        Drive(ledger, job, retry_failed=False).run(engine, given, cancelled=lambda: False, taken=lambda _: None)
        engine.close()
        return _digest(list(ledger.rows()))


def _digest(rows: Sequence[Row]) -> str:
    """Digest of rows, without what differs from run to run."""
    plain = [to_json(replace(row, seconds=0.0, attempts=1)) for row in sorted(rows, key=lambda row: row.source)]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
