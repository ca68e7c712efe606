"""One ONNX graph on one execution provider.

- `processor`: what this machine's processor can do, and how many threads to use; `control_groups` reads how many cores
  and how much memory a container grants. `processor` is tested by `test_providers`.
- `graph_check`: what a model file may hold, read off its bytes before onnxruntime sees them.
- `providers`: the execution providers, one file each, and the choice between them.
- `sessions`: onnxruntime sessions with every option stated, checked before use (tested by `test_engine`).
- `engine`: runs images, each size always through the same session; `allocator` hands memory back after large ones.

A model's bytes are checked, opened as a session on the chosen provider, and held by an engine for as long as it runs.
"""
