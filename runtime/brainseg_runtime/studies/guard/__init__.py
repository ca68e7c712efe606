"""Reasons to distrust a study, and its mask.

`measures` are single numbers with a meaning, such as how bright the head's edge is; `checks` compares them with limits
and says in words what is wrong.

`measures` is tested by `test_checks`.
"""
