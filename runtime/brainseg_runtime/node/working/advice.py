"""What helps with a study that cannot be segmented, said so that a node's user can do it.

The studies' readers advise by options of `brainseg predict`, which a node does not have.
"""

from __future__ import annotations

import re
from typing import Final

from brainseg_runtime.errors import BrainsegError, RolesError

BY_HEADERS: Final = (
    "a node gives roles by the headers alone: have the PACS or the scanner send one FLAIR and at most one T1 of each "
    "kind, under descriptions that say so, and send the study again; or segment its images by brainseg predict, with "
    "the series chosen by hand"
)
"""What helps where series are unclear."""

ANYWAY: Final = "see that the PACS has the study whole, and send it again"
"""What helps where nothing else is known to."""

_SETTINGS: Final = {"--no-register": "work.register = false takes the headers' geometry"}
"""Settings of a node in place of options."""

_NOT_HERE: Final = re.compile(
    r"(?<![\w-])--?[a-z][a-z-]*|brainseg inspect|find_studies|\bname the folder\b"
    r"|\b(?:another|this) folder\b|\b\w+=\w+",
)
"""Options, calls and folders that a node's user does not give."""


def advised(kind: type[BrainsegError], remedy: str | None) -> str | None:
    """The remedy of an error for a node's user: clauses with what a node has not are left out or named as settings.

    Args:
        kind: The error's class.
        remedy: As it was for `brainseg predict` or Python.

    Examples:
        >>> advised(BrainsegError, "check both; register=False (--no-register) takes the headers' geometry")
        "check both; work.register = false takes the headers' geometry"
        >>> advised(BrainsegError, "leave --pre out, or give another series") == ANYWAY
        True
    """
    if issubclass(kind, RolesError):
        return BY_HEADERS
    if remedy is None:
        return None
    clauses = [_clause(each) for each in remedy.split("; ")]
    return "; ".join(each for each in clauses if each) or ANYWAY


def _clause(clause: str) -> str:
    """A clause as it is, as a setting, or nothing."""
    if not _NOT_HERE.search(clause):
        return clause
    return next((setting for option, setting in _SETTINGS.items() if option in clause), "")
