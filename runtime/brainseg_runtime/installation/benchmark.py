"""Times a bundle on this machine: provider × variant × batch × threads, each row in a process of its own.

A fresh process for each row makes its peak memory its own, and keeps one provider's threads from slowing the next. A
call is timed from uint8 pixels in the caller's array to mask and probability in arrays that the caller owns.
"""

from __future__ import annotations

import itertools
import multiprocessing
import signal
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from brainseg_runtime.errors import BrainsegError, WorkerError
from brainseg_runtime.installation.latency import WARM_UP, milliseconds, synthetic_slices, time_calls
from brainseg_runtime.installation.peak_memory import peak_rss_mib
from brainseg_runtime.terminal.interrupts import deferred

_LOADING: Final = 600.0
"""Most seconds to load in: TensorRT builds its engine for minutes."""

_LEAST_CALLS: Final = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchCase:
    """One row to measure.

    Attributes:
        bundle: The bundle's folder.
        digest: What its digest must be, or None.
        provider: Execution provider by name.
        variant: Variant by name.
        batch: Slices a call, 1 to 64.
        threads: Threads of one call; None leaves the choice to the runtime.
        side: Height and width of a slice in pixels.
        seconds: For how long to repeat calls; at least ten are made.
    """

    bundle: Path
    provider: str
    variant: str
    batch: int = 1
    threads: int | None = None
    digest: str | None = None
    side: int = 256
    seconds: float = 3.0


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchRow:
    """What was measured.

    Attributes:
        provider: Execution provider that ran.
        variant: Variant that ran.
        batch: Slices a call.
        threads: Threads of one call, as requested; None if the runtime chose.
        side: Height and width of a slice in pixels.
        calls: How many calls were timed.
        p50_ms: Median time of a call.
        p95_ms: Time that 95 % of the calls stay within.
        slices_per_s: Slices in all over seconds in all.
        load_ms: Importing onnxruntime, verifying the bundle and making the session.
        first_ms: The first call, which allocates and may compile.
        peak_rss_mib: Most resident memory that the row's process ever had, Python and libraries included.
    """

    provider: str
    variant: str
    batch: int
    threads: int | None
    side: int
    calls: int
    p50_ms: float
    p95_ms: float
    slices_per_s: float
    load_ms: float
    first_ms: float
    peak_rss_mib: float | None


def measure_apart(case: BenchCase) -> BenchRow:
    """Measure one row in a fresh process.

    Raises:
        BrainsegError: The row is not available, such as a provider that is not installed.
        WorkerError: The process ended without an answer, or gave none in time.
    """
    fresh = multiprocessing.get_context("spawn")  # never forked: memory and threads of this process stay out of it
    answer, to_answer = fresh.Pipe(duplex=False)
    process = fresh.Process(target=_answer, args=(case, to_answer), daemon=True)
    what = f"the process that measured {case.provider} {case.variant}"
    try:
        with _uninterrupted():
            process.start()
        to_answer.close()
        if not answer.poll(_LOADING + 20 * case.seconds):
            raise WorkerError(
                f"{what} gave no answer", expected=f"an answer within {_LOADING + 20 * case.seconds:.0f} s"
            )
        outcome: BenchRow | BrainsegError = answer.recv()
    except EOFError as error:
        remedy = "check the system log: it may have run out of memory"
        raise WorkerError(f"{what} ended without an answer", remedy=remedy) from error
    finally:
        if process.pid is not None:
            process.kill()
            process.join()
        answer.close()
    if isinstance(outcome, BrainsegError):
        raise outcome
    return outcome


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold interrupts back while a process is started: one that is half started has no parent to end it.

    The new process keeps Ctrl-C blocked, which reaches every process of a terminal: it is the parent's to handle.
    """
    with deferred():
        if not hasattr(signal, "pthread_sigmask"):
            yield
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _answer(case: BenchCase, to: Connection) -> None:
    """Measure in the fresh process, and send the row or the error."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as a job in the background has it
        # Ctrl-C reaches every process of a terminal; this one ends without a traceback of its own.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        to.send(measure(case))
    except BrainsegError as error:
        to.send(error)


def measure(case: BenchCase) -> BenchRow:
    """Measure one row in this process.

    Raises:
        BrainsegError: The bundle, the provider or the variant is not available.
    """
    start = time.perf_counter()
    from brainseg_runtime.segmenter import Segmenter

    segmenter = Segmenter.load(
        case.bundle, digest=case.digest, provider=case.provider, variant=case.variant, threads=case.threads
    )
    load_ms = (time.perf_counter() - start) * 1e3
    images = synthetic_slices(case.batch, case.side)

    def call() -> None:
        segmenter.predict_batch(images)

    first_ms = milliseconds(call)
    times = sorted(time_calls(call, seconds=case.seconds, least=_LEAST_CALLS, warm_up=WARM_UP - 1))
    return BenchRow(
        provider=segmenter.info.provider,
        variant=segmenter.info.variant,
        batch=case.batch,
        threads=case.threads,
        side=case.side,
        calls=len(times),
        p50_ms=statistics.median(times),
        p95_ms=times[min(len(times) - 1, int(0.95 * len(times)))],
        slices_per_s=case.batch * len(times) / (sum(times) / 1e3),
        load_ms=load_ms,
        first_ms=first_ms,
        peak_rss_mib=peak_rss_mib(),
    )


def cases(
    bundle: Path,
    *,
    providers: Sequence[str],
    variants: Sequence[str],
    batches: Sequence[int],
    threads: Sequence[int | None],
    digest: str | None = None,
    side: int = 256,
    seconds: float = 3.0,
) -> list[BenchCase]:
    """Every combination, in the order of a table: provider, variant, threads, batch."""
    return [
        BenchCase(
            bundle=bundle, digest=digest, provider=provider, variant=variant, batch=batch, threads=count,
            side=side, seconds=seconds,
        )
        for provider, variant, count, batch in itertools.product(providers, variants, threads, batches)
    ]  # fmt: skip


def refusal(case: BenchCase, error: BrainsegError) -> dict[str, object]:
    """What `bench --json` holds, beside its rows, for a combination that could not be measured."""
    wanted = {"provider": case.provider, "variant": case.variant, "batch": case.batch, "threads": case.threads}
    return {**wanted, "error": error.to_json()}
