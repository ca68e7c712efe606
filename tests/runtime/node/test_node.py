"""A node starts, stops in order, and says so."""

from __future__ import annotations

import io
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from brainseg_runtime.errors import BundleMissingError, NodeError, NodeFolderError, ProviderError, UsageError
from brainseg_runtime.node.asking import NodeClient
from brainseg_runtime.node.config import DicomSettings, HttpSettings, IntakeSettings, NodeConfig, WorkSettings
from brainseg_runtime.node.node import Listening, Node
from brainseg_runtime.node.service_manager import ServiceManager
from brainseg_runtime.node.store.store import Store
from brainseg_runtime.node.watching.log import Log
from tests.runtime.command_line import BUNDLE


@pytest.fixture
def config(tmp_path: Path) -> NodeConfig:
    return NodeConfig(
        folder=tmp_path / "state",
        dicom=DicomSettings(port=0, allow=("MR1@127.0.0.1",)),
        http=HttpSettings(port=0),
        intake=IntakeSettings(min_free_mib=0),
        work=WorkSettings(provider="cpu", variant="fp32", threads=1),
    )


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


def node(config: NodeConfig, log: io.StringIO, bundle: Path = BUNDLE) -> Node:
    return Node(config, bundle, log=Log(log), manager=ServiceManager({}))


def names(log: io.StringIO) -> list[str]:
    return [json.loads(line)["event"] for line in log.getvalue().splitlines()]


def test_it_listens_is_ready_and_stops_in_order(config: NodeConfig, log: io.StringIO) -> None:
    stop = threading.Event()
    found: list[Listening] = []

    def listening(where: Listening) -> None:
        found.append(where)
        assert NodeClient(url=where.http_url).ask("GET", "/ready")["ready"] is True
        with pytest.raises(NodeError, match='there is no PACS to fetch from; expected a destination of kind "stow"'):
            NodeClient(url=where.http_url).ask("POST", "/fetch", {"study_uid": "1.2.3"})
        stop.set()

    node(config, log).run(stop.is_set, listening=listening, stop_seconds=5)
    assert found[0].dicom_port > 0
    assert [name for name in names(log) if name in {"starting", "listening", "ready", "stopping", "stopped"}] == [
        "starting", "listening", "ready", "stopping", "stopped"
    ]  # fmt: skip
    Store.open(config.folder).close()  # nothing holds it any more


def test_a_folder_in_use_a_port_in_use_and_a_provider_that_is_not_there_are_said_at_the_start(
    config: NodeConfig, log: io.StringIO
) -> None:
    store = Store.open(config.folder)
    with pytest.raises(NodeFolderError):
        node(config, log).run(lambda: False)
    store.close()
    with pytest.raises(ProviderError):
        node(replace(config, work=WorkSettings(provider="coreml")), log).run(lambda: False)
    first = node(config, log)
    where = first.start()
    assert where is not None
    taken = replace(config, folder=config.folder.with_name("other"), dicom=DicomSettings(port=where.dicom_port))
    with pytest.raises(UsageError, match="cannot be listened on"):
        node(taken, log).run(lambda: False)
    first.stop(1)


def test_a_link_that_is_set_to_another_model_counts_from_the_next_start(
    config: NodeConfig, log: io.StringIO, tmp_path: Path
) -> None:
    link = tmp_path / "model"
    link.symlink_to(BUNDLE, target_is_directory=True)
    running = node(config, log, link)
    where = running.start()
    assert where is not None
    assert where.bundle == str(BUNDLE.resolve())
    link.unlink()
    link.symlink_to(tmp_path / "next", target_is_directory=True)
    for worker in running._workers:
        assert worker._bundle == BUNDLE.resolve()
        assert worker._config.work.digest == where.digest
    running.stop(1)


def test_another_bundle_than_the_pinned_or_none_is_refused_before_anything_is_made(
    config: NodeConfig, log: io.StringIO, tmp_path: Path
) -> None:
    with pytest.raises(BundleMissingError):
        node(config, log, tmp_path / "none")
    assert not config.folder.exists()
