"""UIDs are valid, and as new or as fixed as they should be."""

from __future__ import annotations

import re
import uuid

from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.studies.written.uids import IMPLEMENTATION, Uids, content_digest, derived


@given(st.lists(st.text(), max_size=4))
def test_derived_uids_are_valid_uuids(parts: list[str]) -> None:
    uid = derived(*parts)
    assert re.fullmatch(r"2\.25\.(0|[1-9]\d*)", uid)
    assert len(uid) <= 64
    assert uuid.UUID(int=int(uid[5:])).version == 8
    assert uid == derived(*parts)


def test_parts_are_kept_apart() -> None:
    assert derived("a", "bc") != derived("ab", "c")
    assert content_digest(["a", "bc"]) != content_digest(["ab", "c"])


def test_new_uids_differ_from_run_to_run() -> None:
    assert Uids.new().make("seg") != Uids.new().make("seg")


def test_the_implementations_own_uid_is_valid() -> None:
    assert re.fullmatch(r"2\.25\.[1-9]\d*", IMPLEMENTATION)
    assert int(IMPLEMENTATION[5:]) < 2**128
