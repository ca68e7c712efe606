"""What every attack needs: a bundle to damage, ways to damage bytes, and a watch on time and memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from brainseg_runtime.bundles.bundle import Bundle, open_bundle
from brainseg_runtime.errors import BundleError

SECONDS = 5.0
"""Most processor time that one attempt may take."""

MEMORY_MIB = 64
"""Most by which the process may grow over a whole attack; the bundle that is attacked has 43 KB."""


def accepted(bundle: Path, digest: str | None = None) -> Bundle | None:
    """The bundle if it opens, None if it is refused; anything but a fault of ours is the test's failure."""
    began = time.thread_time()
    try:
        return open_bundle(bundle, digest=digest)
    except BundleError:
        return None
    finally:
        assert time.thread_time() - began < SECONDS, "hung"


def mutant(rng: np.random.Generator, data: bytes) -> bytes:
    """Other bytes than these: a bit or byte changed, a run zeroed, cut out, repeated or moved, an end cut or added."""
    changed = bytearray(data)
    kind, at = int(rng.integers(8)), int(rng.integers(len(data)))
    run = slice(at, at + int(rng.integers(1, 64)))
    if kind == 0:
        changed[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        changed[at] = int(rng.integers(256))
    elif kind == 2:
        changed[run] = bytes(len(changed[run]))
    elif kind == 3:
        del changed[run]
    elif kind == 4:
        changed[at:at] = changed[run]
    elif kind == 5:
        del changed[at:]
    elif kind == 6:
        changed += rng.bytes(run.stop - run.start)
    else:
        moved = changed[run]
        del changed[run]
        changed += moved
    return bytes(changed) if changed != data else mutant(rng, data)


@contextmanager
def bounded_memory() -> Iterator[None]:
    """The process does not grow by more than `MEMORY_MIB`; not watched where the system does not tell."""
    if sys.platform == "win32":
        yield
        return
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    yield
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before
    assert grown < MEMORY_MIB << 20, f"grew by {grown >> 20} MiB"
