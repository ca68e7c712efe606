"""UIDs of what is written: new on each run, or derived from what the objects hold.

Derived UIDs are those of the content: study, sources, mask, model and settings. The same content gets the same UID on
every machine, and another mask never gets the UID of an earlier one.

Source: DICOM PS3.5 B.2 (UIDs from UUIDs, root 2.25); RFC 9562, version 8 for UUIDs from a hash.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

IMPLEMENTATION: Final = "2.25.309164312873180325911046932457830921745"
"""ImplementationClassUID of what this package writes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Uids:
    """Makes the UIDs of one study's objects; the same name gives the same UID, so that objects can refer to each other.

    Attributes:
        seed: Digest of the content for derived UIDs; random for new ones.
    """

    seed: str

    @classmethod
    def new(cls) -> Uids:
        """UIDs that nothing else has."""
        return cls(seed=uuid.uuid4().hex)

    def make(self, *names: object) -> str:
        """A UID.

        Args:
            names: What it is for.

        Examples:
            >>> uids = Uids.new()
            >>> uids.make("seg") == uids.make("seg"), uids.make("seg") == uids.make("sr")
            (True, False)
        """
        return derived(self.seed, *names)


def derived(*parts: object) -> str:
    """A UID from a hash of its parts, at most 44 characters."""
    digest = bytearray(hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).digest()[:16])
    digest[6] = (digest[6] & 0x0F) | 0x80
    digest[8] = (digest[8] & 0x3F) | 0x80
    return f"2.25.{int.from_bytes(digest, 'big')}"


def content_digest(parts: Sequence[bytes | str]) -> str:
    """SHA-256 over parts, each with its length, so that no two lists of parts are alike."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()
