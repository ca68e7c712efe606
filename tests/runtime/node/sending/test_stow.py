"""Sending by STOW-RS: bodies are the files, and the service's word on the object decides."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from brainseg_runtime.errors import DestinationError, UsageError
from brainseg_runtime.node.config import Destination, TlsSettings
from brainseg_runtime.node.records import Delivery
from brainseg_runtime.node.sending.stow import StowChannel
from brainseg_runtime.node.store.store import Store
from tests.runtime.node.certificates import Pair, certificates
from tests.runtime.node.queued_studies import finish
from tests.runtime.node.sending.peers import HOST, free_port, orthanc


@pytest.fixture
def due(tmp_path: Path) -> Iterator[list[Delivery]]:
    """A result's objects, on their way."""
    store = Store.open(tmp_path / "state")
    finish(store, tmp_path / "study", [Destination(name="web", kind="stow", url="http://nobody")])
    found: list[Delivery] = []
    while (each := store.due("web")) is not None:
        found.append(each)
    yield found
    store.close()


class Service:
    """A DICOMweb service whose answers a test decides."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: object = {}
        self.requests: list[tuple[str, dict[str, str], bytes]] = []


@contextmanager
def service(made: Pair | None = None) -> Iterator[tuple[Service, str]]:
    told = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self, body: bytes) -> None:
            told.requests.append((self.path, dict(self.headers), body))
            data = json.dumps(told.answer).encode() if not isinstance(told.answer, bytes) else told.answer
            self.send_response(told.status)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def do_GET(self) -> None:
            self._answer(b"")

        def log_message(self, *_: Any) -> None:  # noqa: ANN401 - the base's signature
            """Quiet."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    scheme = "http"
    if made is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.server, made.server_key)
        context.load_verify_locations(made.authority)
        context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield told, f"{scheme}://{HOST if made is None else 'localhost'}:{server.server_address[1]}/dicom-web"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def failure(sop_uid: str, reason: int) -> dict[str, Any]:
    """An answer that one object was not stored."""
    item = {"00081155": {"vr": "UI", "Value": [sop_uid]}, "00081197": {"vr": "US", "Value": [reason]}}
    return {"00081198": {"vr": "SQ", "Value": [item]}}


def opened(url: str, **settings: Any) -> StowChannel:  # noqa: ANN401 - of the destination
    return StowChannel(Destination(name="web", kind="stow", url=url, **settings))


def test_orthanc_holds_the_very_files(due: list[Delivery], tmp_path: Path) -> None:
    with orthanc(tmp_path / "orthanc") as pacs:
        channel = StowChannel(pacs.web)
        assert channel.holds(due[0]) is False
        assert {channel.send(each).verdict for each in (*due, due[0])} == {"accepted"}
        assert {channel.holds(each) for each in due} == {True}
        channel.close()
        for each in due:
            assert pacs.file(each.object.sop_uid) == each.path.read_bytes()


def test_the_body_is_one_part_that_is_the_file(due: list[Delivery]) -> None:
    with service() as (told, url):
        channel = opened(url)
        assert channel.send(due[0]).verdict == "accepted"
        channel.close()
    ((path, headers, body),) = told.requests
    boundary = headers["Content-Type"].rpartition("boundary=")[2].encode()
    head, _, rest = body.partition(b"\r\n\r\n")
    assert head == b"--" + boundary + b"\r\nContent-Type: application/dicom"
    assert rest == due[0].path.read_bytes() + b"\r\n--" + boundary + b"--\r\n"
    assert path == "/dicom-web/studies"
    assert "Transfer-Encoding" not in headers


@pytest.mark.parametrize(
    ("status", "reason", "verdict"),
    [
        (200, None, "accepted"),
        (202, None, "accepted"),
        (202, 0xA700, "again"),
        (409, 0xA900, "final"),
        (409, 0x0122, "final"),
        (409, 0x0111, "accepted"),
        (409, None, "again"),
        (503, None, "again"),
        (401, None, "again"),
        (302, None, "again"),
        (413, None, "final"),
        (415, None, "final"),
    ],
)
def test_what_the_service_says_decides(due: list[Delivery], status: int, reason: int | None, verdict: str) -> None:
    with service() as (told, url):
        told.status = status
        told.answer = {} if reason is None else failure(due[0].object.sop_uid, reason)
        channel = opened(url)
        assert channel.send(due[0]).verdict == verdict
        channel.close()


@pytest.mark.parametrize("answer", [b"", b"<xml/>", b"[" * 100_000, b"[]", b'{"00081198": {"Value": [3, {}]}}'])
def test_strange_answers_are_survived(due: list[Delivery], answer: bytes) -> None:
    with service() as (told, url):
        told.answer = answer
        channel = opened(url)
        assert channel.send(due[0]).verdict in {"accepted", "again"}
        assert channel.holds(due[0]) in {None, False}
        channel.close()


def test_a_service_without_search_cannot_be_asked(due: list[Delivery]) -> None:
    with service() as (told, url):
        told.status = 501
        channel = opened(url)
        assert channel.holds(due[0]) is None
        channel.close()


def test_nobody_there_is_named(due: list[Delivery]) -> None:
    channel = opened(f"http://{HOST}:{free_port()}/dicom-web")
    with pytest.raises(DestinationError, match="cannot be reached"):
        channel.send(due[0])
    with pytest.raises(DestinationError, match="cannot be reached"):
        channel.holds(due[0])
    channel.close()


def test_the_token_goes_with_every_request(due: list[Delivery], tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("abcdefghijklmnopqrstuvwxyz\nsecond line\n")
    with service() as (told, url):
        channel = opened(url, token_file=token)
        channel.send(due[0])
        channel.holds(due[0])
        channel.close()
        assert {headers["Authorization"] for _, headers, _ in told.requests} == {"Bearer abcdefghijklmnopqrstuvwxyz"}
    token.write_text("\n")
    with pytest.raises(UsageError, match="token"):
        opened(url, token_file=token)


def test_tls_knows_whom_it_talks_to_and_shows_its_certificate(due: list[Delivery], tmp_path: Path) -> None:
    made = certificates(tmp_path / "certificates")
    with service(made) as (told, url):
        tls = TlsSettings(certificate=made.client, key=made.client_key, authorities=made.authority)
        channel = opened(url, tls=tls)
        assert channel.send(due[0]).verdict == "accepted"
        channel.close()
        for wrong in (
            TlsSettings(authorities=made.authority),
            TlsSettings(certificate=made.client, key=made.client_key),
        ):
            channel = opened(url, tls=wrong)
            with pytest.raises(DestinationError):
                channel.send(due[0])
            channel.close()
    assert len(told.requests) == 1
