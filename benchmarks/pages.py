"""The benchmark page: every table, engines as bars, latency against Dice, growth as curves; one self-contained file."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from benchmarks.tables import UNTIMED, tables
from brainseg_runtime.html.charts import Bars, Series, bar_chart, line_chart
from brainseg_runtime.html.page import Section, page, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
        parts = [shown.method.replace("`", ""), *_charts(shown.name, mine, dice), table(shown.headers, shown.rows)]
        sections.append(Section(title=shown.title, parts=parts))
    return page(
        "brainseg benchmarks",
        sections,
        lead="Ratios are within one run; absolute times are this machine's alone.",
        footer=", ".join(f"{key}: {_plain(value)}" for key, value in machine.items()),
    )


def _charts(name: str, figures: Sequence[Figure], dice: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    if name == "latency":
        yield from _latency_bars(figures)
        yield from _front(figures, dice)
    elif name == "patients":
        yield _growth_curves(figures)
    elif name in UNTIMED:
        rows = [_row_name(figure) for figure in figures]
        values = [figure.values["growth_mib" if name == "growth" else "peak_rss_mib"] for figure in figures]
        yield bar_chart(rows, [Bars(name="resident", values=values)], title="Resident memory", x_label="MiB")
    else:
        yield bar_chart(
            [_row_name(figure) for figure in figures],
            [Bars(name="median", values=[figure.median_s for figure in figures])],
            title="Seconds",
            x_label="s",
        )


def _latency_bars(figures: Sequence[Figure]) -> Iterator[str]:
    """A chart for each number of threads at batch 1: a row an engine, a set of bars a network."""
    singles = sorted((f for f in figures if f.case.get("batch") == 1), key=lambda f: str(f.case["threads"]))
    for threads, group in groupby(singles, key=lambda f: f.case["threads"]):
        of_threads = list(group)
        ways = list(dict.fromkeys(figure.way for figure in of_threads))
        networks = list(dict.fromkeys(str(figure.case["network"]) for figure in of_threads))
        found = {(figure.way, str(figure.case["network"])): figure.unit_ms for figure in of_threads}
        bars = [
            Bars(name=network, values=[found.get((way, network), float("nan")) for way in ways]) for network in networks
        ]
        yield bar_chart(ways, bars, title=f"One slice, threads: {threads}", x_label="ms")


def _front(figures: Sequence[Figure], dice: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Latency against Dice, a point for each network and engine; only where the bundles carry their Dice."""
    points: dict[str, list[tuple[float, float, str]]] = {}
    for figure in figures:
        network = str(figure.case.get("network"))
        score = dice.get(network, {}).get("int8" if "int8" in figure.way else "fp32")
        if score is not None and figure.case.get("batch") == 1:
            label = f"{network}, {figure.way}, threads: {figure.case['threads']}"
            points.setdefault(network, []).append((figure.unit_ms, score, label))
    if points:
        series = [
            Series(
                name=network,
                x=[point[0] for point in of_network],
                y=[point[1] for point in of_network],
                style="points",
                labels=[point[2] for point in of_network],
            )
            for network, of_network in points.items()
        ]
        yield line_chart(
            series, title="Latency against Dice", x_label="ms a slice", y_label="mean volume Dice", log_x=True
        )


def _growth_curves(figures: Sequence[Figure]) -> str:
    curves: dict[str, list[Figure]] = {}
    for figure in figures:
        curves.setdefault(f"{figure.way}, threads: {figure.case['threads']}", []).append(figure)
    series = [
        Series(
            name=name,
            x=[float(figure.case["patients"]) for figure in of_curve],
            y=[figure.median_s for figure in of_curve],
        )
        for name, of_curve in curves.items()
    ]
    return line_chart(series, title="Seconds for more patients", x_label="patients", y_label="s")


def _row_name(figure: Figure) -> str:
    return ", ".join([*(f"{key} {value}" for key, value in figure.case.items()), figure.way])


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
