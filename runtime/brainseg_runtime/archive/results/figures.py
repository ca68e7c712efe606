"""What rows say as a whole: distributions, by site and by scanner, kinds of warnings and errors, and outliers.

The classes here are parts of `archive.json`, field by field.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from brainseg_runtime.archive.results.outliers import Middle, Middles, Outlier, Unit, outliers
from brainseg_runtime.archive.working.rows import Row

_BINS: Final = 24
_GROUPS: Final = 40
"""Sites and scanners that are listed, those with the most studies; the rest is one more."""

_KINDS: Final = 40
"""Kinds of warnings and errors that are listed."""

_IN_BRACKETS: Final = re.compile(r" \([^()]*\d[^()]*\)")
_FIGURE: Final = re.compile(r"(?<!\w)\d[\d.,x]*%?(?!\w)")
"""What differs from study to study in texts of one kind; T1 is none."""

_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)

_ALIKE: Final = 1e-9
"""Relative distance below which values count as equal: bins between them would be narrower than a float's steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """How a measure is distributed.

    Attributes:
        n: Studies that have it.
        mean: Null, as all that follow, if none has it.
        quantiles: At 5, 25, 50, 75 and 95 %.
        edges: Of the histogram's bins, one more than `counts`.
        counts: Studies by bin.
    """

    n: int
    mean: float | None = None
    quantiles: tuple[float, ...] | None = None
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of values.

        >>> Spread.of([1.0, 2.0, 3.0]).quantiles[2]
        2.0
        """
        if not values:
            return cls(n=0)
        array = np.asarray(values, np.float64)
        low, high = float(array.min()), float(array.max())
        if high - low <= _ALIKE * max(abs(low), abs(high)):
            low, high = low - 0.5, high + 0.5
        counts, edges = np.histogram(array, bins=_BINS, range=(low, high))
        return cls(
            n=len(values),
            mean=float(array.mean()),
            quantiles=tuple(float(each) for each in np.quantile(array, _QUANTILES)),
            edges=tuple(float(each) for each in edges),
            counts=tuple(int(each) for each in counts),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """The studies of one site or scanner.

    Attributes:
        name: "" where it is unknown.
        n: Studies.
        failed: Those that failed.
        warned: Done ones with a warning.
        empty: Done ones in which nothing is marked.
        volume: Quartiles of the marked volumes in `volume_unit`; null without any.
        area: Quartiles of each study's largest area, pixels.
        confidence: Quartiles.
    """

    name: str
    n: int
    failed: int
    warned: int
    empty: int
    volume: tuple[float, ...] | None
    area: tuple[float, ...] | None
    confidence: tuple[float, ...] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """A kind and how often it came."""

    kind: str
    n: int


@dataclass(slots=True)
class _Members:
    """What is gathered of one group."""

    n: int = 0
    failed: int = 0
    warned: int = 0
    empty: int = 0
    ml: list[float] = field(default_factory=list)
    voxels: list[float] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Add a row."""
        self.n += 1
        if row.status == "failed":
            self.failed += 1
            return
        self.warned += bool(row.warnings)
        self.empty += not row.volume_px
        if row.volume_px:
            self.voxels.append(float(row.volume_px))
            if row.volume_ml is not None:
                self.ml.append(row.volume_ml)
            self.areas.append(float(max(row.areas or (0,))))
        if row.confidence is not None:
            self.confidences.append(row.confidence)

    def volumes(self, unit: Unit) -> list[float]:
        """The marked volumes that are known in a unit."""
        return self.ml if unit == "mL" else self.voxels

    def group(self, name: str, unit: Unit) -> Group:
        """The group's figures."""
        return Group(
            name=name,
            n=self.n,
            failed=self.failed,
            warned=self.warned,
            empty=self.empty,
            volume=_quartiles(self.volumes(unit)),
            area=_quartiles(self.areas),
            confidence=_quartiles(self.confidences),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What rows say as a whole, as `summary.Archive` has it."""

    n_rows: int
    volume_unit: Unit
    volume: Spread
    area: Spread
    confidence: Spread
    warnings: tuple[Counted, ...]
    errors: tuple[Counted, ...]
    sites: tuple[Group, ...]
    scanners: tuple[Group, ...]
    outliers: tuple[Outlier, ...]


def figures(rows: Callable[[], Iterable[Row]]) -> Figures:
    """The figures of all rows, which are gone through twice and not kept.

    Args:
        rows: Gives every row, once, whenever it is called.
    """
    everything = _Members()
    by_site: dict[str, _Members] = defaultdict(_Members)
    by_scanner: dict[str, _Members] = defaultdict(_Members)
    warnings: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for row in rows():
        for members in (everything, by_site[row.site], by_scanner[row.scanner]):
            members.add(row)
        warnings.update({kind_of_warning(text) for text in row.warnings})
        if row.error is not None:
            errors[kind_of_error(row)] += 1
    unit: Unit = "mL" if everything.ml or not everything.voxels else "voxels"
    sizes = [math.log(each) for each in everything.volumes(unit) if each > 0]
    middles = Middles(Middle.of(sizes), Middle.of(everything.confidences), unit)
    return Figures(
        n_rows=everything.n,
        volume_unit=unit,
        volume=Spread.of(everything.volumes(unit)),
        area=Spread.of(everything.areas),
        confidence=Spread.of(everything.confidences),
        warnings=_counted(warnings),
        errors=_counted(errors),
        sites=_groups(by_site, unit),
        scanners=_groups(by_scanner, unit),
        outliers=tuple(outliers(rows(), middles)),
    )


def kind_of_error(row: Row) -> str:
    """What a failed study's error is about, without its path.

    >>> error = {"kind": "StudyError", "what": "/data/a is empty"}
    >>> kind_of_error(Row(id="0" * 64, status="failed", source="a", name="a", error=error))
    'StudyError: ... is empty'
    """
    parts = row.error or {}
    what = str(parts.get("what"))
    for own in {row.source, row.name} - {"", "."}:
        what = re.sub(rf"\S*(?<!\w){re.escape(own)}(?!\w)\S*", "...", what)
    return f"{parts.get('kind')}: {_without_figures(what)}"[:160]


def kind_of_warning(text: str) -> str:
    """What a warning is about, without the figures of one study.

    >>> kind_of_warning("2 of 36 slices: intensity range: FLAIR has mean 3, training had 20 to 60")
    'intensity range: FLAIR'
    >>> kind_of_warning("coverage: the T1 covers 71% of FLAIR's head (expected 90%); check it")
    "coverage: the T1 covers ... of FLAIR's head"
    """
    plain = text.partition(" slices: ")[2] or text
    return _without_figures(plain.partition(" has ")[0]).partition(";")[0][:120]


def _without_figures(text: str) -> str:
    """A text without figures, and without what is said of them in brackets."""
    return _FIGURE.sub("...", _IN_BRACKETS.sub("", text))


def _groups(members: Mapping[str, _Members], unit: Unit) -> tuple[Group, ...]:
    """Groups, the largest first; those beyond `_GROUPS` are one."""
    ordered = sorted(members.items(), key=lambda item: (-item[1].n, item[0]))
    groups = [each.group(name, unit) for name, each in ordered[:_GROUPS]]
    if rest := [each for _, each in ordered[_GROUPS:]]:
        merged = _Members()
        for each in rest:
            merged.n, merged.failed = merged.n + each.n, merged.failed + each.failed
            merged.warned, merged.empty = merged.warned + each.warned, merged.empty + each.empty
            merged.ml += each.ml
            merged.voxels += each.voxels
            merged.areas += each.areas
            merged.confidences += each.confidences
        groups.append(merged.group(f"{len(rest)} others", unit))
    return tuple(groups)


def _quartiles(values: Sequence[float]) -> tuple[float, ...] | None:
    return tuple(float(each) for each in np.quantile(values, (0.25, 0.5, 0.75))) if values else None


def _counted(kinds: Counter[str]) -> tuple[Counted, ...]:
    return tuple(Counted(kind=kind, n=n) for kind, n in sorted(kinds.items(), key=lambda item: (-item[1], item[0])))[
        :_KINDS
    ]
