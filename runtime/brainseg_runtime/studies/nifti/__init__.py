"""NIfTI files as series and studies, checked before they are decoded.

`fields` takes a header's fields apart, `grid` makes a grid of them, and `header` does both for a file, within limits.
`sidecar` reads the JSON that a converter wrote beside a file, `names` tells roles and studies from files' names, and
`files` reads a file as a series and several as a study.

`fields` and `grid` are tested by `test_header`, `sidecar` by `test_files`.
"""
