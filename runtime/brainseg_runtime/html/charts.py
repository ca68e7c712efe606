"""Charts as inline SVG, without a plotting library: lines, horizontal bars, strips of points.

Each function returns a `<figure>` with its title, its SVG and its legend. Colours are classes that `report.page` styles
for light, dark and paper; a series also has a dash or a place of its own, so that colour is never the only sign.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from brainseg_runtime.html.axes import WIDTH, Axis, data_range, figure, frame, mark, tick_text
from brainseg_runtime.html.markup import Html, element, join

COLOURS = 6  # series colours that the page's style defines; the seventh series starts again
HEIGHT = 340.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 72.0, 18.0, 14.0, 52.0
_CHARACTER = 6.6  # widest usual advance of the 11.5-pixel labels; leaves room without measuring text

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """Points of one name in a chart with two axes.

    Attributes:
        name: Legend text; empty leaves the series out of the legend.
        x: Horizontal values.
        y: Vertical values, as many as `x`; NaN breaks a line.
        style: Joined points, the same dashed and grey (a reference to compare with), or points alone.
        labels: Text shown when a point is pointed at, as many as `x` or none; for `points`.
        colour: Which of the colours, from 0; None takes them by turns.
        dash: Which of the dashes, 0 for none; None takes the colour's own.
        faint: Whether it stays in the background.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: Literal["line", "reference", "points"] = "line"
    labels: Sequence[str] = ()
    colour: int | None = None
    dash: int | None = None
    faint: bool = False

    def __post_init__(self) -> None:
        """Refuses coordinates or labels that do not pair up."""
        if len(self.x) != len(self.y) or len(self.labels) not in (0, len(self.x)):
            lengths = f"{len(self.x)}, {len(self.y)} and {len(self.labels)}"
            message = f"series {self.name!r}: x, y and labels must have one length, got {lengths}"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bars:
    """One bar for each row of a bar chart.

    Attributes:
        name: Legend text.
        values: A value for each row, 0 or more; NaN draws no bar and the words "not defined".
        intervals: (low, high) for each row, or none; drawn as a whisker.
    """

    name: str
    values: Sequence[float]
    intervals: Sequence[Range] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    """All values of one group, each shown as a point.

    Attributes:
        name: The group, written under its column.
        values: Any numbers; NaN is left out and counted in the column's name.
        labels: Text shown when a point is pointed at, as many as `values` or none.
        colour: Which of the colours, from 0; None takes them by turns.
    """

    name: str
    values: Sequence[float]
    labels: Sequence[str] = ()
    colour: int | None = None


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    x_range: Range | None = None,
    y_range: Range | None = None,
    log_x: bool = False,
    whole_x: bool = False,
) -> Html:
    """Lines and points over two axes.

    Args:
        series: What to draw, first at the back; may be empty or hold no finite value, which the chart says.
        title: Text above the chart.
        x_label: Horizontal axis with its unit.
        y_label: Vertical axis with its unit.
        x_range: (low, high); default: what the data needs.
        y_range: (low, high); default: what the data needs.
        log_x: Logarithmic horizontal axis; values ≤ 0 are then not drawn.
        whole_x: Horizontal axis of whole numbers, such as epochs.

    Returns:
        A figure.
    """
    low, high = x_range or data_range((value for one in series for value in one.x), log=log_x, whole=whole_x)
    x = Axis(label=x_label, low=low, high=high, start=_LEFT, end=WIDTH - _RIGHT, log=log_x, whole=whole_x)
    low, high = y_range or data_range(value for one in series for value in one.y)
    y = Axis(label=y_label, low=low, high=high, start=HEIGHT - _BOTTOM, end=_TOP)
    kinds = _classes(series)
    drawn = [_draw_series(one, x, y, kind) for one, kind in zip(series, kinds, strict=True)]
    parts = [frame(x, y), *drawn]
    if not any(_finite(one, x) for one in series):
        parts.append(_nothing(x, y))
    legend = [(one.name, kind, one.style) for one, kind in zip(series, kinds, strict=True) if one.name]
    return figure(title, parts, HEIGHT, legend if len(legend) > 1 else [])


