"""Self-contained HTML reports: a page of sections made of text, tables, figures and pictures.

The page loads nothing: styles are in its head, charts are inline SVG, pictures are PNG data URIs, and its content
policy forbids everything else, scripts included. It follows the reader's light or dark setting, and prints on white.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.html.markup import Html, element, join
from brainseg_runtime.images.overlay import encode_png

NOT_DEFINED = "\N{EM DASH}"
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A heading and what stands under it.

    Attributes:
        title: The heading.
        parts: Markup, or plain text that becomes a paragraph.
    """

    title: str
    parts: Sequence[str]


def page(title: str, sections: Iterable[Section], *, lead: str = "", footer: str = "") -> Html:
    """A whole document.

    Args:
        title: Heading and window title.
        sections: In reading order.
        lead: One or two sentences under the title, or markup.
        footer: Where the page came from: versions, digests, date.

    Returns:
        HTML to write as UTF-8.
    """
    head = element(
        "head",
        {},
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark">'),
        element("title", {}, title),
        Html(f"<style>{_STYLE}</style>"),
    )
    top = element("header", {}, element("h1", {}, title), _paragraph(lead, "lead"))
    body = [element("section", {}, element("h2", {}, one.title), *map(_paragraph, one.parts)) for one in sections]
    end = element("footer", {}, footer) if footer else ""
    return join(
        (Html('<!doctype html>\n<html lang="en">'), head, element("body", {}, top, *body, end), Html("</html>\n"))
    )


def table(
    headers: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "", highlight: int | None = None
) -> Html:
    """A table; columns of numbers are set right, and wide tables scroll within the page.

    Args:
        headers: One for each column; all empty leaves the header out.
        rows: Cells: None is shown as a dash, floats by `number_text`, markup as it is, all else as text.
        caption: Text above the table.
        highlight: Index of a row to set off, such as the winner.

    Returns:
        A table.
    """
    rows = [tuple(row) for row in rows]
    numeric = [_is_numeric([row[column] for row in rows]) for column in range(len(headers))]
    kinds = ["number" if is_number else None for is_number in numeric]
    head = element(
        "tr",
        {},
        *(element("th", {"scope": "col", "class": kind}, name) for name, kind in zip(headers, kinds, strict=True)),
    )
    body = [
        element(
            "tr",
            {"class": "highlight" if index == highlight else None},
            *(element("td", {"class": kind}, cell_text(cell)) for cell, kind in zip(row, kinds, strict=True)),
        )
        for index, row in enumerate(rows)
    ]
    above = element("caption", {}, caption) if caption else ""
    top = element("thead", {}, head) if any(headers) else ""
    whole = element("table", {}, above, top, element("tbody", {}, *body))
    return element("div", {"class": "scroll"}, whole)


def facts(pairs: Iterable[tuple[str, object]]) -> Html:
    """Headline figures: a label and a value each, side by side.

    Args:
        pairs: (label, value); values as in `table`.
    """
    tiles = [
        element("div", {}, element("dt", {}, label), element("dd", {}, cell_text(value))) for label, value in pairs
    ]
    return element("dl", {"class": "facts"}, *tiles)


def figure_png(rgb: NDArray[np.uint8], *, caption: str = "", alt: str = "") -> Html:
    """A picture, embedded.

    Args:
        rgb: (H, W, 3) or (H, W) uint8.
        caption: Text under the picture.
        alt: What it shows, for those who cannot see it; default: the caption.

    Returns:
        A figure.

    Raises:
        MissingExtraError: pillow is not installed.
    """
    data = base64.b64encode(encode_png(rgb)).decode("ascii")
    attributes = {
        "src": Html(f"data:image/png;base64,{data}"),
        "alt": alt or caption,
        "width": rgb.shape[1],
        "height": rgb.shape[0],
    }
    picture = Html(str(element("img", attributes)).removesuffix("</img>"))
    return element("figure", {"class": "picture"}, picture, element("figcaption", {}, caption) if caption else "")


def grid(parts: Iterable[Html], *, narrow: bool = False) -> Html:
    """Figures side by side, as many as the page's width takes: two, or three where they may be `narrow`."""
    return element("div", {"class": "grid narrow" if narrow else "grid"}, *(element("div", {}, part) for part in parts))


def note(text: str, *, kind: str = "info") -> Html:
    """A paragraph set off from the rest.

    Args:
        text: What to say.
        kind: "info", "warning", "pass" or "fail".
    """
    return element("p", {"class": f"note {kind}"}, text)


