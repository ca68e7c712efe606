"""The error tree: what it says, that it survives copying, and that its drawing is true."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from brainseg_runtime import errors
from brainseg_runtime.errors import BrainsegError, DatasetError

KINDS = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, BrainsegError)]


def test_an_error_says_what_expected_got_and_remedy() -> None:
    error = BrainsegError("the cap is wrong", expected="at most 3", got=7, remedy="lower it")
    assert str(error) == "the cap is wrong; expected at most 3; got 7; remedy: lower it"


def test_parts_that_are_not_known_are_left_out() -> None:
    assert str(BrainsegError("nothing more to say")) == "nothing more to say"


def test_a_falsy_part_is_still_said() -> None:
    assert str(BrainsegError("too few", expected=1, got=0)) == "too few; expected 1; got 0"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301
def test_every_kind_survives_copying_whole(kind: type[BrainsegError], again: object) -> None:
    error = kind("w", remedy="r")
    twin = again(error)  # type: ignore[operator]
    assert type(twin) is kind
    assert (str(twin), twin.args, twin.__dict__) == (str(error), error.args, error.__dict__)


def test_a_data_sets_error_shows_every_problem() -> None:
    error = DatasetError("3 problems", problems=("a.tif is gone", "b.tif is a folder"))
    assert str(error) == "3 problems\n  - a.tif is gone\n  - b.tif is a folder"
    assert error.to_json()["problems"] == ["a.tif is gone", "b.tif is a folder"]


def test_json_carries_the_kind_and_every_part() -> None:
    assert errors.ImageError("w", expected="e", got="g", remedy="r").to_json() == {
        "kind": "ImageError", "what": "w", "expected": "e", "got": "g", "remedy": "r",
    }  # fmt: skip


def test_the_drawn_tree_is_the_tree() -> None:
    lines = [line for line in (errors.__doc__ or "").splitlines() if re.match(r"^[│├└ ─]*[A-Z]\w+Error\b", line)]
    parents: dict[int, str] = {}
    drawn = {}
    for line in lines:
        match = re.match(r"^([│├└ ─]*)(\w+)", line)
        assert match is not None
        depth = len(match[1]) // 4
        parents[depth] = match[2]
        drawn[match[2]] = parents.get(depth - 1)
    assert drawn == {kind.__name__: None if kind is BrainsegError else kind.__mro__[1].__name__ for kind in KINDS}