def strip_plot(
    strips: Sequence[Strip],
    *,
    title: str,
    y_label: str,
    y_range: Range | None = None,
) -> Html:
    """Every value of each group as a point, side by side where they are close, with the group's median as a bar.

    Args:
        strips: The groups, left to right; at least one.
        title: Text above the chart.
        y_label: Vertical axis with its unit.
        y_range: (low, high); default: what the data needs.

    Returns:
        A figure.
    """
    low, high = y_range or data_range(value for strip in strips for value in strip.values)
    x = Axis(label="", low=0.0, high=float(max(1, len(strips))), start=_LEFT, end=WIDTH - _RIGHT)
    y = Axis(label=y_label, low=low, high=high, start=HEIGHT - _BOTTOM, end=_TOP)
    parts = [frame(x, y, x_ticks=False)]
    half = (x(1.0) - x(0.0)) * 0.42
    colours = [(index if strip.colour is None else strip.colour) % COLOURS for index, strip in enumerate(strips)]
    parts += [_draw_strip(strip, x(index + 0.5), half, y, colours[index]) for index, strip in enumerate(strips)]
    if not any(math.isfinite(value) for strip in strips for value in strip.values):
        parts.append(_nothing(x, y))
    return figure(title, parts, HEIGHT, [])


def bar_chart(
    rows: Sequence[str],
    bars: Sequence[Bars],
    *,
    title: str,
    x_label: str,
    x_range: Range | None = None,
) -> Html:
    """Horizontal bars, grouped by row, each with its value beside it; names stand on the left in full.

    Args:
        rows: Names of the rows, top to bottom.
        bars: One or several sets of bars; each has as many values as there are rows.
        title: Text above the chart.
        x_label: What the bars measure, with its unit.
        x_range: (low, high); default: from 0 to what the data needs.

    Returns:
        A figure.
    """
    thick = 15.0
    left = 18.0 + _CHARACTER * max((len(row) for row in rows), default=0)
    width = max(WIDTH, left + 300.0)
    ends = [value for one in bars for value in (*one.values, *(high for _, high in one.intervals))]
    low, high = x_range or (0.0, data_range([0.0, *ends])[1])
    step = thick * max(1, len(bars)) + 13.0
    bottom = _TOP + step * max(1, len(rows))
    x = Axis(label=x_label, low=low, high=high, start=left, end=width - 62.0)
    y = Axis(label="", low=0.0, high=1.0, start=bottom, end=_TOP)
    parts = [frame(x, y, y_ticks=False)]
    for index, row in enumerate(rows):
        top = _TOP + step * index + 6.5
        middle = top + thick * len(bars) / 2 + 4
        parts.append(element("text", {"class": "tick", "x": left - 8, "y": middle, "text-anchor": "end"}, row))
        parts += [_draw_bar(one, index, top + thick * place, thick, x, place) for place, one in enumerate(bars)]
    legend = [(one.name, f"s{place % COLOURS}", "bar") for place, one in enumerate(bars)]
    return figure(title, parts, bottom + 46.0, legend if len(bars) > 1 else [], width=width)


def _classes(series: Sequence[Series]) -> list[str]:
    """The classes that style each series; references have grey and use no colour up."""
    counted, kinds = 0, []
    for one in series:
        colour = (counted if one.colour is None else one.colour) % COLOURS
        dash = colour if one.dash is None else one.dash % COLOURS
        counted += one.style != "reference"
        if one.style == "reference":
            kinds.append("reference")
        elif one.style == "points":
            kinds.append(f"s{colour}")
        else:
            kinds.append(f"s{colour} d{dash}{' faint' if one.faint else ''}")
    return kinds


def _finite(series: Series, x: Axis) -> list[tuple[int, float, float]]:
    """Index and coordinates of the points that can be drawn."""
    pairs = enumerate(zip(series.x, series.y, strict=True))
    usable = ((index, float(a), float(b)) for index, (a, b) in pairs if math.isfinite(a) and math.isfinite(b))
    return [point for point in usable if point[1] > 0 or not x.log]


def _draw_series(series: Series, x: Axis, y: Axis, kind: str) -> Html:
    """One series as a path, or as points."""
    points = _finite(series, x)
    colour = kind.split(maxsplit=1)[0]
    if series.style == "points":
        labels = series.labels or [f"{tick_text(a)}, {tick_text(b)}" for a, b in zip(series.x, series.y, strict=True)]
        return join(mark(x(a), y(b), colour, element("title", {}, labels[index])) for index, a, b in points)
    if len(points) == 1:
        return mark(x(points[0][1]), y(points[0][2]), colour, element("title", {}, series.name))
    return element("path", {"class": f"line {kind}", "d": _path(points, x, y)})