def badge(text: str, *, kind: str) -> Html:
    """A word set in a box, such as PASS.

    Args:
        text: The word; it carries the meaning, the colour only repeats it.
        kind: "info", "warning", "pass" or "fail".
    """
    return element("span", {"class": f"badge {kind}"}, text)


def swatch(rgb: tuple[int, int, int], name: str) -> Html:
    """A legend entry for a colour drawn in pictures."""
    box = element("rect", {"width": 12, "height": 12, "rx": 2, "fill": f"rgb({rgb[0]},{rgb[1]},{rgb[2]})"})
    sample = element("svg", {"class": "key", "viewBox": "0 0 12 12", "aria-hidden": "true"}, box)
    return element("span", {"class": "swatch"}, sample, name)


def key(name: str, colour: int) -> Html:
    """A name with the colour of its series in front, as in the charts' legends.

    Args:
        name: The name.
        colour: Which of the series' colours, from 0.
    """
    sample = element("rect", {"class": f"bar s{colour}", "width": 12, "height": 12, "rx": 2})
    drawing = element("svg", {"class": "key", "viewBox": "0 0 12 12", "aria-hidden": "true"}, sample)
    return element("span", {"class": "nowrap"}, drawing, name)


def number_text(value: float, *, places: int = 3) -> str:
    """A number for readers: `places` decimals below 100, none from 1,000 on; what is not finite is a dash."""
    if not math.isfinite(value):
        return NOT_DEFINED
    size = abs(value)
    if 0 < size < 10.0**-places:
        return f"{value:.1e}"
    return f"{value:.{places if size < 100 else 1 if size < 1000 else 0}f}" if size < 1000 else f"{value:,.0f}"


def interval_text(low: float | None, high: float | None, *, places: int = 3) -> str:
    """An interval for readers, `low – high`; a dash where either end is missing."""
    if low is None or high is None:
        return NOT_DEFINED
    return f"{number_text(low, places=places)} \N{EN DASH} {number_text(high, places=places)}"


def cell_text(value: object) -> object:
    """What a table shows for a value."""
    if value is None:
        return NOT_DEFINED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return number_text(float(value))
    if isinstance(value, (int, np.integer)):
        return f"{int(value):,}"
    return value


def _is_numeric(column: Sequence[object]) -> bool:
    """Whether a column holds numbers and nothing else but gaps."""
    present = [value for value in column if value is not None]
    numbers = (int, float, np.integer, np.floating)
    return bool(present) and all(isinstance(value, numbers) and not isinstance(value, bool) for value in present)


def _paragraph(part: str, kind: str | None = None) -> Html:
    """Markup as it is; text as a paragraph; nothing for nothing."""
    if isinstance(part, Html):
        return part
    return element("p", {"class": kind}, part) if part else Html("")


