"""Long lists of problems: a line for each kind, and none lost."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.errors import DatasetError
from brainseg_runtime.problems import FEW, KINDS, Problem, first_few, grouped


def test_503_equal_problems_are_one_line_with_the_count_and_the_first_names() -> None:
    problems = [Problem(f"p/p_{n}.tif", "has no mask") for n in range(1, 504)]
    assert grouped(problems) == ("503 × has no mask: p/p_1.tif, p/p_2.tif, p/p_3.tif and 500 more",)
    error = DatasetError("the set", problems=problems)
    assert len(str(error).splitlines()) == 2
    assert len(error.problems) == 503
    assert error.to_json()["problems"] == [f"p/p_{n}.tif has no mask" for n in range(1, 504)]


def test_a_problem_or_two_are_told_in_full() -> None:
    problems = [Problem("a.tif", ": is cut", "; expected 9 bytes; got 4"), Problem("b.tif", ": is cut", "; got 3")]
    assert grouped(problems) == ("a.tif: is cut; expected 9 bytes; got 4", "b.tif: is cut; got 3")


def test_details_that_are_alike_are_told_once_and_long_ones_that_differ_are_left_to_the_record() -> None:
    alike = [Problem(f"{n}", ": is cut", "; got 4") for n in range(9)]
    assert grouped(alike) == ("9 × is cut; got 4: 0, 1, 2 and 6 more",)
    short = [Problem(f"{n}", "lacks slices", f": {n}") for n in range(4)]
    assert grouped(short) == ("4 × lacks slices: 0: 0, 1: 1, 2: 2 and 1 more",)
    long = [Problem(f"{n}", "lacks slices", f": {n}" * 40) for n in range(4)]
    assert grouped(long) == ("4 × lacks slices: 0, 1, 2 and 1 more",)


@given(st.lists(st.tuples(st.sampled_from(["x", "y", "z"]), st.integers(0, 99))))
def test_the_counts_add_up(drawn: list[tuple[str, int]]) -> None:
    lines = grouped([Problem(f"file{n}", f"is {kind}") for kind, n in drawn])
    told = sum(int(found[1]) if (found := re.match(r"(\d+) × ", line)) else 1 for line in lines)
    assert told == len(drawn)
    for kind in "xyz":
        assert sum(f"is {kind}" in line for line in lines) <= 2


def test_many_kinds_end_with_how_many_more_there_are() -> None:
    lines = grouped([Problem("file", f"is {n}") for n in range(KINDS + 7)])
    assert len(lines) == KINDS + 1
    assert lines[-1] == "7 more, of 7 other kinds"


def test_few_names_are_listed_whole() -> None:
    names = list("abcde")
    assert first_few(names[:FEW]) == "a, b, c"
    assert first_few(names) == "a, b, c and 2 more"
