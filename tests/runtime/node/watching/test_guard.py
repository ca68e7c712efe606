"""What stands before the application, over real sockets: caps, slow bodies, headers, and what is told of a request."""

from __future__ import annotations

import io
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from brainseg_runtime.node.config import HttpSettings
from brainseg_runtime.node.watching import guard
from brainseg_runtime.node.watching.access import access
from brainseg_runtime.node.watching.guard import MOST_BODY, Guard, Receive, Scope, Send
from brainseg_runtime.node.watching.log import Log
from tests.runtime.node.watching.serving import raw, serving

LIMIT = 1 << 20
HEAD = b"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\n"


class Counted:
    """An application that counts the bytes of a body; what it saw is kept."""

    def __init__(self) -> None:
        self.bytes = 0
        self.ended: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/fails":
            raise RuntimeError("DOE^JOHN")
        while True:
            message = await receive()
            self.bytes += len(message.get("body", b""))
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                break
        self.ended.append(message["type"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": str(self.bytes).encode()})


class Bench:
    """A guarded application that is served."""

    def __init__(self) -> None:
        self.app = Counted()
        self.stream = io.StringIO()
        self.log = Log(self.stream)
        self.seen: list[tuple[str, str, int]] = []
        settings = HttpSettings(port=0)
        self.guard = Guard(
            self.app,
            access(settings),
            self.log,
            max_body=LIMIT,
            seen=lambda route, method, status, _: self.seen.append((route, method, status)),
        )
        self.port = 0

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    with serving(made.guard, HttpSettings(port=0), made.log) as port:
        made.port = port
        yield made


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def test_every_answer_says_that_it_is_not_to_be_kept_embedded_or_run(bench: Bench) -> None:
    with bench.client() as client:
        for answer in (client.get("/x"), client.get("/x", headers={"host": "evil.example"})):
            assert answer.headers["cache-control"] == "no-store"
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
            assert "server" not in answer.headers
            assert not any(name.startswith("access-control-") for name in answer.headers)


def test_a_refused_request_never_reaches_the_application(bench: Bench) -> None:
    with bench.client() as client:
        answer = client.post("/drain", headers={"origin": "http://evil.example"})
        assert (answer.status_code, answer.json()["error"]["kind"]) == (403, "RequestError")
        assert client.get("/x", headers={"host": "evil.example"}).status_code == 400
    wait_for(lambda: len(bench.lines()) == 2)  # a request is told once it is over
    assert bench.app.ended == []
    assert [(line["event"], line["reason"]) for line in bench.lines()] == [
        ("request_denied", "origin"), ("request_denied", "host")
    ]  # fmt: skip


def test_a_body_within_its_cap_arrives_whole(bench: Bench) -> None:
    with bench.client() as client:
        assert client.post("/dicom-web/studies", content=b"x" * LIMIT).text == str(LIMIT)
        assert client.post("/dicom-web/studies", content=iter([b"y" * 1000] * 10)).text == str(LIMIT + 10_000)


@pytest.mark.parametrize(("path", "limit"), [("/dicom-web/studies", LIMIT), ("/drain", MOST_BODY)])
def test_a_body_beyond_its_cap_is_refused_by_its_length_before_it_is_read(bench: Bench, path: str, limit: int) -> None:
    answer = raw(bench.port, f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {limit + 1}\r\n\r\n".encode())
    assert status_of(answer) == 413
    assert bench.app.ended == []


def test_a_body_without_a_length_is_cut_off_at_its_cap(bench: Bench) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    answer = raw(bench.port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 17)
    assert status_of(answer) in (413, 0), "0: the answer was lost as the connection was closed"
    wait_for(lambda: bench.seen == [("none", "POST", 413)])
    assert bench.app.ended == ["http.disconnect"]
    assert bench.app.bytes <= LIMIT


@pytest.mark.parametrize("length", [b"-1", b"1e3", b"0x10", b"9" * 5000, b"1, 2", b"\xb2"])
def test_a_length_that_is_none_is_refused(bench: Bench, length: bytes) -> None:
    answer = raw(bench.port, HEAD + b"Content-Length: " + length + b"\r\n\r\n", end=True)
    assert status_of(answer) in (400, 413)
    assert bench.app.bytes == 0


def test_a_body_that_stops_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "SILENCE", 0.2)
    began = time.monotonic()
    answer = raw(bench.port, HEAD + b"Content-Length: 100\r\n\r\nxx")
    assert (status_of(answer), b"too slowly" in answer) == (408, True)
    assert time.monotonic() - began < 5
    assert bench.app.ended == ["http.disconnect"]


def test_a_body_that_trickles_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "GRACE", 0.2)
    with socket.create_connection(("127.0.0.1", bench.port), timeout=10) as connection:
        connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
        answer = b""
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)
            if bench.seen:
                answer = connection.recv(65536)
                break
    assert status_of(answer) == 408


def test_a_client_that_goes_away_leaves_no_fault(bench: Bench) -> None:
    with socket.create_connection(("127.0.0.1", bench.port), timeout=10) as connection:
        connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\nxx")
    wait_for(lambda: bool(bench.app.ended))
    assert bench.app.ended == ["http.disconnect"]
    with bench.client() as client:
        assert client.get("/x").status_code == 200


def test_requests_that_change_something_or_fail_are_logged_without_their_path(bench: Bench) -> None:
    with bench.client() as client:
        client.get("/DOE%5EJOHN")
        client.post("/studies/DOE^JOHN/rerun?name=DOE", headers={"x-name": "DOE^JOHN"})
        assert client.get("/fails").status_code == 500
    wait_for(lambda: len(bench.seen) == 3)
    assert [(line["event"], line.get("method"), line["status"]) for line in bench.lines()] == [
        ("request", "POST", 200), ("server_fault", None, 500), ("request", "GET", 500)
    ]  # fmt: skip
    assert "DOE" not in bench.stream.getvalue()
    assert bench.seen == [("none", "GET", 200), ("none", "POST", 200), ("none", "GET", 500)]


@pytest.mark.parametrize("method", ["DOE^JOHN", "PATCH", "TRACE"])
def test_a_method_of_the_clients_making_is_no_label(bench: Bench, method: str) -> None:
    raw(bench.port, f"{method} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert [each[1] for each in bench.seen] in ([], ["other"])
    assert "DOE" not in bench.stream.getvalue()


def wait_for(true: Any, seconds: float = 5.0) -> None:  # noqa: ANN401 - any condition
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)
