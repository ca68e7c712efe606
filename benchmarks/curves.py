"""Lines over time, or over what was worked off, as an SVG picture that stands alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

_WIDTH, _HEIGHT = 720, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 20, 36, 44
_COLOURS: Final = ("#1b6ca8", "#c2571a", "#3d8b37")
_TICKS: Final = 5


def curve(places: Sequence[float], lines: Mapping[str, Sequence[float]], *, title: str, unit: str, along: str) -> str:
    """Lines, both axes from zero.

    Args:
        places: On the horizontal axis, such as minutes since the start.
        lines: Values by name, as many as `places` each; NaN leaves a gap.
        title: Written above.
        unit: Of the values.
        along: What the horizontal axis is in, such as "minutes".

    Returns:
        The SVG's text.
    """
    longest = max(places) or 1.0
    highest = max(value for values in lines.values() for value in values if math.isfinite(value)) * 1.1

    def place(at: float, value: float) -> tuple[float, float]:
        x = _LEFT + at / longest * (_WIDTH - _LEFT - _RIGHT)
        return x, _HEIGHT - _BOTTOM - value / highest * (_HEIGHT - _TOP - _BOTTOM)

    parts = [f'<text x="{_LEFT}" y="20">{title}</text>']
    for number in range(_TICKS + 1):
        at, value = longest * number / _TICKS, highest * number / _TICKS
        x, _ = place(at, 0)
        _, y = place(0, value)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.0f}</text>')
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{at:.3g}</text>')
    parts.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{along} ({unit} upwards)</text>')
    for number, (name, values) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        drawn, path = False, ""
        for at, value in zip(places, values, strict=True):
            if not math.isfinite(value):
                drawn = False
                continue
            x, y = place(at, value)
            path += f"{'L' if drawn else 'M'}{x:.1f} {y:.1f}"
            drawn = True
        x = _WIDTH - _RIGHT - 150 * (len(lines) - number) + 20
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{x}" y="20" fill="{colour}">{name}</text>')
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
    inside = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{inside}\n</svg>\n'
    )