def _path(points: Iterable[tuple[int, float, float]], x: Axis, y: Axis) -> str:
    """Path data; a missing index breaks the line, and points on the pixel before are left out."""
    steps: list[str] = []
    before, drawn = -2, ""
    for index, a, b in points:
        at = f"{x(a):.1f} {y(b):.1f}"
        if index != before + 1:
            steps.append(f"M{at}")
        elif at != drawn:
            steps.append(f"L{at}")
        before, drawn = index, at
    return "".join(steps)


def _dot(at_x: float, at_y: float, colour: int, label: str) -> Html:
    """A point that tells its label when pointed at."""
    return element("circle", {"class": f"dot s{colour}", "cx": at_x, "cy": at_y, "r": 3.2}, element("title", {}, label))


def _draw_strip(strip: Strip, centre: float, half: float, y: Axis, colour: int) -> Html:
    """One column of points, its median and its name with the number of values."""
    kept = [(float(value), index) for index, value in enumerate(strip.values) if math.isfinite(value)]
    kept.sort()
    offsets = _swarm([y(value) for value, _ in kept], half)
    parts = [
        _dot(centre + offset, y(value), colour, _strip_label(strip, index, value))
        for (value, index), offset in zip(kept, offsets, strict=True)
    ]
    missing = len(strip.values) - len(kept)
    below = [strip.name, f"n = {len(kept)}{f', {missing} not defined' if missing else ''}"]
    if kept:
        median = statistics.median(value for value, _ in kept)
        line = {"class": "median", "x1": centre - half, "x2": centre + half, "y1": y(median), "y2": y(median)}
        parts.append(element("line", line, element("title", {}, f"median {median:.3f}")))
        below.append(f"median {median:.3f}")
    for drop, text in enumerate(below):
        place = {"class": "tick", "x": centre, "y": y.start + 17 + 15 * drop, "text-anchor": "middle"}
        parts.append(element("text", place, text))
    return join(parts)


def _strip_label(strip: Strip, index: int, value: float) -> str:
    """Tooltip of a point in a strip."""
    return f"{strip.labels[index]}: {value:.3f}" if strip.labels else f"{value:.3f}"


def _swarm(pixels: Sequence[float], half: float, *, apart: float = 7.0) -> list[float]:
    """Sideways offsets that keep sorted points `apart` from each other, the nearest free place first."""
    candidates = [0.0]
    while candidates[-1] + apart <= half - apart:
        candidates += [-(abs(candidates[-1]) + apart), abs(candidates[-1]) + apart]
    placed: list[tuple[float, float]] = []
    for pixel in pixels:
        near = {offset for at, offset in placed[-4 * len(candidates) :] if abs(at - pixel) < apart}
        free = (offset for offset in candidates if offset not in near)
        placed.append((pixel, next(free, candidates[len(placed) % len(candidates)])))
    return [offset for _, offset in placed]


def _draw_bar(bars: Bars, index: int, top: float, thick: float, x: Axis, place: int) -> Html:
    """One bar with its whisker and its value."""
    value = float(bars.values[index])
    middle = top + thick / 2
    if not math.isfinite(value):
        return element("text", {"class": "value", "x": x.start + 6, "y": middle + 4}, "not defined")
    box = {"class": f"bar s{place % COLOURS}", "x": x.start, "y": top + 1, "height": thick - 2}
    parts = [element("rect", {**box, "width": x(value) - x.start})]
    end = x(value)
    if bars.intervals:
        low, high = (x(limit) for limit in bars.intervals[index])
        ends = [(low, middle, high, middle), *((at, middle - 3, at, middle + 3) for at in (low, high))]
        parts += [element("line", {"class": "whisker", "x1": a, "y1": b, "x2": c, "y2": d}) for a, b, c, d in ends]
        end = max(end, high)
    parts.append(element("text", {"class": "value", "x": end + 6, "y": middle + 4}, _short(value)))
    return join(parts)


def _short(value: float) -> str:
    """A value beside its bar: three places below 10, fewer above."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}" if abs(value) < 1000 else f"{value:,.0f}"


def _nothing(x: Axis, y: Axis) -> Html:
    """The words of a chart without data."""
    place = {"class": "label", "x": (x.start + x.end) / 2, "y": (y.start + y.end) / 2, "text-anchor": "middle"}
    return element("text", place, "no data")


def diagonal(name: str = "") -> Series:
    """The line y = x from 0 to 1: chance in a ROC chart, agreement in a reliability chart."""
    return Series(name=name, x=(0.0, 1.0), y=(0.0, 1.0), style="reference")
