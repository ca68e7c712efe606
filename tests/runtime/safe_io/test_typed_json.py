"""Dataclasses go to JSON and come back by their own annotations."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.errors import DataError
from brainseg_runtime.safe_io.strict_json import Json
from brainseg_runtime.safe_io.typed_json import Above, AtLeast, Between, Matches, check, from_json, inline, to_json


@dataclass(frozen=True)
class Inner:
    number: float


@dataclass(frozen=True)
class Outer:
    name: str
    kind: Literal["a", "b"] = "a"
    inner: Inner | None = None
    pair: tuple[int, str] = (0, "")
    many: tuple[Inner, ...] = ()
    named: dict[str, int] = field(default_factory=dict)
    free: Any = None


@dataclass(frozen=True)
class Checked:
    part: Annotated[float, Between(0, 1)] = 0.0
    digest: Annotated[str, Matches(re.compile("[0-9a-f]{4}"), "4 hexadecimal digits")] = "0000"
    threshold: Annotated[float, Between(0, 1)] | None = None
    flags: Mapping[str, bool] = field(default_factory=dict)
    texts: Sequence[str] = ()
    level: Literal[1, 2] = 1
    anything: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Defaulted:
    count: int = 0


@dataclass(frozen=True)
class Nested:
    only: Defaulted


@dataclass(frozen=True)
class Ranged:
    count: Annotated[int, AtLeast(1)] = 1
    rate: Annotated[float, Above(0)] = 0.1
    inner: Inner = field(default_factory=lambda: Inner(0.0))

    def __post_init__(self) -> None:
        check(self, "settings", error=DataError)


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class OnlyPath:
    path: Path


@dataclass(frozen=True)
class Where(OnlyPath):
    colour: Colour


@dataclass(frozen=True)
class Upside:
    """Writes itself in its own way."""

    value: int

    def to_json(self) -> dict[str, Json]:
        return {"value": -self.value}


@dataclass(frozen=True)
class Holder:
    upsides: tuple[Upside, ...]


def test_every_sort_of_annotation_is_followed() -> None:
    value = {
        "name": "n",
        "kind": "b",
        "inner": {"number": 1},
        "pair": [2, "x"],
        "many": [{"number": 0.5}, {"number": 2}],
        "named": {"k": 3},
        "free": [None, {"z": 1}],
    }
    expected = Outer("n", "b", Inner(1.0), (2, "x"), (Inner(0.5), Inner(2.0)), {"k": 3}, [None, {"z": 1}])
    decoded = from_json(Outer, value, "it", error=DataError)
    assert decoded == expected
    assert isinstance(decoded.inner and decoded.inner.number, float)


@given(
    st.builds(
        Outer,
        name=st.text(),
        kind=st.sampled_from(["a", "b"]),
        inner=st.none() | st.builds(Inner, st.floats(allow_nan=False, allow_infinity=False)),
        pair=st.tuples(st.integers(), st.text()),
        many=st.lists(st.builds(Inner, st.floats(0, 1)), max_size=3).map(tuple),
        named=st.dictionaries(st.text(), st.integers(), max_size=3),
    )
)
def test_what_is_written_comes_back(value: Outer) -> None:
    written = json.loads(json.dumps(to_json(value)))
    assert from_json(Outer, written, "it", error=DataError) == value


def test_free_json_keeps_its_form() -> None:
    value = {"anything": {"a": [1, None, {"b": True}]}}
    decoded = from_json(Checked, value, "it", error=DataError)
    assert decoded.anything == value["anything"]


def test_a_class_with_a_json_of_its_own_is_written_by_it() -> None:
    assert to_json(Holder((Upside(1), Upside(2)))) == {"upsides": [{"value": -1}, {"value": -2}]}


def test_every_key_may_be_asked_for_although_fields_have_defaults() -> None:
    value = to_json(Outer("n", inner=Inner(1.0)))
    assert from_json(Outer, value, "it", error=DataError, every_key=True) == Outer("n", inner=Inner(1.0))
    for key in value:
        rest = {name: item for name, item in value.items() if name != key}
        with pytest.raises(DataError, match=rf"it lacks keys; expected {key};"):
            from_json(Outer, rest, "it", error=DataError, every_key=True)
    with pytest.raises(DataError, match=r"it\.only lacks keys; expected count"):
        from_json(Nested, {"only": {}}, "it", error=DataError, every_key=True)


def test_paths_and_members_of_an_enum_are_written_as_text() -> None:
    assert to_json(Where(Path("a/b"), Colour.RED)) == {"path": str(Path("a/b")), "colour": "red"}
    assert from_json(OnlyPath, {"path": "a/b"}, "it", error=DataError) == OnlyPath(Path("a/b"))


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({}, "lacks keys.*name"),
        ({"name": "n", "nome": 1}, "unknown keys.*nome"),
        ({"name": 1}, r"it\.name"),
        ({"name": "n", "kind": "c"}, r"it\.kind"),
        ({"name": "n", "kind": ["a"]}, r"it\.kind"),
        ({"name": "n", "inner": {"number": "1"}}, r"it\.inner\.number"),
        ({"name": "n", "inner": {"number": float("nan")}}, r"it\.inner\.number"),
        ({"name": "n", "inner": 1}, r"it\.inner"),
        ({"name": "n", "pair": [1]}, r"it\.pair"),
        ({"name": "n", "pair": 1}, r"it\.pair"),
        ({"name": "n", "many": [{"number": 1}, {"number": None}]}, r"it\.many\[1\]\.number"),
        ({"name": "n", "named": {"k": True}}, r"it\.named\.k"),
        ({"name": "n", "named": []}, r"it\.named"),
        ("n", "an object"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_place(value: object, named: str) -> None:
    with pytest.raises(DataError, match=named):
        from_json(Outer, value, "it", error=DataError)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"part": 1.01}, r"it\.part.*0 to 1"),
        ({"part": True}, r"it\.part.*a number"),
        ({"threshold": -0.1}, r"it\.threshold.*0 to 1"),
        ({"digest": "00"}, r"it\.digest.*4 hexadecimal digits"),
        ({"digest": "0000\n"}, r"it\.digest"),
        ({"flags": {"cpu": 1}}, r"it\.flags\.cpu.*true or false"),
        ({"texts": ["a", 2]}, r"it\.texts\[1\].*text"),
        ({"texts": "ab"}, r"it\.texts.*a list"),
        ({"level": True}, r"it\.level"),
        ({"level": 1.0}, r"it\.level"),
    ],
)
def test_ranges_and_patterns_hold(value: object, named: str) -> None:
    with pytest.raises(DataError, match=named):
        from_json(Checked, value, "it", error=DataError)


def test_an_error_shows_a_short_escaped_value() -> None:
    with pytest.raises(DataError) as caught:
        from_json(Outer, {"name": ["\x1b[31m" * 100]}, "it", error=DataError)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"count": 0}, r"settings\.count.*at least 1"),
        ({"count": 1.5}, r"settings\.count.*an integer"),
        ({"rate": 0.0}, r"settings\.rate.*above 0"),
        ({"rate": float("inf")}, r"settings\.rate"),
        ({"rate": "fast"}, r"settings\.rate.*a number"),
    ],
)
def test_an_instance_made_in_code_is_held_to_its_annotations_too(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(DataError, match=named):
        Ranged(**wrong)
    with pytest.raises(DataError, match=next(iter(wrong))):
        from_json(Ranged, wrong, "settings", error=DataError)


@dataclass(frozen=True, kw_only=True)
class Scored:
    name: str
    scores: Mapping[str, float | None] = inline(lambda: {"a": float, "b": float | None})
    last: int = 0


def test_items_of_an_inline_mapping_stand_beside_the_other_fields() -> None:
    value = Scored(name="n", scores={"a": 0.5, "b": None}, last=2)
    assert list(to_json(value).items()) == [("name", "n"), ("a", 0.5), ("b", None), ("last", 2)]
    assert from_json(Scored, to_json(value), "it", error=DataError) == value
    assert from_json(Scored, {"name": "n", "a": 1}, "it", error=DataError).scores == {"a": 1.0, "b": None}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"name": "n", "b": 1.0}, "lacks keys; expected a"),
        ({"name": "n", "a": None}, r"it\.a is wrong"),
        ({"name": "n", "a": 1.0, "c": 1.0}, "unknown keys; expected only name, last, a, b; got .?c"),
        ({"name": "n", "a": 1.0, "scores": {}}, "unknown keys"),
    ],
)
def test_keys_of_an_inline_mapping_are_checked_like_any_other(value: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_json(Scored, value, "it", error=DataError)
