"""From checked pixels to a prediction: what all segmenters share.

- `image_check`: images, batches and volumes as callers pass them (tested by `test_segmenter`).
- `input_guard`: reasons to distrust an image before anybody trusts its mask.
- `base_segmenter`: `BaseSegmenter`, in which `predict` is abstract; batches and volumes are written here, once, for
  `Segmenter` and `IsolatedSegmenter` (tested by `test_segmenter` and `test_isolated_segmenter`).
- `postprocessing`: changes to a volume's masks. Another kind is a field of `PostProcessing` and a step of its `apply`.
- `results`: what a prediction returns (tested by `test_segmenter`).

A slice is checked, looked at by the guard, and run by the engine of `inference`; a volume is its slices one by one.
"""
