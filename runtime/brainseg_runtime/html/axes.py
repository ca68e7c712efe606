"""What every chart has: axes from data to pixels with round tick values, a title, a legend.

Units: data coordinates are the caller's; pixels are SVG user units, y downwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from brainseg_runtime.html.markup import Html, element, join

WIDTH = 560.0  # of a chart, before the page scales it
_LEAST = 1e-300  # of a logarithmic axis: half of it is still a number whose logarithm is finite
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)  # mantissas that people read without effort


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """One direction of a chart.

    Attributes:
        label: What the axis measures, with its unit.
        low: Data value at `start`.
        high: Data value at `end`; above `low`.
        start: Pixel of `low`.
        end: Pixel of `high`.
        log: Whether equal distances are equal ratios.
        whole: Whether only whole numbers are marked, for what is counted.
    """

    label: str
    low: float
    high: float
    start: float
    end: float
    log: bool = False
    whole: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a data value, clipped to the axis."""
        low, high, at = (
            (math.log10(v) for v in (self.low, self.high, max(value, self.low)))
            if self.log
            else (
                self.low,
                self.high,
                value,
            )
        )
        share = min(1.0, max(0.0, (at - low) / (high - low)))
        return self.start + share * (self.end - self.start)

    def ticks(self) -> tuple[float, ...]:
        """Round values between `low` and `high`."""
        return log_ticks(self.low, self.high) if self.log else linear_ticks(self.low, self.high, whole=self.whole)


