"""Figures are the queue's and the log's, in Prometheus' own format, and their labels are a closed set."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from brainseg_runtime.node.watching.log import Label, Log
from brainseg_runtime.node.watching.metrics import Metrics
from tests.runtime.node.watching.made_queue import IDENTIFYING, MadeQueue, made_queue

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[MadeQueue]:
    made = made_queue(tmp_path / "state")
    yield made
    made.store.close()


def samples(metrics: Metrics) -> Samples:
    """Every figure by its name and labels, read by Prometheus' own parser."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def figure(found: Samples, name: str, **labels: str) -> float:
    return found[f"brainseg_node_{name}", frozenset(labels.items())]


def metrics_of(queue: MadeQueue, log: Log, reasons: list[str] | None = None) -> Metrics:
    return Metrics(log, counts=queue.store.counts, not_ready=lambda: reasons or [])


def test_the_queue_is_shown_as_it_is(queue: MadeQueue) -> None:
    reasons: list[str] = []
    found = samples(Metrics(Log(io.StringIO()), counts=queue.store.counts, not_ready=lambda: reasons))
    assert figure(found, "studies", state="done") == 1
    assert figure(found, "studies", state="quarantined") == 1
    assert figure(found, "studies", state="receiving") == 1
    assert figure(found, "studies", state="waiting") == 0
    assert figure(found, "deliveries", destination="pacs", state="sent") == 1
    assert figure(found, "deliveries", destination="pacs", state="waiting") == 1
    assert figure(found, "images") == 6
    assert figure(found, "image_bytes") == queue.store.counts().image_bytes
    assert figure(found, "free_bytes") > 0
    assert figure(found, "oldest_waiting_seconds") == 0
    assert figure(found, "oldest_delivery_seconds") >= 0


def test_readiness_is_one_or_zero(queue: MadeQueue) -> None:
    assert figure(samples(metrics_of(queue, Log(io.StringIO()))), "ready") == 1
    assert figure(samples(metrics_of(queue, Log(io.StringIO()), ["draining"])), "ready") == 0


def test_waiting_is_told_in_seconds(queue: MadeQueue) -> None:
    queue.store.rerun(queue.keys["done"])
    began = queue.store.counts().oldest_waiting
    assert began is not None
    log = Log(io.StringIO())
    found = samples(Metrics(log, counts=queue.store.counts, not_ready=list, clock=lambda: began + 90))
    assert figure(found, "oldest_waiting_seconds") == pytest.approx(90)


def test_events_become_counters(queue: MadeQueue) -> None:
    log = Log(io.StringIO())
    metrics = metrics_of(queue, log)
    for _ in range(3):
        log.event("image_received", way=Label("dimse"), size=10)
    log.event("image_refused", reason=Label("too_large"))
    log.event("study_quarantined", error=Label("StudyError"))
    log.event("delivered", destination=Label("pacs"), kind=Label("seg"), seconds=0.1)
    log.event("study_done", seconds=4.0)
    found = samples(metrics)
    assert figure(found, "images_received_total", way="dimse") == 3
    assert figure(found, "images_refused_total", reason="too_large") == 1
    assert figure(found, "studies_quarantined_total", error="StudyError") == 1
    assert figure(found, "objects_delivered_total", destination="pacs", kind="seg") == 1
    assert figure(found, "study_seconds_sum") == 4.0
    assert figure(found, "study_seconds_bucket", le="5.0") == 1
    assert figure(found, "study_seconds_bucket", le="2.0") == 0
    assert figure(found, "events_total", event="image_received", level="info") == 3
    assert figure(found, "events_total", event="study_quarantined", level="error") == 1
    assert figure(found, "log_lines_lost_total") == 0


def test_requests_are_counted_by_route(queue: MadeQueue) -> None:
    metrics = metrics_of(queue, Log(io.StringIO()))
    metrics.request("study", "GET", 200, 0.05)
    found = samples(metrics)
    assert figure(found, "http_request_seconds_count", route="study", method="GET", status="200") == 1


def test_a_label_that_is_none_is_withheld_here_too(queue: MadeQueue) -> None:
    log = Log(io.StringIO())
    metrics = metrics_of(queue, log)
    for word in IDENTIFYING:
        log.event("image_refused", reason=Label(f"{word}^JOHN 1.2"), caller=Label(word))
    text = metrics.text().decode()
    assert not [word for word in IDENTIFYING if word in text]
    assert not [key for key in queue.keys.values() if key in text], "a study is no label"


def test_two_nodes_of_one_process_share_nothing(queue: MadeQueue) -> None:
    first, second = Log(io.StringIO()), Log(io.StringIO())
    metrics, other = metrics_of(queue, first), metrics_of(queue, second)
    first.event("image_received", way=Label("stow"))
    assert ("brainseg_node_images_received_total", frozenset({("way", "stow")})) not in samples(other)
    assert figure(samples(metrics), "images_received_total", way="stow") == 1


def test_the_process_is_measured(queue: MadeQueue) -> None:
    found = samples(metrics_of(queue, Log(io.StringIO())))
    assert found["process_resident_memory_bytes", frozenset()] > 1 << 20
