"""What a quarantine advises names nothing that a node's user cannot give."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import brainseg_runtime
from brainseg_runtime.errors import RolesError, StudyError
from brainseg_runtime.node.working.advice import ANYWAY, BY_HEADERS, advised

SOURCES = Path(brainseg_runtime.__file__).parent


def remedies() -> Iterator[str]:
    """Every remedy that is written out in what the isolated process runs."""
    for part in ("studies", "segmentation", "inference"):
        for path in sorted((SOURCES / part).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.keyword) and node.arg == "remedy":
                    for each in ast.walk(node.value):
                        if isinstance(each, ast.Constant) and isinstance(each.value, str):
                            yield each.value


def test_no_remedy_names_an_option_of_a_command() -> None:
    found = list(remedies())
    assert len(found) > 20
    assert any("--" in each for each in found)
    for each in found:
        said = advised(StudyError, each)
        assert said
        assert not re.search(r"(^|\W)--[a-z]|brainseg inspect|find_studies", said), said


def test_what_a_node_can_do_is_kept() -> None:
    assert advised(StudyError, "export it uncompressed") == "export it uncompressed"
    assert advised(StudyError, None) is None
    assert advised(RolesError, "choose with --flair") == BY_HEADERS


@pytest.mark.parametrize("remedy", ["leave --strict out", "name the folder that it lies in", "give -o", "strict=False"])
def test_what_it_cannot_is_not(remedy: str) -> None:
    assert advised(StudyError, remedy) == ANYWAY
    assert advised(StudyError, f"check the series; {remedy}") == "check the series"
