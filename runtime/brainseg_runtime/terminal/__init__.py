"""Behaviour on a terminal, for `brainseg`, `brainseg-train` and `brainseg-export` alike.

`early` answers interrupts from the first moment, `application` assembles a program's commands, `command` is the edge
where faults become exit codes, `console` speaks, `streams` guards standard output and error, and `interrupts` decides
what Ctrl-C does meanwhile.

`command` is tested by `test_application`, `test_streams` and `test_early`.
"""
