"""The commands of `brainseg`, a file each.

`predict`, `archive`, `inspect`, `evaluate`, `bench`, `verify`, `doctor` and `serve` each hold a function of a
`Console` and its options, and `node` those of `brainseg node ...`, marked with `terminal.application.command`; its
docstring is the command's help. `options` has the options that several share; `predict_options` has those of `predict`
that hold for slices or for studies alone, and `predict_studies` is its way for studies. `serve_options` wins over a
node's configuration file. To add a command, write its file here and list it in `cli`. The files import typer: nothing
but `cli` imports them, and only when the command is asked for.

`predict_options` is tested by `test_predict_studies`, `serve_options` by `test_serve`, `archive` by the archive's own
`test_archive`. `options` and `doctor` are
tested by `test_cli` and `test_application`.
"""
