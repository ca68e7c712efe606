"""Pages: one file that loads nothing, shows every value, and takes no markup from data."""

from __future__ import annotations

import base64
import io
import math
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.errors import MissingExtraError
from brainseg_runtime.html import page

VOID = {"meta", "img"}
RGB = np.zeros((4, 4, 3), np.uint8)


class Reader(HTMLParser):
    """Reads a page the way a browser does: its tags, its attributes, its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "tags close in order"

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every part in it."""
    path = tmp_path_factory.mktemp("page") / "whole.html"
    path.write_text(
        """{% extends "base.html" %}
        {% from "parts.html" import badge, facts, key, note, picture, swatch, table %}
        {% block lead %}{{ text }}{% endblock %}
        {% block content %}
        {{ facts([(text, text), ("badge", badge(text, "pass"))]) }}
        {{ table([text, "Dice"], [[text, 0.5], [key(text, 2), none]], text) }}
        {{ note(text) }}{{ swatch((1, 2, 3), text) }}{{ picture(rgb, text) }}
        {% endblock %}
        """,
        encoding="utf-8",
    )
    return path


def whole(template: Path, text: str = "some text") -> str:
    return page.render(template, title=text, text=text, rgb=RGB)


def test_a_page_loads_nothing_and_forbids_scripts(template: Path) -> None:
    text = whole(template)
    reader = Reader(text)
    assert not reader.open
    assert not {tag for tag, _ in reader.tags} & {"script", "link", "iframe", "object", "base", "form"}
    sources = [value for _, attributes in reader.tags for key, value in attributes.items() if key in ("src", "href")]
    assert len(sources) == 1
    assert all(value is not None and value.startswith("data:image/png;base64,") for value in sources)
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_a_page_follows_light_dark_and_paper(template: Path) -> None:
    text = whole(template)
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


@given(st.text())
def test_text_is_shown_as_it_is_and_is_never_markup(template: Path, text: str) -> None:
    hostile = f"{text}<script>\"'><img src=x onerror=alert(1)>&amp;"
    reader = Reader(whole(template, hostile))
    assert "script" not in {tag for tag, _ in reader.tags}
    assert [attributes.get("alt") for tag, attributes in reader.tags if tag == "img"] == [hostile]
    assert not reader.open
    assert not [attributes for _, attributes in reader.tags if "onerror" in attributes]


def test_a_lone_surrogate_of_a_file_name_can_be_written(template: Path) -> None:
    assert rb"a\udcff.tif" in whole(template, "a\udcff.tif").encode("utf-8")


def test_what_a_template_asks_for_must_be_given(template: Path) -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError, match="text"):
        page.render(template, title="t", rgb=RGB)


def test_without_jinja2_it_is_said_what_to_install(template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    page._environment.cache_clear()
    with pytest.raises(MissingExtraError, match="jinja2"):
        whole(template)


def test_a_table_shows_every_value_and_sets_numbers_right(tmp_path: Path) -> None:
    template = tmp_path / "table.html"
    template.write_text('{% from "parts.html" import table %}{{ table(headers, rows, highlight=0) }}', encoding="utf-8")
    rows = [["a", 0.8512, 1200], ["b", None, 7]]
    reader = Reader(page.render(template, headers=["name", "Dice", "n"], rows=rows))
    assert "".join(text.strip() for text in reader.text) == "nameDicena0.8511,200b—7"
    kinds = [attributes.get("class") for tag, attributes in reader.tags if tag == "td"]
    assert kinds == [None, "number", "number"] * 2
    assert [attributes.get("class") for tag, attributes in reader.tags if tag == "tr"] == [None, "highlight", None]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345, "0.123"), (123.456, "123.5"), (12345.6, "12,346"), (1e-6, "1.0e-06"), (0.0, "0.000"), (math.nan, "—")],
)
def test_numbers_are_written_for_readers(value: float, text: str) -> None:
    assert page.number_text(value) == text


def test_an_interval_that_is_undefined_is_a_dash() -> None:
    assert page.interval_text(None) == "—"
    assert page.interval_text((0.5, 0.75)) == "0.500 – 0.750"


def test_an_embedded_picture_holds_the_pixels_that_were_given() -> None:
    from PIL import Image

    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    data = re.search(r"base64,([A-Za-z0-9+/=]+)$", page.png_data(rgb))
    assert data is not None
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data[1])))), rgb)


def test_wide_tables_are_set_tighter_on_paper_where_nothing_scrolls(template: Path) -> None:
    printed = whole(template).split("@media print", 1)[1]
    assert "table { font-size: 8.5pt }" in printed
    assert "th, td { padding-left: 4px; padding-right: 4px }" in printed
