"""Axes: from data to pixels, with round tick values.

Units: data coordinates are the caller's; pixels are SVG user units, y downwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_LEAST = 1e-300  # least value on a logarithmic axis: half of it still has a finite logarithm
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
        if self.log:
            low, high, at = (math.log10(each) for each in (self.low, self.high, max(value, self.low)))
        else:
            low, high, at = self.low, self.high, value
        fraction = min(1.0, max(0.0, (at - low) / (high - low)))
        return self.start + fraction * (self.end - self.start)

    def ticks(self) -> tuple[float, ...]:
        """Round values between `low` and `high`."""
        return log_ticks(self.low, self.high) if self.log else linear_ticks(self.low, self.high, whole=self.whole)


def linear_ticks(low: float, high: float, *, count: int = 5, whole: bool = False) -> tuple[float, ...]:
    """About `count` evenly spaced round numbers within [low, high].

    >>> linear_ticks(0, 1)
    (0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0)

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
    """Powers of ten within [low, high]; with 2 and 5 between them where fewer than three fit.

    >>> log_ticks(1, 1000), log_ticks(1, 20)
    ((1.0, 10.0, 100.0, 1000.0), (1.0, 2.0, 5.0, 10.0, 20.0))
    """
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
    """A tick's value as short text: no trailing zeros, powers of ten where the plain form is long.

    >>> [tick_text(value) for value in (0.1 + 0.2, 1500, 2.5e7)]
    ['0.3', '1,500', '2.5e7']
    """
    if value == 0:
        return "0"
    text = f"{value:,.10g}"
    if abs(value) >= 1e6 or abs(value) < 1e-3:
        mantissa, exponent = f"{value:.2e}".split("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return text.replace("-", "\N{MINUS SIGN}")
