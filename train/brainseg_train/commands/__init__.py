"""The commands of `brainseg-train`, a file each: options and work together.

`all`, `fit`, `check`, `import_`, `phantom` and `report` each hold a function of a `Console` and its options, whose
docstring is the command's help. `options` has what several commands take, `study` and `patients` what they do alike,
`results` what they say. A command goes from options to a `tuning.plan.Plan` to a study, with nothing between. To add a
command, write its file here and list it in `cli`.

`all`, `fit`, `check`, `phantom`, `report`, `options`, `patients`, `study` and `results` are tested by `test_cli`,
`test_outputs` and `test_conduct`, `import_` by `test_import`.
"""
