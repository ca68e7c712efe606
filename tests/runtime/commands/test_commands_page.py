"""`docs/commands.md` lists the keys that the commands write, all of them and no others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from brainseg_runtime.metrics.scores import Score, table
from tests.runtime.command_line import BUNDLE, brainseg
from tests.runtime.made_slices import made_data

PAGE = Path(__file__).resolve().parents[3] / "docs" / "commands.md"


def section(command: str) -> str:
    """What the page says about a command."""
    text = PAGE.read_text(encoding="utf-8")
    return re.split(r"^##+ ", text.partition(f"### `brainseg {command}")[2], flags=re.MULTILINE)[0]


def documented(command: str) -> set[str]:
    """The keys in the first column of the table headed "key", in a command's section."""
    table = section(command).partition("| key | meaning |")[2]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {key for cell in cells for key in re.findall(r"`([a-z_0-9]+)`", re.sub(r"\{.*?\}", "", cell))}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("page")
    data = made_data(folder / "data")
    arguments: dict[str, list[object]] = {
        "predict": [BUNDLE, data, "-o", folder / "out"],
        "evaluate": [BUNDLE, data],
        "bench": [BUNDLE, "--provider", "cpu", "--batch", 1, "--side", 16, "--seconds", 0],
        "verify": [BUNDLE],
        "doctor": [BUNDLE],
    }
    return {name: json.loads(brainseg(name, *more, "--json", "-").out) for name, more in arguments.items()}


@pytest.mark.parametrize("command", ["predict", "evaluate", "bench", "verify", "doctor"])
def test_the_page_lists_exactly_the_keys_that_are_written(command: str, made: dict[str, dict[str, Any]]) -> None:
    assert documented(command) == set(made[command])


@pytest.mark.parametrize(
    ("command", "key"), [("predict", "slices"), ("predict", "patients"), ("bench", "rows"), ("evaluate", "patients")]
)
def test_the_page_lists_the_keys_of_each_entry(command: str, key: str, made: dict[str, dict[str, Any]]) -> None:
    line = next(line for line in section(command).splitlines() if line.startswith(f"| `{key}`"))
    assert {f"`{name}`" for name in made[command][key][0]} <= set(re.findall(r"`[a-z_0-9]+`", line))


@pytest.mark.parametrize(("key", "scores"), [("pooled", table().pooled), *table().of_volumes.items()])
def test_the_page_lists_the_scores_of_the_table(key: str, scores: tuple[Score[Any], ...]) -> None:
    line = next(line for line in section("evaluate").splitlines() if line.startswith(f"| `{key}`"))
    assert {f"`{score.key}`" for score in scores} <= set(re.findall(r"`[a-z_0-9]+`", line))
