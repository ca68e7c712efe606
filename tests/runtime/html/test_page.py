"""Pages: one file that loads nothing, shows every value, and takes no markup from data."""

from __future__ import annotations

import base64
import io
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.html import page
from brainseg_runtime.html.markup import Html, element, escape

VOID = {"meta", "img"}


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


def whole(*parts: str) -> str:
    return page.page("A title", [page.Section(title="A section", parts=parts)], lead="A lead", footer="A footer")


def test_a_page_loads_nothing_and_forbids_scripts() -> None:
    text = whole("text", page.figure_png(np.zeros((4, 4, 3), np.uint8), caption="black"))
    reader = Reader(text)
    assert not reader.open
    assert not {tag for tag, _ in reader.tags} & {"script", "link", "iframe", "object", "base", "form"}
    sources = [value for _, attributes in reader.tags for key, value in attributes.items() if key in ("src", "href")]
    assert all(value is not None and value.startswith("data:image/png;base64,") for value in sources)
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_a_page_follows_light_dark_and_paper() -> None:
    text = whole()
    assert "prefers-color-scheme:dark" in text
    assert "@media print" in text


@given(st.text())
def test_text_is_shown_as_it_is_and_is_never_markup(text: str) -> None:
    hostile = f"{text}<img src=x onerror=alert(1)>&amp;"
    reader = Reader(whole(hostile, page.table([hostile], [[hostile]], caption=hostile), page.note(hostile)))
    assert "img" not in {tag for tag, _ in reader.tags}
    assert not reader.open


def test_attributes_cannot_be_left() -> None:
    reader = Reader(element("p", {"title": "\" onclick='x' <", "class": Html('a" b="c')}))
    assert reader.tags == [("p", {"title": "\" onclick='x' <", "class": 'a" b="c'})]


def test_a_lone_surrogate_of_a_file_name_can_be_written() -> None:
    assert escape("a\udcff.tif").encode("utf-8") == rb"a\udcff.tif"


def test_a_table_shows_every_value_and_sets_numbers_right() -> None:
    reader = Reader(page.table(["name", "Dice", "n"], [["a", 0.8512, 1200], ["b", None, 7]], highlight=0))
    assert "".join(reader.text) == "nameDicena0.8511,200b—7"
    kinds = [attributes.get("class") for tag, attributes in reader.tags if tag == "td"]
    assert kinds == [None, "number", "number"] * 2
    assert [attributes.get("class") for tag, attributes in reader.tags if tag == "tr"] == [None, "highlight", None]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345, "0.123"), (123.456, "123.5"), (12345.6, "12,346"), (1e-6, "1.0e-06"), (0.0, "0.000"), (math.nan, "—")],
)
def test_numbers_are_written_for_readers(value: float, text: str) -> None:
    assert page.number_text(value) == text


def test_an_interval_without_an_end_is_a_dash() -> None:
    assert page.interval_text(0.5, None) == "—"
    assert page.interval_text(0.5, 0.75) == "0.500 – 0.750"


def test_an_embedded_picture_holds_the_pixels_that_were_given() -> None:
    from PIL import Image

    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    data = re.search(r"base64,([A-Za-z0-9+/=]+)", page.figure_png(rgb, caption="c"))
    assert data is not None
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data[1])))), rgb)


def test_wide_tables_are_set_tighter_on_paper_where_nothing_scrolls() -> None:
    printed = whole().split("@media print", 1)[1]
    assert "table{font-size:8.5pt}th,td{padding-left:4px;padding-right:4px}" in printed
