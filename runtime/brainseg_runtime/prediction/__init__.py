"""Segmenting many files: from what was given to masks and a record of them.

`kinds` tells slices from studies. For slices, `inputs` lists them, `layout` says where their files go, `segment_files`
reads, segments and writes them with overlap, `record` is `predictions.json`, and `resume` says what of an earlier run
may stay. For studies, `study_inputs` lists them, `segment_studies` segments them one after the other, and
`study_record` is `studies.json`. The command `predict` drives them. A further kind of file for each slice is added in
`images.writers`, and for each study in `studies.written`.

`layout` and `segment_files` are tested by `test_predict` and `test_predict_again`; `study_inputs`, `segment_studies`
and `study_record` are tested by `test_predict_studies`.
"""
