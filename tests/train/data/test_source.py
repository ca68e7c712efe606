"""Statements about where data comes from: taken as they are, refused by key, never filled in."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from brainseg_train.commands.options import StudyOptions
from brainseg_train.commands.study import source_of
from brainseg_train.data.source import DataSource, stated_beside
from brainseg_train.errors import ConfigError

SCHEMA = json.loads((Path(__file__).resolve().parents[3] / "docs/schemas/dataset.schema.json").read_text("utf-8"))
WHOLE = {"name": "Ward 7, 2021", "licence": "internal", "url": "https://example.org/ward-7", "citation": "Doe 2022"}


def write(root: Path, value: object) -> Path:
    (root / "dataset.json").write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return root


def test_without_a_file_nothing_is_stated(tmp_path: Path) -> None:
    assert not stated_beside(tmp_path)
    assert stated_beside(tmp_path).to_json() == {}


@pytest.mark.parametrize("value", [WHOLE, {"name": "x"}, {}, {"$schema": "dataset.schema.json", "licence": "CC0-1.0"}])
def test_what_a_file_states_is_taken_and_fits_the_schema(tmp_path: Path, value: dict[str, str]) -> None:
    jsonschema.validate(value, SCHEMA)
    stated = stated_beside(write(tmp_path, value))
    assert stated.to_json() == {key: text for key, text in value.items() if key != "$schema"}


@pytest.mark.parametrize(
    "value",
    [
        {"name": ""}, {"name": "   "}, {"licence": "a\nb"}, {"name": 3}, {"title": "x"}, {"url": "ftp://x"},
        {"url": "https://x.org/ y"}, {"url": "https://x.org/><b>"}, {"url": "https://"}, {"url": "/home/a"},
        {"citation": "x" * 2001}, [], "text", {"name": "tab\tin it"},
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_refused_by_file_and_schema_alike(tmp_path: Path, value: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, SCHEMA)
    with pytest.raises(ConfigError):
        stated_beside(write(tmp_path, json.dumps(value)))


@pytest.mark.parametrize("text", ["", "{", '{"name": "a", "name": "b"}', "\x00"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"dataset\.json"):
        stated_beside(write(tmp_path, text))


def test_statements_come_before_others_one_by_one() -> None:
    first, second = DataSource(name="a"), DataSource(name="b", licence="c")
    assert first.over(second) == DataSource(name="a", licence="c")


def test_options_of_the_command_come_before_the_file(tmp_path: Path) -> None:
    root = write(tmp_path, {"name": "file", "licence": "file"})
    options = StudyOptions(data_licence="option", data_url="https://x.org")
    assert source_of(options, root) == DataSource(name="file", licence="option", url="https://x.org")
