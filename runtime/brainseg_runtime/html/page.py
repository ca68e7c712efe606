"""Pages from templates: rendering, numbers as readers see them, and pictures as data.

A page is one file that loads nothing: its styles are in its head, charts are inline SVG, pictures are PNG in data URIs,
and its content policy forbids everything else, scripts included. A template extends `base.html`, takes its tables,
badges and pictures from `parts.html`, and lies beside the module that renders it.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import MissingExtraError
from brainseg_runtime.html.axes import tick_text
from brainseg_runtime.images.overlay import encode_png

if TYPE_CHECKING:
    import jinja2

NOT_DEFINED: Final = "\N{EM DASH}"
_HERE: Final = Path(__file__).parent


def render(template: Path, **values: object) -> str:
    """Fill a template in.

    Everything is escaped but what a template itself marks as markup; a name that a template asks for and is not given
    is an error. Lone surrogates, which a file's name can hold, are written as Python escapes them.

    Args:
        template: The file; it may extend and import those of its own folder and of this one.
        values: What it asks for.

    Returns:
        Text to write as UTF-8.

    Raises:
        MissingExtraError: jinja2 or, for a page with pictures, pillow is not installed.
    """
    text = _environment(template.parent).get_template(template.name).render(values)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@cache
def _environment(folder: Path) -> jinja2.Environment:
    """Where the templates of a folder are read and compiled, each once a process."""
    try:
        import jinja2
    except ImportError as error:
        from brainseg_runtime.extras import install_remedy

        raise MissingExtraError("pages need jinja2, which is not installed", remedy=install_remedy("cli")) from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _HERE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (cell, interval_text, number_text, numeric_columns, png_data, px, tick_text)
    environment.filters |= {function.__name__: function for function in filters}
    return environment


def number_text(value: float, places: int = 3) -> str:
    """A number for readers: `places` decimals below 100, none from 1,000 on; what is not finite is a dash.

    >>> [number_text(value) for value in (0.12345, 123.456, 12345.6, 1e-6)]
    ['0.123', '123.5', '12,346', '1.0e-06']
    """
    if not math.isfinite(value):
        return NOT_DEFINED
    size = abs(value)
    if 0 < size < 10.0**-places:
        return f"{value:.1e}"
    return f"{value:.{places if size < 100 else 1 if size < 1000 else 0}f}" if size < 1000 else f"{value:,.0f}"


def interval_text(ends: Sequence[float] | None, places: int = 3) -> str:
    """An interval for readers, `low – high`; a dash if it is undefined.

    >>> interval_text((0.5, 0.75), places=2)
    '0.50 – 0.75'
    """
    if ends is None:
        return NOT_DEFINED
    return f"{number_text(ends[0], places)} \N{EN DASH} {number_text(ends[1], places)}"


def cell(value: object) -> object:
    """The table cell of a value: a dash for None, rounded numbers, anything else unchanged.

    >>> cell(None), cell(0.25), cell(1234), cell(True), cell("text")
    ('—', '0.250', '1,234', 'yes', 'text')
    """
    if value is None:
        return NOT_DEFINED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return number_text(float(value))
    return f"{int(value):,}" if isinstance(value, (int, np.integer)) else value


def numeric_columns(rows: Iterable[Sequence[object]]) -> set[int]:
    """The columns that hold only numbers and gaps; they are right-aligned.

    >>> numeric_columns([("a", 1, None), ("b", None, None)])
    {1}
    """
    return {index for index, column in enumerate(zip(*rows, strict=True)) if _is_numeric(column)}


def _is_numeric(column: Sequence[object]) -> bool:
    """Whether a column holds only numbers and gaps."""
    present = [value for value in column if value is not None]
    numbers = (int, float, np.integer, np.floating)
    return bool(present) and all(isinstance(value, numbers) and not isinstance(value, bool) for value in present)


def png_data(rgb: NDArray[np.uint8]) -> str:
    """A picture as the source of an `img`.

    Args:
        rgb: (H, W, 3) or (H, W) uint8.

    Raises:
        MissingExtraError: pillow is not installed.
    """
    return f"data:image/png;base64,{base64.b64encode(encode_png(rgb)).decode('ascii')}"


def px(value: Any) -> str:  # noqa: ANN401 - any number
    """A coordinate in pixels: two decimals at most.

    >>> px(12.3456), px(7.0)
    ('12.35', '7')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")
