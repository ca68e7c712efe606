"""A measured figure, how one is labelled inside a benchmark, and how a run's figures are kept.

Every benchmark belongs to a table. Within a table a case (network, threads, batch, ...) is what is held equal, and a
way is what differs: ours, or what it is compared with. The reference way of a case is the one that ratios are taken
against, always from the same run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

_KEY = "brainseg"


@dataclass(frozen=True, kw_only=True)
class Label:
    """Where a figure belongs."""

    table: str
    """One of `benchmarks.tables.TABLES`."""
    way: str
    """What differs within a case."""
    case: Mapping[str, str | int] = field(default_factory=dict)
    """What is held equal within a case."""
    reference: bool = False
    """Whether the case's ratios are taken against this way."""
    units: int = 1
    """How many slices (or images) one timed call works on."""


@dataclass(frozen=True, kw_only=True)
class Figure(Label):
    """A label with what was measured."""

    median_s: float
    """Median seconds of one timed call."""
    low_s: float
    """First quartile."""
    high_s: float
    """Third quartile."""
    rounds: int
    values: dict[str, float]
    """Further figures, such as ``peak_rss_mib``."""

    @property
    def unit_ms(self) -> float:
        """Milliseconds a slice (or image)."""
        return 1000.0 * self.median_s / self.units

    def to_json(self) -> dict[str, Any]:
        """As `results.json` keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """As `to_json` made it."""
        return cls(**value)

    @classmethod
    def from_benchmark(cls, value: Mapping[str, Any]) -> Self:
        """From one entry of pytest-benchmark's own JSON."""
        label, stats = value["extra_info"][_KEY], value["stats"]
        return cls(
            **{name: label[name] for name in ("table", "way", "case", "reference", "units", "values")},
            median_s=stats["median"],
            low_s=stats["q1"],
            high_s=stats["q3"],
            rounds=stats["rounds"],
        )


def label(benchmark: BenchmarkFixture, told: Label, **values: float) -> None:
    """Attach a label, and figures that are not seconds, to the running benchmark."""
    benchmark.group = f"{told.table}: {', '.join(f'{key} {value}' for key, value in told.case.items())}".rstrip(": ")
    known = benchmark.extra_info.get(_KEY, {"values": {}})
    benchmark.extra_info[_KEY] = {**asdict(told), "case": dict(told.case), "values": {**known["values"], **values}}
