"""One run: a network trained on a split, recorded so that it can be killed at any moment and resumed.

`fit` is the way in: it checks (`preflight`, `initial`), puts a run together and starts its `loop`, the training loop.
The loop takes steps (`brainseg_train.learning`), applies `early_stopping`, calls the `callbacks`, keeps its position in
a `state`, and leaves all writing to the `recorder`: `records` are the files to read, `events` those for TensorBoard.
`resume` puts a saved state back, `differences` says what has changed since, `provenance` where results come from.

`fit`, `loop`, `recorder`, `resume`, `state` and `callbacks` are tested together by `tests/train/runs/test_fit.py`.
"""
