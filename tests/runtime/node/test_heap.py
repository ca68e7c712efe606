"""Memory that threads used and freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
from pathlib import Path
from brainseg_runtime.node import heap

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

def use():
    kept = [bytes(1000) for _ in range(20000)]
    barrier.wait()
    del kept
    held.append(bytes(1000))  # the last block of each thread's heap stays in use, as one of a long-lived object's would

if sys.argv[1] != "as it is":
    assert heap.keep_small(at_once=sys.argv[1] == "at once")
before, held = resident(), []
barrier = threading.Barrier(8)
threads = [threading.Thread(target=use) for _ in range(8)]
for each in threads:
    each.start()
for each in threads:
    each.join()
heaps = sum("---p" in line for line in open("/proc/self/maps"))
if sys.argv[1] != "as it is":
    heap.give_back()
print(resident() - before, heaps)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heaps")
def test_what_eight_threads_used_is_given_back_and_they_share_one_heap() -> None:
    found = {}
    for how in ("at once", "later", "as it is"):
        run = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
        found[how] = [int(each) for each in run.stdout.split()]
    _, several = found.pop("as it is")
    for left, heaps in found.values():
        assert left < 8 * 1024  # KiB, of the 160 MB that were used
        assert heaps < several
