"""Studies fetched: from Orthanc by QIDO-RS and WADO-RS, and from a service that answers wrongly."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from brainseg_runtime.errors import NodeConflictError, NodeError, UsageError
from brainseg_runtime.node.config import Destination, NodeConfig
from brainseg_runtime.node.receiving import fetching
from brainseg_runtime.node.receiving.fetching import Fetched, fetch_study, pull_from
from brainseg_runtime.node.store.store import Store
from brainseg_runtime.node.watching.log import Log
from tests.runtime.node.receiving.listening import CT, SETTINGS, content_of, file_of, made_image, until
from tests.runtime.node.receiving.test_multipart import body_of

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
STUDY = "1.2.840.99.4711"


def asking(url: str, token_file: Path | None = None) -> NodeConfig:
    config = replace(SETTINGS, send=(Destination(name="pacs", kind="stow", url=url, token_file=token_file),))
    return replace(config, dicom=replace(config.dicom, association_seconds=10.0))


@contextlib.contextmanager
def stored(folder: Path) -> Iterator[Store]:
    store = Store.open(folder / "state")
    try:
        yield store
        assert not list(store.folder.incoming.iterdir())
    finally:
        store.close()


def fetched(config: NodeConfig, store: Store, stream: io.StringIO | None = None) -> Fetched:
    return fetch_study(STUDY, config=config, store=store, log=Log(stream or io.StringIO()))


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[str]:
    """The address of an Orthanc with DICOMweb."""
    name = shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if name is None or not PLUGIN.exists():
        pytest.skip("needs Orthanc with DICOMweb: apt-get install orthanc orthanc-dicomweb")
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    settings = {
        "StorageDirectory": str(tmp_path / "pacs"),
        "IndexDirectory": str(tmp_path / "pacs"),
        "HttpPort": ports[0],
        "DicomPort": ports[1],
        "AuthenticationEnabled": False,
        "Plugins": [str(PLUGIN)],
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    url = f"http://127.0.0.1:{ports[0]}"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([name, str(tmp_path / "orthanc.json")], stdout=log, stderr=log)
        try:
            if not until(lambda: _answers(url), seconds=30):
                pytest.fail((tmp_path / "log").read_text())
            yield url
        finally:
            process.terminate()
            process.wait(20)


def test_a_study_is_fetched_as_it_is_stored(orthanc: str, tmp_path: Path) -> None:
    images = [made_image(study=STUDY) for _ in range(5)]
    other = made_image(study="1.2.3")
    for each in (*images, other):
        httpx.post(f"{orthanc}/instances", content=file_of(each)).raise_for_status()
    stream = io.StringIO()

    with stored(tmp_path) as store:
        result = fetched(asking(f"{orthanc}/dicom-web/"), store, stream)

        assert (result.series, result.kept, result.refused) == (1, 5, 0)
        files = [path.read_bytes() for path in store.folder.studies.rglob("*.dcm")]
        assert {content_of(each) for each in files} == {content_of(file_of(each)) for each in images}
        (study,) = store.studies(5)
        assert (study.key, study.images, study.associations) == (result.key, 5, 1)
    assert STUDY not in stream.getvalue()
    assert "fetch_ended" in stream.getvalue()


def test_a_study_that_the_pacs_does_not_have_is_said(orthanc: str, tmp_path: Path) -> None:
    with stored(tmp_path) as store, pytest.raises(NodeError, match="nothing was fetched"):
        fetched(asking(f"{orthanc}/dicom-web"), store)


class _Service(BaseHTTPRequestHandler):
    """Answers one study's search and retrieval with what the test says."""

    series: bytes = b"[]"
    content_type: str = 'multipart/related; type="application/dicom"; boundary=b0und'
    body: bytes = b""
    status: int = 200
    tokens: list[str]

    def do_GET(self) -> None:
        type(self).tokens.append(self.headers.get("Authorization", ""))
        search = self.path.split("?")[0].endswith("/series")
        content = self.series if search else self.body
        self.send_response(200 if search else self.status)
        self.send_header("Content-Type", "application/dicom+json" if search else self.content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def answering(**says: object) -> Iterator[tuple[str, type[_Service]]]:
    kind: type[_Service] = type("_Said", (_Service,), {"tokens": [], **says})
    server = HTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/dicom-web", kind
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def series(*uids: str) -> bytes:
    return json.dumps([{"0020000E": {"vr": "UI", "Value": [each]}} for each in uids]).encode()


def counted(uid: str, number: int) -> bytes:
    return json.dumps(
        [{"0020000E": {"vr": "UI", "Value": [uid]}, "00201209": {"vr": "IS", "Value": [number]}}]
    ).encode()


def test_what_is_no_mr_image_is_left_out(tmp_path: Path) -> None:
    body = body_of(file_of(made_image(study=STUDY)), file_of(made_image(study=STUDY, sop_class=CT)))
    with stored(tmp_path) as store, answering(series=series("1.2.3"), body=body) as (url, _):
        result = fetched(asking(url), store)

    assert (result.kept, result.refused) == (1, 1)


def test_the_token_is_shown(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef01234567\n")
    body = body_of(file_of(made_image(study=STUDY)))
    with stored(tmp_path) as store, answering(series=series("1.2.3"), body=body) as (url, service):
        fetched(asking(url, token), store)

    assert service.tokens == ["Bearer 0123456789abcdef01234567"] * 2


@pytest.mark.parametrize(
    "says",
    [
        {"series": b"junk"},
        {"series": b'{"a": 1}'},
        {"series": b'[{"0020000E": 1}]'},
        {"series": b"[" * 100_000},
        {"series": series("../../instances"), "body": b"x"},
        {"series": series("1.2.3"), "status": 500},
        {"series": series("1.2.3"), "content_type": "text/html"},
        {"series": series("1.2.3"), "body": body_of(b"junk")},
        {"series": series("1.2.3"), "body": body_of(file_of(made_image(study=STUDY)))[:300]},
        {"series": series("1.2.3"), "body": body_of(file_of(made_image(study="9.9")))},
    ],
    ids=["junk", "object", "no UID", "deep", "path", "500", "HTML", "no image", "cut off", "another study"],
)
def test_wrong_answers_are_an_error_that_names_nobody(tmp_path: Path, says: dict[str, object]) -> None:
    with stored(tmp_path) as store, answering(**says) as (url, _), pytest.raises(NodeError) as caught:
        fetched(asking(url), store)

    assert STUDY not in str(caught.value)
    assert not list(store.folder.studies.rglob("*.dcm"))


def test_a_fetch_that_breaks_off_is_never_segmented_as_if_whole(tmp_path: Path) -> None:
    images = [file_of(made_image(study=STUDY)) for _ in range(6)]
    body = body_of(*images)
    at_once = replace(SETTINGS.intake, quiet_seconds=0.0)
    with stored(tmp_path) as store:
        for half in (body[: len(body) // 2], body_of(*images[:3], images[3][:-100])):
            with answering(series=series("1.2.3"), body=half) as (url, _), pytest.raises(NodeError):
                fetched(asking(url), store)
            assert store.close_quiet(at_once) == []
            (study,) = store.studies(5)
            assert study.state == "quarantined"
            assert "broke off" in str(study.error)
            assert STUDY not in str(study.error)
        with answering(series=counted("1.2.3", 6), body=body_of(*images[:3])) as (url, _), pytest.raises(NodeError):
            fetched(asking(url), store)
        assert store.close_quiet(at_once) == []
        with answering(series=counted("1.2.3", 6), body=body) as (url, _):
            assert fetched(asking(url), store).kept == 6
        (key,) = store.close_quiet(at_once)
        assert store.study(key).state == "waiting"


def test_a_study_is_held_while_it_is_fetched_and_given_up_if_the_node_ends(tmp_path: Path) -> None:
    at_once = replace(SETTINGS.intake, quiet_seconds=0.0)
    body = body_of(file_of(made_image(study=STUDY)))
    with stored(tmp_path) as store, answering(series=series("1.2.3"), body=body) as (url, _):
        key = store.key_of(STUDY)
        fetched(asking(url), store)
        with store.fetching(key):
            assert store.close_quiet(at_once) == []
            with pytest.raises(NodeConflictError, match="being fetched"):
                fetched(asking(url), store)
        store._queue.fetch_begins(key)
        assert store.close_quiet(at_once) == []
    with stored(tmp_path) as store:  # as after a kill: nothing has ended the fetch
        row = store.study(key)
        assert row.state == "quarantined"
        assert "broke off" in str(row.error)
        with answering(series=series("1.2.3"), body=body) as (url, _):
            fetched(asking(url), store)
        assert store.close_quiet(at_once) == [key]


def test_a_pacs_that_is_not_there_is_said(tmp_path: Path) -> None:
    with stored(tmp_path) as store, pytest.raises(NodeError, match="cannot be fetched"):
        fetched(asking("http://127.0.0.1:9/dicom-web"), store)


def test_a_pacs_that_does_not_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent, stored(tmp_path) as store:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/dicom-web"
        with pytest.raises(NodeError, match="cannot be fetched"):
            fetched(asking(url), store)


def test_what_is_no_uid_is_refused(tmp_path: Path) -> None:
    with stored(tmp_path) as store, pytest.raises(UsageError, match="StudyInstanceUID"):
        fetch_study("../x", config=asking("http://127.0.0.1:9"), store=store, log=Log(io.StringIO()))


def test_the_named_destination_is_asked() -> None:
    first, second = (Destination(name=name, kind="stow", url=f"http://{name}") for name in ("a", "b"))
    image_only = Destination(name="c", aet="C", host="c")

    assert pull_from(NodeConfig(send=(image_only, first, second))) is first
    assert pull_from(NodeConfig(send=(first, second), pull="b")) is second
    for config in (NodeConfig(), NodeConfig(send=(image_only,)), NodeConfig(send=(first,), pull="b")):
        with pytest.raises(NodeConflictError, match="no PACS to fetch from"):
            pull_from(config)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/system").status_code == 200
    except httpx.HTTPError:
        return False
