"""Segmenting many files: from what was given to masks and a record of them.

`inputs` lists the slices, `layout` says where their files go, `segment_files` reads, segments and writes them with
overlap, `record` is `predictions.json`, and `resume` says what of an earlier run may stay. The command `predict` drives
them. A further kind of file for each slice is added in `images.writers`.

`layout` and `segment_files` are tested by `test_predict` and `test_predict_again`.
"""
