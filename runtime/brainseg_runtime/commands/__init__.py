"""The commands of `brainseg`, a file each.

`predict`, `inspect`, `evaluate`, `bench`, `verify` and `doctor` each hold a function of a `Console` and its options,
marked with `terminal.application.command`; its docstring is the command's help. `options` has the options that several
share; `predict_options` has those of `predict` that hold for slices or for studies alone, and `predict_studies` is its
way for studies. To add a command, write its file here and list it in `cli`. The files import typer: nothing but `cli`
imports them, and only when the command is asked for.

`predict_options` is tested by `test_predict_studies`. `options` and `doctor` are tested by `test_cli` and
`test_application`.
"""
