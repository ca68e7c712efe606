"""What a site asks of its installation: does it work, is the bundle the approved one, how fast is it?

- `doctor`: what is installed, what `auto` would choose, and what is wrong. A new collision of packages goes there.
- `verify`: a bundle's checks on this machine; another check is one more `Check` in `verify_bundle`.
- `page`: the checks as a page to file (tested by `tests/runtime/commands/test_verify.py`).
- `benchmark`: times and memory, each row in a process of its own (tested by `tests/runtime/commands/test_bench.py`);
  `latency` times calls, `peak_memory` reads what the system reports.
"""
