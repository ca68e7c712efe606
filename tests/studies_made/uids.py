"""UIDs that depend on their names alone."""

from __future__ import annotations

import hashlib


def made_uid(*names: object) -> str:
    """A UID of the form 2.25.<number> (PS3.5 B.2) from names; the same names give the same UID."""
    digest = hashlib.sha256("\0".join(map(str, names)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:15], 'big')}"
