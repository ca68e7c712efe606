"""Sources and runs for the archive's tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from brainseg_runtime.archive.finding.references import Reference
from brainseg_runtime.archive.ledger.ledger import Ledger
from brainseg_runtime.archive.working.job import Crew, Job, Settings
from brainseg_runtime.archive.working.rows import Row
from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.contract import DEFAULT_LIMITS
from brainseg_runtime.isolation.messages import LoadRequest
from tests.runtime.command_line import BUNDLE
from tests.runtime.made_slices import made_patient

DIGEST = open_bundle(BUNDLE).digest


def made_source(root: Path, *, patients: int = 4, slices: int = 3) -> Path:
    """Patients' folders whose pixels all differ."""
    for index in range(patients):
        made_patient(root / f"TCGA_DU_{5800 + index}_19950101", slices=slices, seed=100 * index, masks=False)
    return root


def references_of(root: Path) -> list[Reference]:
    """The patients of such a source."""
    return [
        Reference(name=each.name, paths=(str(each),), kind="slices", shallow=(str(each),))
        for each in sorted(root.iterdir())
    ]


def job_of(ledger: Ledger, **settings: Any) -> Job:  # noqa: ANN401 - any of `Settings`
    """What workers do."""
    return Job(work=ledger.work, bundle=DIGEST, settings=Settings(**settings), deadline=120.0)


def crew_of(count: int, *, memory_mib: int | None = None) -> Crew:
    """Workers with the small bundle."""
    load = LoadRequest(
        path=BUNDLE,
        digest=DIGEST,
        provider="cpu",
        variant="fp32",
        threads=1,
        limits=DEFAULT_LIMITS,
        sealed=True,
        memory_mib=memory_mib,
    )
    return Crew(load=load, count=count)


def plain(rows: Iterable[Row]) -> dict[str, Row]:
    """Rows by source, without what differs from run to run."""
    return {row.source: replace(row, seconds=0.0, attempts=1) for row in rows}


def lines(out: Path) -> list[dict[str, Any]]:
    """The ledger's lines."""
    return [json.loads(line) for line in (out / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
