"""Folders of one person are known by their names, by an expression, or by a table."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_train.data.persons import PersonRule, person_of, several
from brainseg_train.errors import ConfigError, SplitError

NAMES = st.from_regex(r"[A-Za-z0-9]{2,5}_[A-Z]{2}_[A-Za-z0-9]{4}", fullmatch=True)
DATES = st.from_regex(r"[0-9]{8}", fullmatch=True)


@given(person=NAMES, date=DATES)
def test_a_dated_name_is_of_the_person_without_the_date(person: str, date: str) -> None:
    assert person_of(f"{person}_{date}") == person


@pytest.mark.parametrize("name", ["TCGA_CS_4941", "case_7", "sub-01_ses-2", "P_19960909", "TCGA_CS_4941_1996", "", "ü"])
def test_any_other_name_is_a_person(name: str) -> None:
    assert person_of(name) == name


@given(st.dictionaries(st.text(max_size=4), st.sampled_from(["a", "b", "c"]), max_size=9))
def test_those_with_several_folders_are_listed_with_all_of_them(persons: dict[str, str]) -> None:
    found = several(persons)
    for person in set(persons.values()):
        names = sorted(name for name, one in persons.items() if one == person)
        assert found.get(person, ()) == (tuple(names) if len(names) > 1 else ())


def test_an_expression_takes_its_group() -> None:
    rule = PersonRule.read("(sub-[0-9]+)")
    assert rule.persons(["sub-01_ses-1", "sub-01_ses-2", "x_sub-2"]) == {
        "sub-01_ses-1": "sub-01",
        "sub-01_ses-2": "sub-01",
        "x_sub-2": "sub-2",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [("(", "not a regular expression"), ("sub-[0-9]+", "one group"), ("(a)(b)", "one group"), ("none.csv", "none.csv")],
)
def test_what_is_no_rule_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        PersonRule.read(text)


def test_a_name_that_the_expression_does_not_match_is_named() -> None:
    with pytest.raises(SplitError, match="control-9"):
        PersonRule.read("(sub-[0-9]+)").persons(["sub-1", "control-9"])


@pytest.mark.parametrize(
    "content",
    [
        "patient,person\na1,ann\na2,ann\nb,bob\n",
        "\ufeffPerson;Age;Patient\r\nann;5;a1\r\nann;6;a2\r\n;;\r\nbob;7;b\r\n",
        '"patient","person"\n"a1"," ann "\na2,ann\n\nb,bob',
    ],
)
def test_a_table_says_whose_a_folder_is(content: str, tmp_path: Path) -> None:
    path = tmp_path / "who.csv"
    path.write_text(content, encoding="utf-8", newline="")
    rule = PersonRule.read(str(path))
    assert rule.persons(["a1", "a2", "b"]) == {"a1": "ann", "a2": "ann", "b": "bob"}
    assert rule.text == "who.csv"
    with pytest.raises(SplitError, match="c"):
        rule.persons(["a1", "c"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "lacks columns"),
        (b"patient\na\n", "lacks columns"),
        (b"patient,person,person\na,b,c\n", "lacks columns"),
        (b"patient,person\na,\n", "line 2"),
        (b"patient,person\na,x\na,y\n", "twice"),
        (b"patient,person\n\xff\xfe,x\n", "UTF-8"),
        (b'patient,person\n"a,x\n', "CSV"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "who.csv").write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        PersonRule.read(str(tmp_path / "who.csv"))
