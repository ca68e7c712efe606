"""Dataclasses come from JSON by their own annotations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from brainseg_train.decoding import decode
from brainseg_train.errors import RecordError


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
    decoded = decode(Outer, value, "it", error=RecordError)
    assert decoded == expected
    assert isinstance(decoded.inner and decoded.inner.number, float)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({}, "lacks keys.*name"),
        ({"name": "n", "nome": 1}, "unknown keys.*nome"),
        ({"name": 1}, r"it\.name"),
        ({"name": "n", "kind": "c"}, r"it\.kind"),
        ({"name": "n", "inner": {"number": "1"}}, r"it\.inner\.number"),
        ({"name": "n", "inner": 1}, r"it\.inner"),
        ({"name": "n", "pair": [1]}, r"it\.pair"),
        ({"name": "n", "pair": 1}, r"it\.pair"),
        ({"name": "n", "named": {"k": True}}, r"it\.named\.k"),
        ({"name": "n", "named": []}, r"it\.named"),
        ("n", "an object"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_place(value: object, named: str) -> None:
    with pytest.raises(RecordError, match=named):
        decode(Outer, value, "it", error=RecordError)