_STYLE = """
:root{--ground:#fff;--ink:#1c2126;--soft:#5b6670;--rule:#dde2e7;--faint:#f5f7f9;--reference:#8a949e;
--s0:#1f6fb5;--s1:#d1622b;--s2:#2c8a57;--s3:#8b5aa8;--s4:#b08a12;--s5:#4d5b68;
--pass:#1e7a46;--fail:#b3261e;--warning:#8a5a00;--info:#1f6fb5}
@media (prefers-color-scheme:dark){:root{--ground:#14181c;--ink:#e4e8ec;--soft:#9aa5b0;--rule:#323a42;--faint:#1b2025;
--reference:#77828d;--s0:#6cb2ee;--s1:#f0935f;--s2:#6cc794;--s3:#c39bdf;--s4:#dcbb55;--s5:#aab6c2;
--pass:#6cc794;--fail:#f2867e;--warning:#e3b65a;--info:#6cb2ee}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1180px;padding:40px 32px 56px;background:var(--ground);color:var(--ink);
font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:27px;line-height:1.25;margin:0 0 6px;font-weight:650;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:18px;margin:44px 0 12px;padding-bottom:6px;border-bottom:1px solid var(--rule);font-weight:620}
h3{font-size:16px;margin:26px 0 8px;font-weight:620}
h4{font-size:13.5px;margin:14px 0 8px;font-weight:600;color:var(--soft);overflow-wrap:anywhere}
p{max-width:76ch;margin:0 0 12px}
.lead{color:var(--soft);font-size:16px}
.facts{display:flex;flex-wrap:wrap;gap:12px;margin:4px 0 20px}
.facts div{flex:1 1 150px;border:1px solid var(--rule);border-radius:6px;padding:10px 14px;background:var(--faint)}
.facts dt{color:var(--soft);font-size:12.5px}
.facts dd{margin:2px 0 0;font-size:18px;font-weight:600;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin:0 0 18px}
table{border-collapse:collapse;font-size:13.5px;min-width:min(100%,420px)}
caption{text-align:left;white-space:nowrap;color:var(--soft);padding:0 0 6px;font-size:13px}
th,td{padding:5px 18px 5px 0;text-align:left;border-bottom:1px solid var(--rule);vertical-align:top}
th{color:var(--soft);font-weight:600;border-bottom-color:var(--soft);white-space:nowrap}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
tr.highlight td{font-weight:650;background:var(--faint)}
code{font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:20px 28px;margin:0 0 18px}
.grid.narrow{grid-template-columns:repeat(auto-fill,minmax(min(100%,300px),1fr))}
.grid>div{min-width:0}
figure{margin:0;break-inside:avoid}
.chart>svg{display:block;width:100%;height:auto;max-width:720px}
.chart>figcaption{font-weight:600;font-size:14px;margin:0 0 4px}
.picture img{display:block;width:100%;height:auto;max-width:512px;border-radius:4px;image-rendering:auto}
.picture figcaption{color:var(--soft);font-size:13px;margin-top:6px;overflow-wrap:anywhere}
svg text{font-family:inherit;fill:var(--soft)}
.tick,.value,.label{font-size:11.5px;font-variant-numeric:tabular-nums}
.value{fill:var(--ink)!important;paint-order:stroke;stroke:var(--ground);stroke-width:3px;stroke-linejoin:round}
.label{font-size:12px}
line.grid{stroke:var(--rule);stroke-width:1}
line.axis{stroke:var(--soft);stroke-width:1}
.line{fill:none;stroke-width:1.9;stroke-linejoin:round;stroke-linecap:round}
.dot{stroke:none;opacity:.8}
.line.reference{stroke:var(--reference);stroke-dasharray:5 4;stroke-width:1.4}
.s0{--c:var(--s0)}.s1{--c:var(--s1)}.s2{--c:var(--s2)}.s3{--c:var(--s3)}.s4{--c:var(--s4)}.s5{--c:var(--s5)}
.line{stroke:var(--c)}.dot,.bar{fill:var(--c)}
.line.d1{stroke-dasharray:9 3}.line.d2{stroke-dasharray:2 3}.line.d3{stroke-dasharray:9 3 2 3}
.line.d4{stroke-dasharray:16 4}.line.d5{stroke-dasharray:5 2 1 2 1 2}.faint{opacity:.55;stroke-width:1.2}
.reference{--c:var(--reference)}
.median,.whisker{stroke:var(--ink);stroke-width:1.6}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;margin:4px 0 0;padding:0;font-size:13px;
color:var(--soft)}
.key{width:22px;height:12px;margin-right:6px;vertical-align:-1px}
.nowrap{white-space:nowrap}.nowrap .key{width:11px;height:11px}
.swatch{display:inline-block;margin-right:18px;font-size:13px;color:var(--soft)}.swatch .key{width:12px}
.note{border-left:3px solid var(--rule);padding:6px 0 6px 14px}
.note.warning{border-color:var(--warning)}.note.pass{border-color:var(--pass)}.note.fail{border-color:var(--fail)}
.note.info{border-color:var(--info)}
.sign{margin:44px 0 0;max-width:340px;border-top:1px solid var(--soft);color:var(--soft);font-size:12.5px}
.badge{display:inline-block;font-weight:650;font-size:12px;letter-spacing:.03em;padding:0 8px;border:1px solid;
border-radius:4px}
.badge.pass{color:var(--pass)}.badge.fail{color:var(--fail)}.badge.warning{color:var(--warning)}
.badge.info{color:var(--info)}
footer{margin-top:48px;padding-top:12px;border-top:1px solid var(--rule);color:var(--soft);font-size:12.5px;
overflow-wrap:anywhere}
@media print{:root{--ground:#fff;--ink:#000;--soft:#444;--rule:#ccc;--faint:#fff;--reference:#777;
--s0:#1f6fb5;--s1:#d1622b;--s2:#2c8a57;--s3:#8b5aa8;--s4:#b08a12;--s5:#4d5b68;--pass:#1e7a46;--fail:#b3261e;
--warning:#8a5a00;--info:#1f6fb5}
body{max-width:none;padding:0;font-size:10.5pt}.scroll{overflow:visible}h2{break-after:avoid}
table{font-size:8.5pt}th,td{padding-left:4px;padding-right:4px}
tr{break-inside:avoid}thead{display:table-header-group}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
""".strip()
