"""The commands of `brainseg`, a file each: options and work together.

Each file holds a function of a `Console` and its options, marked with `terminal.application.command`; its docstring is
the command's help. `options` has the options that several share. To add a command, write its file here and list it in
`cli`. The files import typer and numpy: nothing but `cli` imports them, and only when the command is asked for.

`options` is tested by the tests of the commands, `doctor` by those of `installation.doctor` and `test_cli`.
"""
