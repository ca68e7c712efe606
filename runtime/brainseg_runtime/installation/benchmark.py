"""Times a bundle on this machine: provider × variant × batch × threads, each row in a process of its own.

A fresh process per row makes its peak memory its own, and keeps one provider's threads from slowing the next. A call is
timed from uint8 pixels in the caller's array to mask and probability in arrays that the caller owns.
"""

from __future__ import annotations

import multiprocessing
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import BrainsegError, WorkerError
from brainseg_runtime.terminal.interrupts import deferred

_LOADING = 600.0  # most seconds to load in: TensorRT builds its engine for minutes
WARM_UP = 3  # calls before the clock starts: the first ones allocate and, on some providers, compile


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
        threads: Threads of one call, as asked for; None where the runtime chose.
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

    def to_json(self) -> dict[str, object]:
        """As `bench --json` holds it."""
        return asdict(self)


def measure_apart(case: BenchCase) -> BenchRow:
    """Measures one row in a fresh process.

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
            raise WorkerError(f"{what} gave no answer", expected=f"one within {_LOADING + 20 * case.seconds:.0f} s")
        outcome: BenchRow | BrainsegError = answer.recv()
    except EOFError as error:
        remedy = "see the system's log: it may have run out of memory"
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
    """Holds interrupts back while a process is started: one that is half started has no parent to end it.

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
    """Measures in the fresh process, and sends the row or what is in its way."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as a job in the background has it
        # Ctrl-C reaches every process of a terminal; this one ends without a traceback of its own.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        to.send(measure(case))
    except BrainsegError as error:
        to.send(error)


def measure(case: BenchCase) -> BenchRow:
    """Measures one row in this process.

    Raises:
        BrainsegError: The bundle, the provider or the variant is not available.
    """
    begun = time.perf_counter()
    from brainseg_runtime.segmenter import Segmenter

    segmenter = Segmenter.load(
        case.bundle, digest=case.digest, provider=case.provider, variant=case.variant, threads=case.threads
    )
    load_ms = (time.perf_counter() - begun) * 1e3
    images = synthetic_slices(case.batch, case.side)

    def call() -> None:
        segmenter.predict_batch(images)

    first_ms = _milliseconds(call)
    for _ in range(WARM_UP - 1):
        call()
    times = sorted(_repeat(call, case.seconds))
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


def synthetic_slices(count: int, side: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Slices with the grey values of a head on black; what they show does not change the time that they take.

    Args:
        count: How many.
        side: Height and width in pixels.
        seed: Of the noise.

    Returns:
        (count, side, side, 3) uint8, the same for the same arguments.
    """
    noise = np.random.default_rng(seed).normal(90.0, 25.0, (count, side, side, 3))
    rows, columns = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    head = (rows**2 / 0.8 + columns**2 / 0.6 < 1.0)[None, :, :, None]
    slices: NDArray[np.uint8] = np.clip(noise * head, 0, 255).astype(np.uint8)
    return slices


def peak_rss_mib() -> float | None:
    """The most resident memory that this process ever had, in MiB; None where the system does not tell.

    Linux tells per program (`VmHWM`); its `getrusage` also counts what stood in the process before the program started.
    """
    if sys.platform == "win32":
        return _peak_of_windows()
    high_water = _peak_of_linux() if sys.platform == "linux" else None
    if high_water is not None:
        return high_water
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2.0**20 if sys.platform == "darwin" else 1024.0)


def _peak_of_linux() -> float | None:
    """`VmHWM` in MiB; None where /proc is not there."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii", errors="replace").splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024.0 for line in lines if line.startswith("VmHWM:")), None)


if sys.platform == "win32":

    def _peak_of_windows() -> float:
        """Peak working set in MiB, from the system's own library."""
        import ctypes

        class Counters(ctypes.Structure):
            """PROCESS_MEMORY_COUNTERS of the Windows API."""

            _fields_ = (
                ("size", ctypes.c_uint32),
                ("page_faults", ctypes.c_uint32),
                *((name, ctypes.c_size_t) for name in ("peak_working_set", "working_set", *"abcdef")),
            )

        counters = Counters(size=ctypes.sizeof(Counters))
        kernel = ctypes.WinDLL("kernel32")
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        kernel.K32GetProcessMemoryInfo.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)
        kernel.K32GetProcessMemoryInfo(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.size)
        return float(counters.peak_working_set) / 2.0**20


def _repeat(call: Callable[[], None], seconds: float) -> Iterator[float]:
    """Times of calls in ms, for so many seconds and at least ten calls."""
    end = time.perf_counter() + seconds
    made = 0
    while made < 10 or time.perf_counter() < end:
        yield _milliseconds(call)
        made += 1


def _milliseconds(call: Callable[[], None]) -> float:
    """How long one call takes."""
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1e3


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
            bundle=bundle,
            digest=digest,
            provider=provider,
            variant=variant,
            batch=batch,
            threads=count,
            side=side,
            seconds=seconds,
        )
        for provider in providers
        for variant in variants
        for count in threads
        for batch in batches
    ]


def refusal(case: BenchCase, error: BrainsegError) -> dict[str, object]:
    """What `bench --json` holds, beside its rows, for one that could not be measured."""
    wanted = {"provider": case.provider, "variant": case.variant, "batch": case.batch, "threads": case.threads}
    return {**wanted, "error": error.to_json()}
