"""A process ends although a thread that Python waits for goes on; one without such a thread ends by itself."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from brainseg_runtime.node.leaving import leave


def test_a_thread_that_waits_for_a_peer_does_not_keep_the_process() -> None:
    program = (
        "import threading, time; from brainseg_runtime.node.leaving import leave;"
        "threading.Thread(target=time.sleep, args=(50,)).start(); print('stopped'); leave(3, grace=0.1)"
    )
    clock = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=40, check=False)
    assert (ended.returncode, ended.stdout) == (3, "stopped\n")
    assert time.monotonic() - clock < 30


def test_a_thread_that_ends_in_time_is_waited_for() -> None:
    done = threading.Event()
    threading.Timer(0.1, done.set).start()
    assert leave(0) == 0
    assert done.is_set()
