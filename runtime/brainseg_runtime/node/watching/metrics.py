"""What Prometheus scrapes: the queue as it is, and what has happened, counted from the log's events.

Nothing is counted twice or in two places: a part of the node logs an event, and here it becomes a counter. Labels have
few values, and none of them comes from outside: states, reasons, kinds of errors and objects, names of destinations.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from brainseg_runtime.errors import MissingExtraError
from brainseg_runtime.extras import install_remedy
from brainseg_runtime.node.records import Counts
from brainseg_runtime.node.watching.log import Event, Log, level_of
from brainseg_runtime.version import __version__

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

PREFIX: Final = "brainseg_node"

SECONDS: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
"""Bounds of the histogram of a study's time, s."""

_COUNTED: Final[Mapping[Event, tuple[str, str, tuple[str, ...]]]] = {
    "image_received": ("images_received", "Images taken.", ("way",)),
    "image_refused": ("images_refused", "Images not taken.", ("reason",)),
    "association_rejected": ("associations_rejected", "Associations not let in.", ("reason",)),
    "study_failed": ("studies_failed", "Failures of the isolated process or of a study.", ("error",)),
    "study_quarantined": ("studies_quarantined", "Studies given up.", ("error",)),
    "delivered": ("objects_delivered", "Objects that a destination accepted.", ("destination", "kind")),
    "delivery_retried": ("deliveries_retried", "Attempts to send that failed and are made again.", ("destination",)),
    "delivery_quarantined": ("deliveries_quarantined", "Objects that could not be sent.", ("destination",)),
}
"""Events with a counter of their own: its name, its meaning and the fields that are its labels."""


class Metrics:
    """Collects what is scraped, in a registry of its own.

    Args:
        log: Whose events are counted, from now on.
        counts: The queue as it is.
        not_ready: Why the node takes nothing; empty if it does.
        clock: Seconds since 1970.

    Raises:
        MissingExtraError: prometheus-client is not installed.
    """

    def __init__(
        self,
        log: Log,
        *,
        counts: Callable[[], Counts],
        not_ready: Callable[[], object],
        clock: Callable[[], float] = time.time,
    ) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
        except ImportError as error:
            remedy = install_remedy("node")
            raise MissingExtraError("metrics need prometheus-client, which is missing", remedy=remedy) from error
        self.registry: CollectorRegistry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        self._counters = {
            event: (Counter(f"{PREFIX}_{name}", meaning, fields, registry=self.registry), fields)
            for event, (name, meaning, fields) in _COUNTED.items()
        }
        self._segmenting = Histogram(
            f"{PREFIX}_study_seconds",
            "Time from a study's claim to its result.",
            registry=self.registry,
            buckets=SECONDS,
        )
        self._requests = Histogram(
            f"{PREFIX}_http_request_seconds",
            "Time of a request over HTTP.",
            ("route", "method", "status"),
            registry=self.registry,
            buckets=(0.01, 0.1, 1, 10),
        )
        self.registry.register(_Now(log, counts, not_ready, clock))
        log.observe(self._count)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request over HTTP.

        Args:
            route: The route's name, "none" if there is none for the path.
            method: "GET", "POST", "DELETE" or "other".
            status: Of the answer.
            seconds: From its head to the end of the answer.
        """
        self._requests.labels(route, method, str(status)).observe(seconds)

    def _count(self, name: Event, fields: Mapping[str, object]) -> None:
        """One event into its counters."""
        if name in self._counters:
            counter, labels = self._counters[name]
            counter.labels(*(str(fields.get(label, "unknown")) for label in labels)).inc()
        seconds = fields.get("seconds")
        if name == "study_done" and isinstance(seconds, (int, float)):
            self._segmenting.observe(seconds)


class _Now:
    """What is asked for when it is scraped."""

    def __init__(
        self, log: Log, counts: Callable[[], Counts], not_ready: Callable[[], object], clock: Callable[[], float]
    ) -> None:
        self._log = log
        self._counts = counts
        self._not_ready = not_ready
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Every figure, in the form that the client library has."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        counts, now = self._counts(), self._clock()
        gauges = {
            "ready": ("Whether images are taken: 1, or 0.", 0 if self._not_ready() else 1),
            "images": ("Images on the disk.", counts.images),
            "image_bytes": ("Bytes of the images on the disk.", counts.image_bytes),
            "free_bytes": ("Bytes free on the disk.", counts.free_bytes),
            "oldest_waiting_seconds": (
                "How long the next study has waited for a worker.",
                _age(counts.oldest_waiting, now),
            ),
            "oldest_delivery_seconds": (
                "How long the oldest result has waited to be sent.",
                _age(counts.oldest_delivery, now),
            ),
        }
        for name, (meaning, value) in gauges.items():
            yield GaugeMetricFamily(f"{PREFIX}_{name}", meaning, value=value)
        info = GaugeMetricFamily(f"{PREFIX}_info", "The version that runs: 1.", labels=("version",))
        info.add_metric((__version__,), 1)
        yield info
        studies = GaugeMetricFamily(f"{PREFIX}_studies", "Studies by state.", labels=("state",))
        for state, number in counts.studies.items():
            studies.add_metric((state,), number)
        yield studies
        deliveries = GaugeMetricFamily(
            f"{PREFIX}_deliveries", "Objects to send, by destination and state.", labels=("destination", "state")
        )
        for destination, states in counts.deliveries.items():
            for each, number in states.items():
                deliveries.add_metric((destination, each), number)
        yield deliveries
        events = CounterMetricFamily(f"{PREFIX}_events", "Events of the log.", labels=("event", "level"))
        for event, number in sorted(self._log.counts().items()):
            events.add_metric((event, level_of(event)), number)
        yield events
        yield CounterMetricFamily(f"{PREFIX}_log_lines_lost", "Lines that could not be logged.", value=self._log.lost)


def _age(since: float | None, now: float) -> float:
    """How long ago, s; 0 for nothing."""
    return 0.0 if since is None else max(0.0, now - since)
