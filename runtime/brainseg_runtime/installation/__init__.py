"""Checks of an installation: whether it works, whether the bundle is the approved one, and how fast it is.

- `doctor`: what is installed, what `auto` would choose, and what is wrong. Add a new package conflict there.
- `verify`: a bundle's checks on this machine; to add a check, append a `Check` in `verify_bundle`.
- `golden_files`: the golden cases as raw bytes, for hosts in other languages.
- `page`: the checks as a page to file (tested by `tests/runtime/commands/test_verify.py`).
- `benchmark`: times and memory, each row in a process of its own (tested by `tests/runtime/commands/test_bench.py`);
  `latency` times calls, `peak_memory` reads what the system reports.
"""
