"""One thing is told in the singular."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from brainseg_runtime.plurals import counted
from tests.runtime.command_line import BUNDLE, brainseg
from tests.runtime.made_slices import made_data


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 slices"), (1, "1 slice"), (2, "2 slices"), (3929, "3,929 slices"), (-1, "-1 slices")]
)
def test_a_number_has_the_noun_that_fits(number: int, said: str) -> None:
    assert counted(number, "slice") == said


def test_a_noun_may_have_a_plural_of_its_own() -> None:
    assert (counted(1, "vertex", "vertices"), counted(2, "vertex", "vertices")) == ("1 vertex", "2 vertices")


def test_commands_on_one_slice_of_one_patient_say_no_plural(tmp_path: Path) -> None:
    data = made_data(tmp_path / "data", patients=1, slices=1)
    page = tmp_path / "page.html"
    for command in (
        ["predict", BUNDLE, data, "-o", tmp_path / "out", "--threads", 1],
        ["predict", BUNDLE, data, "-o", tmp_path / "out", "--threads", 1, "--resume"],
        ["evaluate", BUNDLE, data, "--threads", 1, "--report", page],
    ):
        done = brainseg(*command)
        assert done.code == 0, done.err
        assert not re.findall(r"\b1 (?:slices|patients|threads|files|cases|cores|problems)\b", done.out + done.err)
    assert not re.findall(r"\b1 (?:slices|patients)\b", page.read_text(encoding="utf-8"))
