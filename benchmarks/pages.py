"""The benchmark page: every table, engines as bars, latency against Dice, growth as curves; one self-contained file."""

from __future__ import annotations

import math
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.tables import UNTIMED, tables
from brainseg_runtime.html.charts import Trace, line_chart
from brainseg_runtime.html.page import render as render_template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from markupsafe import Markup

    from benchmarks.record import Figure


def render(figures: Sequence[Figure], machine: Mapping[str, object], dice: Mapping[str, Mapping[str, float]]) -> str:
    """The whole page.

    Args:
        figures: All of a run.
        machine: What it ran on.
        dice: Mean volume Dice of a network's variants, as the bundles' manifests state it.
    """
    sections = []
    for shown in tables(figures):
        drawn = {"patient", "patients"} if shown.name == "patients" else {shown.name}
        mine = [figure for figure in figures if figure.table in drawn]
        section: dict[str, object] = {"title": shown.title, "headers": shown.headers, "rows": shown.rows}
        section |= {"method": shown.method.replace("`", ""), "bars": list(_bars(shown.name, mine))}
        sections.append({**section, "charts": list(_charts(shown.name, mine, dice))})
    return render_template(
        Path(__file__).with_name("page.html"),
        title="brainseg benchmarks",
        sections=sections,
        machine=", ".join(f"{key}: {_plain(value)}" for key, value in machine.items()),
    )


def _charts(name: str, figures: Sequence[Figure], dice: Mapping[str, Mapping[str, float]]) -> Iterator[Markup]:
    if name == "latency":
        yield from _front(figures, dice)
    elif name == "patients":
        yield _growth_curves(figures)


def _bars(name: str, figures: Sequence[Figure]) -> Iterator[dict[str, object]]:
    if name == "latency":
        yield from _latency_bars(figures)
    elif name in UNTIMED:
        values = [figure.values["growth_mib" if name == "growth" else "peak_rss_mib"] for figure in figures]
        yield _bar_table("Resident memory", "MiB", ["resident"], [_row_name(f) for f in figures], [[v] for v in values])
    elif name != "patients":
        medians = [[figure.median_s] for figure in figures]
        yield _bar_table("Median time", "s", ["median"], [_row_name(figure) for figure in figures], medians)


def _bar_table(
    title: str, unit: str, names: Sequence[str], rows: Sequence[str], values: Sequence[Sequence[float]]
) -> dict[str, object]:
    """A bar for each name in each row; NaN draws none."""
    highest = max((one for row in values for one in row if not math.isnan(one)), default=1.0)
    shown = [{"name": name, "figures": row} for name, row in zip(rows, values, strict=True)]
    return {"title": title, "unit": unit, "names": names, "rows": shown, "highest": highest or 1.0}


def _latency_bars(figures: Sequence[Figure]) -> Iterator[dict[str, object]]:
    """Bars for each number of threads at batch 1: a row an engine, a bar a network."""
    singles = sorted((f for f in figures if f.case.get("batch") == 1), key=lambda f: str(f.case["threads"]))
    for threads, group in groupby(singles, key=lambda f: f.case["threads"]):
        of_threads = list(group)
        ways = list(dict.fromkeys(figure.way for figure in of_threads))
        networks = list(dict.fromkeys(str(figure.case["network"]) for figure in of_threads))
        found = {(figure.way, str(figure.case["network"])): figure.unit_ms for figure in of_threads}
        values = [[found.get((way, network), math.nan) for network in networks] for way in ways]
        yield _bar_table(f"One slice, threads: {threads}", "ms", networks, ways, values)


def _front(figures: Sequence[Figure], dice: Mapping[str, Mapping[str, float]]) -> Iterator[Markup]:
    """Latency against Dice, a point for each network and engine; only where the bundles carry their Dice."""
    points: dict[str, list[tuple[float, float, str]]] = {}
    for figure in figures:
        network = str(figure.case.get("network"))
        score = dice.get(network, {}).get("int8" if "int8" in figure.way else "fp32")
        if score is not None and figure.case.get("batch") == 1:
            label = f"{network}, {figure.way}, threads: {figure.case['threads']}"
            points.setdefault(network, []).append((figure.unit_ms, score, label))
    if points:
        traces = [
            Trace(
                name=network,
                x=[point[0] for point in of_network],
                y=[point[1] for point in of_network],
                style="points",
                labels=[point[2] for point in of_network],
            )
            for network, of_network in points.items()
        ]
        yield line_chart(
            traces, title="Latency against Dice", x_label="ms a slice", y_label="mean volume Dice", log_x=True
        )


def _growth_curves(figures: Sequence[Figure]) -> Markup:
    curves: dict[str, list[Figure]] = {}
    for figure in figures:
        curves.setdefault(f"{figure.way}, threads: {figure.case['threads']}", []).append(figure)
    traces = [
        Trace(
            name=name,
            x=[float(figure.case["patients"]) for figure in of_curve],
            y=[figure.median_s for figure in of_curve],
        )
        for name, of_curve in curves.items()
    ]
    return line_chart(traces, title="Seconds for more patients", x_label="patients", y_label="s")


def _row_name(figure: Figure) -> str:
    return ", ".join([*(f"{key} {value}" for key, value in figure.case.items()), figure.way])


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
