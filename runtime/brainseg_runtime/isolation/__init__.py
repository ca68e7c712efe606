"""A segmenter in a process of its own: a crash, a hang or running out of memory there raises an error here.

- `isolated_segmenter`: `IsolatedSegmenter`, the host's side.
- `process`: the process, started, talked to under a deadline, and ended (tested by `test_isolated_segmenter`).
- `messages`: what crosses the pipe, as dataclasses and as bytes. A new option of a request is a field there, set on the
  host's side and read on the server's.
- `server`: the process's side; it is handed the class that loads the model, so that nothing here imports it
  (tested by `test_isolated_segmenter`).
- `memory_cap`: a cap on the process's own memory.
"""
