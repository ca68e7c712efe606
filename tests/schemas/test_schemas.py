"""The schemas in `docs/schemas/` are those that the code gives now, and are schemas."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from tests.schemas.documents import DOCUMENTS
from tests.schemas.make import FOLDER, text_of
from tests.schemas.validation import schema, violations


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_file_is_what_python_m_tests_schemas_make_writes(name: str) -> None:
    assert (FOLDER / f"{name}.schema.json").read_text(encoding="utf-8") == text_of(name)


def test_there_are_no_other_files() -> None:
    """`dataset` alone is written by hand: it is of a file that users write."""
    known = {f"{name}.schema.json" for name in (*DOCUMENTS, "dataset")}
    assert {path.name for path in FOLDER.iterdir()} == known | {"README.md"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_is_a_schema_of_draft_2020_12(name: str) -> None:
    found = schema(name)
    assert found["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(found)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_an_empty_object_and_an_unknown_key_are_noticed(name: str) -> None:
    assert violations(name, {}) or name == "node"  # a configuration may leave out everything
    assert violations(name, {"no such key": 1})
