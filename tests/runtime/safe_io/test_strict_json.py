"""JSON from outside: what Python's own reader lets pass is refused here."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.errors import BrainsegError, BundleSchemaError, WorkerError
from brainseg_runtime.safe_io.strict_json import MAX_DEPTH, check_tree, parse, shown

PLAIN = st.characters(min_codepoint=32, max_codepoint=126)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e300, 1e300) | st.text(PLAIN, max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(PLAIN, max_size=9), inner, max_size=4),
    max_leaves=20,
)


def read(text: str | bytes) -> object:
    """Parse under a generous cap."""
    return parse(text if isinstance(text, bytes) else text.encode(), "test", limit=10_000_000)


@given(st.dictionaries(st.text(PLAIN, max_size=9), TREES, max_size=5))
def test_what_is_sane_comes_back_as_it_was(value: dict[str, object]) -> None:
    assert read(json.dumps(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"o": {"a": 1, "a": 1}}',
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": 9007199254740993}',
        '{"a": ' + "9" * 5000 + "}",
        '{"a": 0.' + "1" * 100 + "}",
        '{"a": "\\u0000"}',
        '{"a": "\\ud800"}',
        '{"\\u001b[31m": 1}',
        '{"a": "' + "x" * 20_000 + '"}',
        '{"' + "k" * 200 + '": 1}',
        "[1]",
        "1",
        "",
        "{",
        '{"a": 1} x',
        "{'a': 1}",
        "\ufeff{}",
        b"\xff\xfe{}",
        '{"a":' + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1) + "}",
        '{"a":' + "[" * 200_000 + "]" * 200_000 + "}",
        '{"a": [' + ",".join("1" for _ in range(100_001)) + "]}",
    ],
    ids=lambda text: ascii(text[:24]),
)
def test_what_two_readers_could_read_apart_is_refused(text: str | bytes) -> None:
    with pytest.raises(BundleSchemaError):
        read(text)


@given(st.binary(max_size=300))
def test_any_bytes_give_an_object_or_an_error_of_ours(data: bytes) -> None:
    with contextlib.suppress(BrainsegError):
        assert isinstance(read(data), dict)


def test_the_cap_counts_bytes_before_parsing() -> None:
    with pytest.raises(BundleSchemaError, match="too large"):
        parse(b'{"a": 1}', "test", limit=7)


def test_the_kind_of_error_is_the_callers() -> None:
    with pytest.raises(WorkerError):
        parse(b"[", "test", limit=9, error=WorkerError)


@pytest.mark.parametrize("value", [{"a": float("nan")}, {"a": {1}}, {1: 2}, {"a": 2**60}, {"a": "\x00"}, {"a": b""}])
def test_values_made_in_python_are_held_to_the_same(value: object) -> None:
    with pytest.raises(BundleSchemaError):
        check_tree(value, "test")


def test_a_value_is_shown_escaped_and_cut() -> None:
    assert "\x1b" not in shown("\x1b" * 5000)
    assert len(shown("\x1b" * 5000)) == 80
