"""DICOM series: from files in any nesting to series on a grid, whose pixels are read when they are needed.

`finding` walks folders and `archives` opens zip files; `files` parses one file as far as its pixels, within limits, and
`elements` reads values out of it without trusting them. `slices` makes of a file its slices, one or, with
`multiframe`, many, each `placed` in the patient; `stacking` sorts the slices of a series into a grid or says what is
wrong with them, `headers` says how the series was acquired, and `series` puts these together. `pixels` decodes, after
`codestreams` has checked what compressed data claims to hold. `library` is the door to pydicom.

Nothing here trusts a file: sizes are capped before anything is allocated, names from archives never become paths, and
no patient's name or identifier gets into a message.

`library` is tested by `test_files`. `headers` is tested by `test_series`. `multiframe` and `placed` are tested by
`test_slices`.
"""
