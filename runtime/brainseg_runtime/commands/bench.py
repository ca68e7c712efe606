"""`brainseg bench`: how fast a model runs on this machine, and in how much memory."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.commands import DONE, FAULT
from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.inference.processor import inspect_processor
from brainseg_runtime.inference.providers import choose, list_providers
from brainseg_runtime.installation.benchmark import BenchRow, cases, measure_apart, refusal
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.terminal.console import Console

_HEADERS = ("provider", "variant", "threads", "batch", "p50 ms", "p95 ms", "slices/s", "peak MiB")


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """What to time; see the command's options. Empty providers and variants mean all that can be had."""

    bundle: Path
    providers: Sequence[str]
    variants: Sequence[str]
    batches: Sequence[int]
    threads: Sequence[int | None]
    side: int
    seconds: float
    digest: str | None = None


def bench(console: Console, wanted: Timing) -> int:
    """Times every combination; see `brainseg bench --help`.

    A combination that is not available is named and left out before a process is started for it; it is a fault if its
    provider or variant was asked for.
    """
    check_outputs({"--json": console.json_target}, folders=[wanted.bundle])
    bundle = open_bundle(wanted.bundle, digest=wanted.digest)
    plan = cases(
        wanted.bundle,
        providers=wanted.providers or [each.name for each in list_providers() if each.available],
        variants=wanted.variants or list(bundle.manifest.variants),
        batches=wanted.batches,
        threads=wanted.threads,
        digest=bundle.digest,  # the bundle must not change between rows
        side=wanted.side,
        seconds=wanted.seconds,
    )
    processor = inspect_processor()
    rows: list[BenchRow] = []
    refused: list[dict[str, object]] = []
    with console.progress("rows", len(plan)) as advance:
        for case in plan:
            try:
                choose(bundle.manifest, case.provider, case.variant, processor)
                rows.append(measure_apart(case))
            except BrainsegError as error:
                console.fault(error, about=f"{case.provider} {case.variant}, batch {case.batch}: ")
                refused.append(refusal(case, error))
            advance()
    machine: dict[str, object] = asdict(processor)
    machine.update(system=platform.system(), release=platform.release())
    console.emit(
        {
            "rows": [row.to_json() for row in rows],
            "refused": refused,
            "bundle": {"path": str(wanted.bundle), "digest": bundle.digest},
            "machine": machine,
        }
    )
    if rows:
        console.table(_HEADERS, [_cells(row) for row in rows])
    asked_for = bool(wanted.providers or wanted.variants)
    return FAULT if not rows or (refused and asked_for) else DONE


def _cells(row: BenchRow) -> tuple[str, ...]:
    """A row of the table."""
    peak = "—" if row.peak_rss_mib is None else f"{row.peak_rss_mib:.0f}"
    threads = "auto" if row.threads is None else str(row.threads)
    times = (f"{row.p50_ms:.2f}", f"{row.p95_ms:.2f}", f"{row.slices_per_s:.1f}")
    return (row.provider, row.variant, threads, str(row.batch), *times, peak)
