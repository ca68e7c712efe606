"""Charts: what is drawn is what was given, at the right place, and text is never markup."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from brainseg_runtime.html.axes import Axis, data_range, linear_ticks, log_ticks, tick_text
from brainseg_runtime.html.charts import Strip, Trace, diagonal, line_chart, strip_plot

FINITE = st.floats(-1e9, 1e9)


def parsed(figure: str) -> ET.Element:
    """The figure, which is well-formed XML as well as HTML."""
    return ET.fromstring(figure)  # noqa: S314 - made by the function under test


def dots(figure: str) -> list[tuple[float, float]]:
    return [(float(dot.get("cx", "")), float(dot.get("cy", ""))) for dot in parsed(figure).find("svg").iter("circle")]  # type: ignore[union-attr]


@given(low=FINITE, span=st.floats(1e-6, 1e9))
def test_ticks_are_even_and_stay_within_the_range(low: float, span: float) -> None:
    high = low + span
    if high - low < span / 2:
        return  # the span vanished beside a large `low`
    ticks = linear_ticks(low, high)
    slack = 1e-6 * max(abs(low), abs(high), span)
    assert 1 <= len(ticks) <= 7
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    gaps = [after - before for before, after in pairwise(ticks)]
    assert all(gap == pytest.approx(gaps[0], abs=slack) for gap in gaps)


def test_unit_range_has_the_ticks_that_people_expect() -> None:
    assert [tick_text(tick) for tick in linear_ticks(0, 1)] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]


def test_log_ticks_are_powers_of_ten_or_finer_where_few_fit() -> None:
    assert log_ticks(1, 1000) == (1, 10, 100, 1000)
    assert log_ticks(1, 20) == (1, 2, 5, 10, 20)


@given(low=st.integers(0, 10_000), span=st.integers(1, 10_000))
def test_ticks_of_what_is_counted_are_whole(low: int, span: int) -> None:
    ticks = linear_ticks(low, low + span, whole=True)
    assert all(tick == int(tick) for tick in ticks)
    assert 1 <= len(ticks) <= 7


@pytest.mark.parametrize(
    ("last", "marked"), [(1, [1]), (2, [1, 2]), (4, [1, 2, 3, 4]), (9, [2, 4, 6, 8]), (12, [5, 10])]
)
def test_an_axis_of_epochs_has_no_halves_and_ends_at_the_last(last: int, marked: list[int]) -> None:
    epochs = [float(epoch) for epoch in range(1, last + 1)]
    chart = line_chart([Trace(name="a", x=epochs, y=epochs)], title="t", x_label="epoch", y_label="y", whole_x=True)
    ticks = [text for text in parsed(chart).iter("text") if text.get("class") == "tick" and text.get("y") == "305"]
    assert [text.text for text in ticks] == [str(tick) for tick in marked]


def test_a_point_of_a_logarithmic_axis_keeps_clear_of_its_ends() -> None:
    low, high = data_range([10.0, 1000.0], log=True)
    assert low < 10
    assert high > 1000
    assert data_range([1e-300, 1e300], log=True)[0] > 0


def test_a_series_can_have_its_own_colour_and_dash() -> None:
    lines = [
        Trace(name="a", x=[0, 1], y=[0, 1], colour=2, dash=0),
        Trace(name="b", x=[0, 1], y=[1, 0], colour=2, dash=1, faint=True),
    ]
    chart = line_chart(lines, title="t", x_label="x", y_label="y")
    assert [path.get("class") for path in parsed(chart).iter("path")] == ["line s2 d0", "line s2 d1 faint"]
    strip = strip_plot([Strip(name="a", values=[1.0], colour=4)], title="t", y_label="y")
    assert [dot.get("class") for dot in parsed(strip).iter("circle")] == ["dot s4"]


def test_points_of_three_colours_have_three_shapes() -> None:
    points = [Trace(name=name, x=[0.5], y=[0.5], style="points") for name in "abc"]
    chart = parsed(line_chart(points, title="t", x_label="x", y_label="y"))
    drawing = chart.find("svg")
    assert drawing is not None
    shapes = [mark.tag for mark in drawing.iter() if mark.get("class", "").startswith("dot")]
    assert shapes == ["circle", "rect", "path"]


@given(st.lists(FINITE | st.just(math.nan) | st.just(math.inf)))
def test_the_range_shows_every_finite_value(values: list[float]) -> None:
    low, high = data_range(values)
    assert low < high
    slack = 1e-6 * max(abs(low), abs(high))
    assert all(low - slack <= value <= high + slack for value in values if math.isfinite(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.25, "0.25"), (1500, "1,500"), (3e-4, "3e−4"), (2.5e7, "2.5e7"), (-2, "−2"), (0.1 + 0.2, "0.3")],  # noqa: RUF001 - a minus sign is meant
)
def test_tick_values_are_short(value: float, text: str) -> None:
    assert tick_text(value) == text


def test_an_axis_maps_its_ends_and_clips_beyond() -> None:
    axis = Axis(label="", low=1, high=100, start=0, end=200, log=True)
    assert (axis(1), axis(10), axis(100), axis(1e6), axis(-5)) == (0, 100, 200, 200, 0)


def test_points_lie_where_their_values_say() -> None:
    points = Trace(name="p", x=[0, 1], y=[0, 1], style="points")
    chart = line_chart([points], title="t", x_label="x", y_label="y", x_range=(0, 1), y_range=(0, 1))
    (x0, y0), (x1, y1) = dots(chart)
    assert x0 < x1
    assert y0 > y1, "larger values are higher up"


def test_a_line_breaks_at_a_value_that_is_not_defined() -> None:
    line = Trace(name="a", x=[0, 1, 2, 3, 4], y=[0, 1, math.nan, 1, 0])
    chart = line_chart([line], title="t", x_label="x", y_label="y")
    path = re.search(r' d="([^"]+)"', chart)
    assert path is not None
    assert path[1].count("M") == 2


def test_a_chart_without_a_finite_value_says_so() -> None:
    for traces in ([], [Trace(name="a", x=[math.nan], y=[1.0])]):
        assert "no data" in line_chart(traces, title="t", x_label="x", y_label="y")
    assert "no data" in strip_plot([Strip(name="a", values=[])], title="t", y_label="y")


def test_two_series_have_a_legend_and_one_has_none() -> None:
    one = Trace(name="one", x=[0, 1], y=[0, 1])
    assert "legend" not in line_chart([one], title="t", x_label="x", y_label="y")
    both = parsed(line_chart([one, diagonal("chance")], title="t", x_label="x", y_label="y"))
    assert ["".join(key.itertext()) for key in both.iter("li")] == ["one", "chance"]


def test_every_value_of_a_strip_is_a_point_of_its_own() -> None:
    values = [0.8] * 5 + [0.81, 0.5, math.nan]
    chart = strip_plot([Strip(name="unet", values=values)], title="t", y_label="Dice", y_range=(0, 1))
    assert len(set(dots(chart))) == 7
    assert "n = 7, 1 not defined" in chart
    assert "median 0.800" in chart


def test_points_of_a_strip_stay_in_their_column() -> None:
    strips = [Strip(name="a", values=[0.5] * 300), Strip(name="b", values=[0.5] * 300)]
    found = sorted(x for x, _ in dots(strip_plot(strips, title="t", y_label="y")))
    assert found[299] < found[300]


@given(name=st.text())
def test_no_name_becomes_markup(name: str) -> None:
    hostile = f"<script>&\"'{name}</svg>"
    charts = [
        line_chart(
            [Trace(name=hostile, x=[1, 2], y=[1, 2]), diagonal(hostile)],
            title=hostile,
            x_label=hostile,
            y_label=hostile,
        ),
        strip_plot([Strip(name=hostile, values=[1], labels=[hostile])], title=hostile, y_label=hostile),
    ]
    for chart in charts:
        assert "<script" not in chart
        assert chart.encode("utf-8").count(b"</svg>") == chart.count("<svg")


@example([(5e-324, 0.0)], True)
@given(st.lists(st.tuples(FINITE, FINITE), max_size=40), st.booleans())
def test_any_numbers_give_a_drawing_without_nan(points: list[tuple[float, float]], log: bool) -> None:
    trace = Trace(name="a", x=[x for x, _ in points], y=[y for _, y in points])
    chart = line_chart([trace], title="t", x_label="x", y_label="y", log_x=log)
    parsed(chart)
    assert "nan" not in chart
    assert "inf" not in chart


def test_series_whose_coordinates_do_not_pair_up_are_refused() -> None:
    with pytest.raises(ValueError, match="must have one length"):
        Trace(name="a", x=[1], y=[])
