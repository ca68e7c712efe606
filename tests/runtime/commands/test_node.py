"""`brainseg node ...` against a node that runs, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from brainseg_runtime.errors import NodeError, UsageError
from brainseg_runtime.node.asking import NodeClient
from tests.runtime.command_line import brainseg
from tests.runtime.node.certificates import certificates
from tests.runtime.node.node_process import NodeProcess, running_node, settings
from tests.runtime.node.pacs import Orthanc, free_port, orthanc, send_by_storescu
from tests.schemas.validation import violations
from tests.studies_made.series import write_study
from tests.studies_made.shapes import axial_grid, made_head

GRID = axial_grid((6, 64, 64), spacing=(15.0, 3.6, 3.6))
SCHEMAS = {
    "status": "node-status",
    "fetch": "node-fetch",
    "rerun": "node-summary",
    "resend": "node-summary",
    "drain": "node-drain",
}


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("pacs") / "orthanc", node_port=free_port(), stable_seconds=3600) as found:
        yield found


@pytest.fixture(scope="module")
def node(pacs: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    send = [{"name": "web", "kind": "stow", "url": f"{pacs.url}/dicom-web", "write": ["seg"]}]
    with running_node(tmp_path_factory.mktemp("node") / "node", settings(send=send)) as found:
        yield found


def asked(node: NodeProcess, *arguments: object, code: int = 0) -> dict[str, Any]:
    done = brainseg("node", *arguments, "--url", node.where["http_url"], "--json", "-")
    assert done.code == code, done.err
    found: dict[str, Any] = json.loads(done.out)
    assert not violations(SCHEMAS[str(arguments[0])], found)
    return found


def test_a_study_is_fetched_segmented_run_again_and_sent_again(
    node: NodeProcess, pacs: Orthanc, tmp_path: Path
) -> None:
    head = made_head(GRID)
    write_study(tmp_path / "study", {"flair": head.flair}, GRID)
    uid = str(pydicom.dcmread(next(tmp_path.rglob("*.dcm")), stop_before_pixels=True).StudyInstanceUID)
    send_by_storescu(tmp_path / "study", pacs.dicom_port)
    fetched = asked(node, "fetch", uid)
    assert (fetched["series"], fetched["kept"], fetched["refused"]) == (1, 6, 0)
    key = fetched["key"]
    node.wait_for_state("done")
    (listed,) = asked(node, "status")["studies"]
    assert (listed["key"], listed["state"], listed["revision"]) == (key, "done", 1)
    assert asked(node, "resend", key)["state"] == "done"
    assert asked(node, "rerun", key)["revision"] == 2
    assert brainseg("node", "rerun", "0" * 16, "--url", node.where["http_url"]).code == 1
    assert uid not in node.log_text()


def test_a_drained_node_takes_nothing_until_that_is_ended(node: NodeProcess) -> None:
    assert asked(node, "drain")["draining"] is True
    found = asked(node, "status", code=1)
    assert (found["ready"], found["reasons"]) == (False, ["draining"])
    assert brainseg("node", "fetch", "1.2.3", "--url", node.where["http_url"]).code == 1
    assert asked(node, "drain", "--end")["draining"] is False
    assert asked(node, "status")["ready"] is True


def test_a_key_that_is_none_is_wrong_usage() -> None:
    assert brainseg("node", "rerun", "1.2.840").code == 2


def test_a_study_that_is_no_uid_is_wrong_usage() -> None:
    done = brainseg("node", "fetch", "Smith, Anna")
    assert done.code == 2
    assert "STUDY_UID is no UID" in done.err


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({}, "--authorities"),
        ({"authorities": "ca"}, "--certificate"),
        ({"url": "http"}, "https:// address"),
    ],
)
def test_who_asks_a_node_without_what_tls_needs_is_told_what(
    options: dict[str, str], remedy: str, tmp_path: Path
) -> None:
    made = certificates(tmp_path / "tls")
    tls = {"certificate": str(made.server), "key": str(made.server_key), "authorities": str(made.authority)}
    with running_node(tmp_path / "node", {**settings(), "http.tls": tls}) as node:
        url = node.where["http_url"].replace("https", options.get("url", "https"))
        client = NodeClient(url=url, authorities=made.authority if "authorities" in options else None)
        with pytest.raises(NodeError, match=remedy):
            client.ask("GET", "/ready")


@pytest.mark.parametrize("url", ["ftp://a", "http://a:port", "http://a/b", "a"])
def test_a_url_that_is_none_is_wrong_usage(url: str) -> None:
    with pytest.raises(UsageError, match="the node's URL is wrong"):
        NodeClient(url=url).ask("GET", "/ready")


def test_where_no_node_answers_that_is_said() -> None:
    with pytest.raises(NodeError, match="no node answers"):
        NodeClient(url=f"http://127.0.0.1:{free_port()}").ask("GET", "/ready")
