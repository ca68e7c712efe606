"""Figures as tables: what each shows, in which order, with the ratio against the reference way of the same case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.record import Figure

TABLES: dict[str, tuple[str, str]] = {
    "latency": (
        "Latency of a slice",
        "From a uint8 256×256×3 array to a mask and probability of that size. A batch's time is divided by its slices.",
    ),
    "cold start": (
        "Cold start",
        "A new process from nothing to its first mask and its end: interpreter, imports, verified model, one slice.",
    ),
    "memory": ("Peak memory", "Most resident memory of a process that loads a model and makes 20 masks of 256×256."),
    "growth": (
        "Memory over a long run",
        "Growth of a process's resident memory over slices of 100 shapes again and again, after the first round.",
    ),
    "reading": (
        "Reading a slice",
        "A slice with its mask from TIFF files that lie in the system's cache, to arrays; 256×256.",
    ),
    "patient": (
        "A patient from disk to disk",
        "36 slices read from TIFF, segmented, and their masks written as TIFF, with the model loaded.",
    ),
    "patients": ("More patients", "The same for 1, 10 and 90 patients of 36 slices."),
    "study": (
        "A study from DICOM to SEG",
        "Three series of 24 slices read, put on one grid, segmented, brought back and written, with the model loaded.",
    ),
    "throughput": (
        "Throughput",
        "36 slices of 256×256 in memory; where there are several callers, as many as cores, with one thread each.",
    ),
    "overhead": ("Overhead of predict", "`Segmenter.predict` against a bare `session.run` of the same graph, 256×256."),
    "in the graph": (
        "Pre- and post-processing in the graph",
        "The shipped graph at 256×256 against the bare network at its own 128×128, onnxruntime's CPU provider.",
    ),
    "verification": ("Loading with verification", "A verified bundle against a bare session from the same bytes."),
    "metrics": (
        "Seven pooled scores",
        "Dice, IoU, precision, recall, F1, ROC-AUC and PR-AUC over every pixel of 256×256 slices.",
    ),
    "scoring memory": (
        "Memory of scoring",
        "Most resident memory of a process that makes slices one after the other and scores them all.",
    ),
    "training": (
        "Training",
        "One epoch of the same network over the same slices at 128×128; ours augments, validates and saves as well.",
    ),
    "side by side": (
        "Two trainings at once",
        "Steps of a U-Net of width 16 on 16 slices, in one process or two, each with all cores unless said otherwise.",
    ),
    "gpu training": (
        "Training on a GPU",
        "A whole run of 40 epochs by the shipped recipe, validation and saving included, on 94 generated patients.",
    ),
    "export": ("Export", "Seconds of each step for a network of the shipped width."),
}
"""Title and method of every table, in the order in which they are shown."""

UNTIMED = frozenset({"memory", "growth", "scoring memory"})
"""Tables of other figures than seconds."""

_IN_SECONDS = {"cold start", "patients", "study", "metrics", "training", "gpu training", "export"}


@dataclass(frozen=True)
class Table:
    """A table, ready to be written."""

    name: str
    title: str
    method: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(figures: Iterable[Figure]) -> Iterator[Table]:
    """The tables for which there are figures."""
    found = list(figures)
    for name, (title, method) in TABLES.items():
        mine = [figure for figure in found if figure.table == name]
        if mine:
            yield _table(name, title, method, mine)


def ratio(figure: Figure, figures: Sequence[Figure]) -> float | None:
    """How many times as fast a way is as its case's reference; None for the reference and where there is none.

    Taken in turns where the benchmark did so, else from the two medians.
    """
    if "ratio" in figure.values:
        return figure.values["ratio"]
    for other in figures:
        if other.reference and other is not figure and (other.table, other.case) == (figure.table, figure.case):
            return (other.median_s / other.units) / (figure.median_s / figure.units)
    return None


def markdown(table: Table) -> str:
    """A table as Markdown, under its title and method."""
    lines = [f"### {table.title}", "", table.method, "", _line(table.headers), _line(["---"] * len(table.headers))]
    return "\n".join([*lines, *map(_line, table.rows), ""])


def _table(name: str, title: str, method: str, figures: list[Figure]) -> Table:
    keys = list(dict.fromkeys(key for figure in figures for key in figure.case))
    extra = list(dict.fromkeys(key for figure in figures for key in figure.values if not key.startswith("ratio")))
    timed = name not in UNTIMED
    unit = "seconds" if name in _IN_SECONDS else "ms"
    compared = any(figure.reference for figure in figures)
    times = [f"{unit} (quartiles)", "times as fast"][: 1 + compared] if timed else []
    headers = (*keys, "way", *times, *(key.replace("_", " ") for key in extra))
    rows = [
        (
            *(str(figure.case.get(key, "")) for key in keys),
            figure.way,
            *(_timing(figure, figures, unit)[: len(times)] if timed else ()),
            *(_value(figure.values.get(key)) for key in extra),
        )
        for figure in figures
    ]
    return Table(name, title, method, headers, tuple(rows))


def _timing(figure: Figure, figures: Sequence[Figure], unit: str) -> tuple[str, str]:
    scale = 1.0 if unit == "seconds" else 1000.0 / figure.units
    low, middle, high = (value * scale for value in (figure.low_s, figure.median_s, figure.high_s))
    faster = ratio(figure, figures)
    against = "reference" if figure.reference else "" if faster is None else f"{faster:.2f}"
    if "ratio" in figure.values:
        against += f" ({figure.values['ratio_low']:.2f} to {figure.values['ratio_high']:.2f})"
    return f"{_short(middle)} ({_short(low)} to {_short(high)})", against


def _short(value: float) -> str:
    return f"{value:.1f}" if value >= 100 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def _value(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