def linear_ticks(low: float, high: float, *, count: int = 5, whole: bool = False) -> tuple[float, ...]:
    """About `count` evenly spaced round numbers within [low, high].

    Args:
        low: Lower end, finite.
        high: Upper end, finite and above `low`.
        count: Wanted number of intervals, at least 1.
        whole: Only whole numbers; none where the range holds none.
    """
    rough = max((high - low) / count, 1.0 if whole else 0.0)
    power = 10.0 ** math.floor(math.log10(rough))
    steps = (mantissa * power for mantissa in _STEPS)
    step = next(step for step in steps if step >= rough * (1 - 1e-9) and (step.is_integer() or not whole))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Powers of ten within [low, high]; with 2 and 5 between them where fewer than three fit."""
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)

    def within(mantissas: Iterable[float]) -> tuple[float, ...]:
        values = (mantissa * 10.0**decade for decade in decades for mantissa in mantissas)
        return tuple(value for value in values if low * (1 - 1e-9) <= value <= high * (1 + 1e-9))

    tens = within((1.0,))
    return tens if len(tens) > 2 else within((1.0, 2.0, 5.0))


def data_range(values: Iterable[float], *, log: bool = False, whole: bool = False) -> tuple[float, float]:
    """The range that shows all finite values, widened to round numbers.

    Args:
        values: Any numbers; NaN and infinities are passed over, and so are values below 1e-300 when `log`.
        log: Whether the axis is logarithmic.
        whole: Whether the values are counted: the range then ends at the first and the last.

    Returns:
        (low, high) with low < high; (0, 1), or (0.1, 1) when `log`, where no value is left.
    """
    finite = [value for value in values if math.isfinite(value) and (value >= _LEAST or not log)]
    if not finite:
        return (0.1, 1.0) if log else (0.0, 1.0)
    low, high = min(finite), max(finite)
    if log:
        if high <= low * 1.0001:
            return low / 2, high * 2
        margin = 10 ** min(1.0, 0.03 * (math.log10(high) - math.log10(low)))  # so that no point lies on the frame
        return low / margin, high * margin
    if whole and abs(high) < 2**52:
        return (low, high) if high > low else (low - 0.5, high + 0.5)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        margin = abs(high) / 2 or 1.0
        return low - margin, high + margin
    ticks = linear_ticks(low, high)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else high - low
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def tick_text(value: float) -> str:
    """A tick's value as short text: no trailing zeros, powers of ten where the plain form is long."""
    if value == 0:
        return "0"
    text = f"{value:,.10g}"
    if abs(value) >= 1e6 or abs(value) < 1e-3:
        mantissa, exponent = f"{value:.2e}".split("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return text.replace("-", "\N{MINUS SIGN}")


def frame(x: Axis, y: Axis, *, x_ticks: bool = True, y_ticks: bool = True) -> Html:
    """Grid lines, tick values and labels of two axes, drawn under the data.

    Args:
        x: Horizontal axis, `start` left of `end`.
        y: Vertical axis, `start` below `end`, that is with the larger pixel.
        x_ticks: Whether x carries values; a chart of categories writes its own.
        y_ticks: Likewise for y.
    """
    parts = [_x_tick(x, y, value) for value in x.ticks()] if x_ticks else []
    parts += [_y_tick(x, y, value) for value in y.ticks()] if y_ticks else []
    parts.append(_line("axis", x.start, y.start, x.end, y.start))
    if y_ticks:
        parts.append(_line("axis", x.start, y.start, x.start, y.end))
    middle = (x.start + x.end) / 2
    parts.append(_text(x.label, middle, y.start + 38, "middle", "label"))
    if y.label:
        turn = (x.start - 56, (y.start + y.end) / 2)
        parts.append(
            element(
                "text",
                {
                    "class": "label",
                    "text-anchor": "middle",
                    "transform": f"translate({turn[0]:.1f} {turn[1]:.1f}) rotate(-90)",
                },
                y.label,
            )
        )
    return join(parts)


def figure(
    title: str, parts: Iterable[Html], height: float, legend: Sequence[tuple[str, str, str]], *, width: float = WIDTH
) -> Html:
    """Title, drawing and legend as one figure.

    Args:
        title: Text above the drawing, and its name for those who cannot see it.
        parts: What is drawn, back to front.
        height: Of the drawing, pixels.
        legend: Entries of (name, classes of the colour and dash, "line", "reference", "points" or "bar"); none leaves
            the legend out.
        width: Of the drawing, pixels.
    """
    attributes = {"viewBox": f"0 0 {width:.0f} {height:.0f}", "role": "img", "aria-label": title}
    drawing = element("svg", attributes, join(parts))
    keys = [element("li", {}, _key(colour, style), name) for name, colour, style in legend]
    below = element("ul", {"class": "legend"}, *keys) if keys else ""
    return element("figure", {"class": "chart"}, element("figcaption", {}, title), drawing, below)


def _key(colour: str, style: str) -> Html:
    """The small sample of a legend entry."""
    if style == "points":
        sample = mark(11, 6, colour)
    elif style == "bar":
        sample = element("rect", {"class": f"bar {colour}", "x": 4, "y": 1, "width": 14, "height": 10})
    else:
        sample = element("line", {"class": f"line {colour}", "x1": 1, "y1": 6, "x2": 21, "y2": 6})
    return element("svg", {"class": "key", "viewBox": "0 0 22 12", "aria-hidden": "true"}, sample)


def mark(x: float, y: float, colour: str, *children: Html) -> Html:
    """A point; those of the second and third colour have a shape of their own too.

    Args:
        x: Centre, pixels.
        y: Centre, pixels.
        colour: The colour's class, such as ``s1``.
        *children: What stands in the element, such as its title.
    """
    if colour == "s1":
        box = {"class": f"dot {colour}", "x": x - 3.0, "y": y - 3.0, "width": 6, "height": 6}
        return element("rect", box, *children)
    if colour == "s2":
        path = f"M{x:.2f} {y - 4.2:.2f}l4.2 4.2l-4.2 4.2l-4.2 -4.2z"
        return element("path", {"class": f"dot {colour}", "d": path}, *children)
    return element("circle", {"class": f"dot {colour}", "cx": x, "cy": y, "r": 3.2}, *children)


def _x_tick(x: Axis, y: Axis, value: float) -> Html:
    """One vertical grid line with its value below."""
    at = x(value)
    return join((_line("grid", at, y.start, at, y.end), _text(tick_text(value), at, y.start + 17, "middle", "tick")))


def _y_tick(x: Axis, y: Axis, value: float) -> Html:
    """One horizontal grid line with its value on the left."""
    at = y(value)
    return join((_line("grid", x.start, at, x.end, at), _text(tick_text(value), x.start - 8, at + 4, "end", "tick")))


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Html:
    """A straight line of a class."""
    return element("line", {"class": kind, "x1": x1, "y1": y1, "x2": x2, "y2": y2})


def _text(text: str, x: float, y: float, anchor: str, kind: str) -> Html:
    """A line of text, anchored at its start, middle or end."""
    return element("text", {"class": kind, "x": x, "y": y, "text-anchor": anchor}, text)
