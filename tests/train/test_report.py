"""The comparison's page: whole, self-contained, and made from the records alone."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from brainseg_train import study
from brainseg_train.errors import RecordError, StudyError
from brainseg_train.leaderboard import make_leaderboard
from brainseg_train.report import write_report
from tests.train.studies import run_command

if TYPE_CHECKING:
    from pathlib import Path

HEADINGS = [
    "Result",
    "Comparison",
    "Is the order more than noise?",
    "Patients",
    "Best, median and worst patient",
    "Curves over all pixels",
    "Learning",
    "Tuning",
    "What ran",
]


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_is_well_formed_and_loads_nothing(compared: Path) -> None:
    page = Page((compared / "report.html").read_text(encoding="utf-8"))
    assert not page.open
    assert page.links
    assert all(link.startswith("data:image/png;base64,") for link in page.links)


def test_it_has_every_section_and_every_network(compared: Path) -> None:
    text = (compared / "report.html").read_text(encoding="utf-8")
    assert re.findall(r"<h2>(.*?)</h2>", text) == HEADINGS
    words = Page(text).words
    assert {"unet", "deeplab", "truth", "prediction", "Volume Dice of each test patient", "ROC, with its area"} <= set(
        words
    )
    assert text.count("<img") == 6  # best, median and worst of two networks


def test_it_is_made_again_without_data_or_weights(compared: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(compared, runs)
    for weights in runs.glob("*/*.safetensors"):
        weights.unlink()
    for name in ("leaderboard.json", "leaderboard.md", "report.html"):
        (runs / name).unlink()
    assert run_command("report", str(runs)) == 0
    for name in ("leaderboard.json", "leaderboard.md", "report.html"):
        assert (runs / name).read_bytes() == (compared / name).read_bytes()


def test_a_damaged_picture_is_named(compared: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(compared, runs)
    current = study.newest_complete(runs)
    picture = next(current.test_folder.glob("*.png"))
    picture.write_bytes(picture.read_bytes()[:100])
    with pytest.raises(RecordError, match=picture.name):
        write_report(current, make_leaderboard(current))


def test_an_empty_folder_has_no_report(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no complete study"):
        study.newest_complete(tmp_path)


def test_pruned_and_failed_runs_stand_in_the_tuning_table(compared: Path) -> None:
    current = study.newest_complete(compared)
    board = make_leaderboard(current)
    board["trials"][0]["status"] = "pruned"
    board["trials"][1]["status"] = "failed"
    before = (compared / "report.html").read_bytes()
    text = write_report(current, board).read_text(encoding="utf-8")
    (compared / "report.html").write_bytes(before)
    assert "HOPELESS" in text
    assert "FAILED" in text


def test_a_leaky_comparison_warns_at_the_top(compared: Path) -> None:
    current = study.newest_complete(compared)
    before = (compared / "report.html").read_bytes()
    text = write_report(current, {**make_leaderboard(current), "leaky": True}).read_text(encoding="utf-8")
    (compared / "report.html").write_bytes(before)
    assert text.index("Split by slice") < text.index("<dl")
    assert "leaky" in text[text.index("<table") : text.index("</table")]
