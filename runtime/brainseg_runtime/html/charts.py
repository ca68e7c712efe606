"""Charts as inline SVG: lines and points over two axes, and strips of points.

Here values become pixels; `chart.html` draws them. Colours are classes that the pages' style sheet defines for light,
dark and paper; a trace also has a dash, a shape or a place of its own, so that colour is never the only sign.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from brainseg_runtime.html.axes import Axis, data_range, tick_text
from brainseg_runtime.html.page import render

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH: Final = 560
HEIGHT: Final = 340
COLOURS: Final = 6
"""Colours of traces that the style sheet defines; the seventh trace starts again."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 72.0, 18.0, 14.0, 52.0
_APART = 7.0  # pixels between neighbouring points of a strip

Range: TypeAlias = tuple[float, float]
Dot: TypeAlias = tuple[float, float, str]
"""x and y in pixels, and the text that is shown when it is pointed at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """Points of one name in a chart with two axes.

    Attributes:
        name: Legend text; empty leaves the trace out of the legend.
        x: Horizontal values.
        y: Vertical values, as many as `x`; NaN breaks a line.
        style: Joined points, the same dashed and grey (a reference to compare with), or points alone.
        labels: Text shown when a point is pointed at, as many as `x` or none; for `points`.
        colour: Index of the colour; None takes them by turns.
        dash: Index of the dash, 0 for none; None takes the colour's own.
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
        """Refuse coordinates or labels that do not pair up."""
        if len(self.x) != len(self.y) or len(self.labels) not in (0, len(self.x)):
            lengths = f"{len(self.x)}, {len(self.y)} and {len(self.labels)}"
            message = f"trace {self.name!r}: x, y and labels must have one length, got {lengths}"
            raise ValueError(message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    """All values of one group, each shown as a point.

    Attributes:
        name: The group, written under its column.
        values: Any numbers; NaN is left out and counted in the column's name.
        labels: Text shown when a point is pointed at, as many as `values` or none.
        colour: Index of the colour; None takes them by turns.
    """

    name: str
    values: Sequence[float]
    labels: Sequence[str] = ()
    colour: int | None = None


def line_chart(
    traces: Sequence[Trace],
    *,
    title: str,
    x_label: str,
    y_label: str,
    x_range: Range | None = None,
    y_range: Range | None = None,
    log_x: bool = False,
    whole_x: bool = False,
) -> Markup:
    """Lines and points over two axes.

    Args:
        traces: What to draw, first at the back; may be empty or hold no finite value, which the chart says.
        title: Text above the chart, and its name for those who cannot see it.
        x_label: Horizontal axis with its unit.
        y_label: Vertical axis with its unit.
        x_range: (low, high); default: what the data needs.
        y_range: (low, high); default: what the data needs.
        log_x: Logarithmic horizontal axis; values ≤ 0 are then not drawn.
        whole_x: Horizontal axis of whole numbers, such as epochs.

    Returns:
        A `figure`, safe to put into a page.
    """
    low, high = x_range or data_range((value for one in traces for value in one.x), log=log_x, whole=whole_x)
    x = Axis(label=x_label, low=low, high=high, start=_LEFT, end=WIDTH - _RIGHT, log=log_x, whole=whole_x)
    y = _vertical(y_label, y_range or data_range(value for one in traces for value in one.y))
    drawn, used = [], 0
    for one in traces:
        drawn.append(_Drawn.of(one, x, y, used))
        used += one.style != "reference"
    return _figure(title, x, y, drawn=drawn, empty=not any(each.points for each in drawn))


def strip_plot(strips: Sequence[Strip], *, title: str, y_label: str, y_range: Range | None = None) -> Markup:
    """Every value of each group as a point, side by side where they are close, with the group's median as a bar.

    Args:
        strips: The groups, left to right; at least one.
        title: Text above the chart, and its name for those who cannot see it.
        y_label: Vertical axis with its unit.
        y_range: (low, high); default: what the data needs.

    Returns:
        A `figure`, safe to put into a page.
    """
    y = _vertical(y_label, y_range or data_range(value for strip in strips for value in strip.values))
    wide = (WIDTH - _RIGHT - _LEFT) / max(1, len(strips))
    centres = [_LEFT + wide * (index + 0.5) for index in range(len(strips))]
    columns = [
        _Column.of(strip, centre, wide * 0.42, y, index)
        for index, (strip, centre) in enumerate(zip(strips, centres, strict=True))
    ]
    groups = Axis(label="", low=math.nan, high=math.nan, start=_LEFT, end=WIDTH - _RIGHT)
    return _figure(title, groups, y, columns=columns, empty=not any(each.dots for each in columns))


def diagonal(name: str = "") -> Trace:
    """The line y = x from 0 to 1: chance in a ROC chart, agreement in a reliability chart."""
    return Trace(name=name, x=(0.0, 1.0), y=(0.0, 1.0), style="reference")


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A trace in pixels."""

    name: str
    style: str
    kind: str  # classes of its line
    points: list[tuple[int, float, float]]
    path: str
    dots: list[Dot]

    @property
    def colour(self) -> str:
        """The class of its colour."""
        return self.kind.split(maxsplit=1)[0]

    @classmethod
    def of(cls, trace: Trace, x: Axis, y: Axis, place: int) -> _Drawn:
        """Place a trace; a line with a single point is drawn as that point."""
        values = enumerate(zip(trace.x, trace.y, strict=True))
        known = [(i, float(a), float(b)) for i, (a, b) in values if math.isfinite(a) and math.isfinite(b)]
        points = [(i, x(a), y(b)) for i, a, b in known if a > 0 or not x.log]
        dots: list[Dot] = []
        if trace.style == "points":
            plain = [f"{tick_text(a)}, {tick_text(b)}" for a, b in zip(trace.x, trace.y, strict=True)]
            dots = [(a, b, (trace.labels or plain)[i]) for i, a, b in points]
        elif len(points) == 1:
            dots = [(a, b, trace.name) for _, a, b in points]
        return cls(trace.name, trace.style, _classes(trace, place), points, "" if dots else _path(points), dots)


@dataclass(frozen=True, slots=True)
class _Column:
    """A strip in pixels, with the lines of text under it."""

    colour: str
    centre: float
    left: float
    right: float
    median: float | None
    dots: list[Dot]
    lines: list[str]

    @classmethod
    def of(cls, strip: Strip, centre: float, half: float, y: Axis, place: int) -> _Column:
        """Place a strip between `centre - half` and `centre + half`."""
        kept = sorted((float(value), index) for index, value in enumerate(strip.values) if math.isfinite(value))
        offsets = _swarm([y(value) for value, _ in kept], half)
        names = [f"{strip.labels[index]}: {value:.3f}" if strip.labels else f"{value:.3f}" for value, index in kept]
        heights = zip(kept, offsets, names, strict=True)
        missing = len(strip.values) - len(kept)
        lines = [strip.name, f"n = {len(kept)}{f', {missing} not defined' if missing else ''}"]
        middle = statistics.median(value for value, _ in kept) if kept else None
        return cls(
            colour=f"s{(place if strip.colour is None else strip.colour) % COLOURS}",
            centre=centre,
            left=centre - half,
            right=centre + half,
            median=None if middle is None else y(middle),
            dots=[(centre + offset, y(value), name) for (value, _), offset, name in heights],
            lines=lines if middle is None else [*lines, f"median {middle:.3f}"],
        )


def _figure(
    title: str, x: Axis, y: Axis, *, drawn: Sequence[_Drawn] = (), columns: Sequence[_Column] = (), empty: bool
) -> Markup:
    """Title, drawing and legend."""
    legend = [each for each in drawn if each.name]
    chart = {"title": title, "x": x, "y": y, "drawn": drawn, "columns": columns, "empty": empty, "legend": legend}
    text = render(Path(__file__).with_name("chart.html"), width=WIDTH, height=HEIGHT, **chart)
    from markupsafe import Markup

    return Markup(text.strip())  # noqa: S704 - the template has escaped it


def _vertical(label: str, ends: Range) -> Axis:
    """The vertical axis."""
    return Axis(label=label, low=ends[0], high=ends[1], start=HEIGHT - _BOTTOM, end=_TOP)


def _classes(trace: Trace, place: int) -> str:
    """The classes that style a trace; references have grey and use no colour up."""
    if trace.style == "reference":
        return "reference"
    colour = (place if trace.colour is None else trace.colour) % COLOURS
    dash = colour if trace.dash is None else trace.dash % COLOURS
    return f"s{colour} d{dash}{' faint' if trace.faint else ''}"


def _path(points: Iterable[tuple[int, float, float]]) -> str:
    """Path data; a missing index breaks the line, and points on the pixel before are left out."""
    steps: list[str] = []
    before, drawn = -2, ""
    for index, x, y in points:
        at = f"{x:.1f} {y:.1f}"
        if index != before + 1:
            steps.append(f"M{at}")
        elif at != drawn:
            steps.append(f"L{at}")
        before, drawn = index, at
    return "".join(steps)


def _swarm(pixels: Sequence[float], half: float) -> list[float]:
    """Sideways offsets that keep sorted points apart from each other, the nearest free place first."""
    candidates = [0.0]
    while candidates[-1] + _APART <= half - _APART:
        candidates += [-(abs(candidates[-1]) + _APART), abs(candidates[-1]) + _APART]
    placed: list[tuple[float, float]] = []
    for pixel in pixels:
        near = {offset for at, offset in placed[-4 * len(candidates) :] if abs(at - pixel) < _APART}
        free = (offset for offset in candidates if offset not in near)
        placed.append((pixel, next(free, candidates[len(placed) % len(candidates)])))
    return [offset for _, offset in placed]
