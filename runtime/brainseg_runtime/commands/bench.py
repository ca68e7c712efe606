"""`brainseg bench`: a model's speed and memory on this machine."""

from __future__ import annotations

import platform
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from brainseg_runtime.commands.options import THREADS, BundleArgument, DigestOption
from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.safe_io.typed_json import to_json
from brainseg_runtime.terminal.application import command
from brainseg_runtime.terminal.command import DONE, FAULT
from brainseg_runtime.terminal.console import Console

if TYPE_CHECKING:
    from brainseg_runtime.installation.benchmark import BenchRow

_HEADERS = ("provider", "variant", "threads", "batch", "p50 ms", "p95 ms", "slices/s", "peak MiB")


@command("brainseg bench models/resunet --provider cpu --batch 1 --batch 8 --threads 2 --json bench.json")
def bench(  # noqa: PLR0913 - the command's options
    console: Console,
    *,
    bundle: BundleArgument,
    provider: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Provider to time; may be repeated; default: all that are available."),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Variant to time; may be repeated; default: all of the bundle."),
    ] = None,
    batch: Annotated[
        list[int] | None,
        typer.Option(metavar="N", min=1, max=64, help="Slices a call; may be repeated; default: 1 and 8."),
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(metavar="N", min=1, max=256, help=f"{THREADS} May be repeated.")
    ] = None,
    side: Annotated[
        int, typer.Option(metavar="N", min=16, max=2048, help="Height and width of a slice, in pixels.")
    ] = 256,
    seconds: Annotated[float, typer.Option(metavar="S", min=0.0, max=600.0, help="How long to time each row.")] = 3.0,
    digest: DigestOption = None,
) -> int:
    """Time a model on this machine, each row in a process of its own.

    Combinations that are not available are reported and skipped; exit code 1 if one was named.

    The JSON has: rows (provider, variant, batch, threads, side, calls, p50_ms, p95_ms, slices_per_s, load_ms, first_ms,
    peak_rss_mib; times are those of a call), refused (the rows that were not available, with the error), bundle,
    machine.
    """
    from brainseg_runtime.bundles.bundle import open_bundle
    from brainseg_runtime.inference.processor import inspect_processor
    from brainseg_runtime.inference.providers import choose, list_providers
    from brainseg_runtime.installation.benchmark import cases, measure_apart, refusal

    check_outputs({"--json": console.json_target}, folders=[bundle])
    opened = open_bundle(bundle, digest=digest)
    plan = cases(
        bundle,
        providers=provider or [each.name for each in list_providers() if each.available],
        variants=variant or list(opened.manifest.variants),
        batches=batch or (1, 8),
        threads=threads or (None,),
        digest=opened.digest,  # the bundle must not change between rows
        side=side,
        seconds=seconds,
    )
    processor = inspect_processor()
    rows: list[BenchRow] = []
    refused: list[dict[str, object]] = []
    with console.progress("rows", len(plan)) as advance:
        for case in plan:
            try:
                choose(opened.manifest, case.provider, case.variant, processor)  # before a process is started for it
                rows.append(measure_apart(case))
            except BrainsegError as error:
                console.fault(error, about=f"{case.provider} {case.variant}, batch {case.batch}: ")
                refused.append(refusal(case, error))
            advance()
    machine: dict[str, object] = asdict(processor)
    machine.update(system=platform.system(), release=platform.release())
    console.emit(
        {
            "rows": [to_json(row) for row in rows],
            "refused": refused,
            "bundle": {"path": str(bundle), "digest": opened.digest},
            "machine": machine,
        }
    )
    if rows:
        console.table(_HEADERS, [_cells(row) for row in rows])
    return FAULT if not rows or (refused and (provider or variant)) else DONE


def _cells(row: BenchRow) -> tuple[str, ...]:
    """A row of the table."""
    peak = "—" if row.peak_rss_mib is None else f"{row.peak_rss_mib:.0f}"
    threads = "auto" if row.threads is None else str(row.threads)
    times = (f"{row.p50_ms:.2f}", f"{row.p95_ms:.2f}", f"{row.slices_per_s:.1f}")
    return (row.provider, row.variant, threads, str(row.batch), *times, peak)
