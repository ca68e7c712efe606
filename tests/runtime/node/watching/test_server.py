"""The server over real sockets: TLS, client certificates, deadlines, hostile bytes, starting and stopping."""

from __future__ import annotations

import io
import random
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from brainseg_runtime.errors import UsageError
from brainseg_runtime.node.config import HttpSettings, TlsSettings
from brainseg_runtime.node.watching.guard import Receive, Scope, Send
from brainseg_runtime.node.watching.libraries import quieted
from brainseg_runtime.node.watching.log import Log
from brainseg_runtime.node.watching.server import MOST_CONNECTIONS, Server
from tests.runtime.node.watching.serving import Authority, raw, serving

LOOPBACK = HttpSettings(port=0)


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers everything; a path that is a number has that many bytes of answer."""
    await receive()
    size = scope["path"].strip("/")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x" * (int(size) if size.isdigit() else 5)})


@pytest.fixture
def log() -> Iterator[Log]:
    stream = io.StringIO()
    made = Log(stream)
    with quieted(made):
        yield made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


def answers(port: int) -> bool:
    return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 200


def tls_client(authority: Authority, client: tuple[Path, Path] | None = None) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(authority.path))
    if client is not None:
        context.load_cert_chain(*client)
    return httpx.Client(verify=context, trust_env=False)


def test_it_answers_when_start_returns_and_no_more_when_stop_returns(log: Log) -> None:
    server = Server(hello, LOOPBACK, log)
    server.start()
    port = server.port
    assert port
    assert answers(port)
    server.stop()
    assert not server.alive
    with pytest.raises(httpx.ConnectError):
        answers(port)
    server.stop()


def test_a_small_answer_is_sent_at_once(log: Log) -> None:
    """Without TCP_NODELAY the head of an answer waits for its acknowledgement: 40 ms for each request."""
    with serving(hello, LOOPBACK, log) as port, httpx.Client(trust_env=False) as client:
        times = []
        for _ in range(20):
            began = time.monotonic()
            client.get(f"http://127.0.0.1:{port}/")
            times.append(time.monotonic() - began)
    assert sorted(times)[10] < 0.03


def test_a_port_in_use_is_named(log: Log) -> None:
    with serving(hello, LOOPBACK, log) as port, pytest.raises(UsageError, match=f"port {port}.*already in use"):
        Server(hello, HttpSettings(port=port), log).start()


def test_an_address_of_another_machine_is_named(log: Log) -> None:
    with pytest.raises(UsageError, match=r"cannot listen for HTTP on 192\.0\.2\.1"):
        Server(hello, HttpSettings(host="192.0.2.1", port=0), log).start()


def test_a_port_can_be_used_again_at_once(log: Log) -> None:
    with serving(hello, LOOPBACK, log) as port:
        assert answers(port)
    with serving(hello, HttpSettings(port=port), log) as again:
        assert again == port


def test_stopping_finishes_the_answer_that_is_under_way(log: Log) -> None:
    began = threading.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        import asyncio

        began.set()
        await asyncio.sleep(0.3)
        await hello(scope, receive, send)

    server = Server(slow, LOOPBACK, log)
    server.start()
    found: list[int] = []
    client = threading.Thread(
        target=lambda: found.append(httpx.get(f"http://127.0.0.1:{server.port}/", trust_env=False).status_code)
    )
    client.start()
    began.wait(5)
    server.stop()
    client.join()
    assert found == [200]


def test_over_tls_the_certificate_is_the_configured_one(authority: Authority, log: Log) -> None:
    certificate, key = authority.issue("node")
    settings = HttpSettings(port=0, tls=TlsSettings(certificate=certificate, key=key))
    with serving(hello, settings, log) as port, tls_client(authority) as client:
        assert client.get(f"https://127.0.0.1:{port}/").status_code == 200
        assert client.get(f"https://localhost:{port}/").status_code == 200
        assert not raw(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(b"HTTP")
        assert refuses_tls_1_1(port)


def refuses_tls_1_1(port: int) -> bool:
    """Whether a client that speaks nothing newer is turned away."""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        try:
            old.wrap_socket(plain)
        except OSError:
            return True
    return False


def test_with_authorities_only_their_clients_are_answered(authority: Authority, log: Log, tmp_path: Path) -> None:
    certificate, key = authority.issue("node2")
    settings = HttpSettings(port=0, tls=TlsSettings(certificate=certificate, key=key, authorities=authority.path))
    stranger = Authority.make(tmp_path / "stranger").issue("stranger")
    with serving(hello, settings, log) as port:
        url = f"https://127.0.0.1:{port}/"
        with tls_client(authority, authority.issue("viewer")) as client:
            assert client.get(url).status_code == 200
        for wrong in (None, stranger):
            with tls_client(authority, wrong) as client, pytest.raises(httpx.TransportError):
                client.get(url)
        with tls_client(authority, authority.issue("viewer")) as client:
            assert client.get(url).status_code == 200


def test_a_key_that_does_not_fit_is_named(authority: Authority, log: Log) -> None:
    certificate, _ = authority.issue("a")
    _, key = authority.issue("b")
    with pytest.raises(UsageError, match="cannot be used"):
        Server(hello, HttpSettings(port=0, tls=TlsSettings(certificate=certificate, key=key)), log).start()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
def test_a_head_that_does_not_end_has_a_deadline(sent: bytes, log: Log) -> None:
    with serving(hello, LOOPBACK, log, head_seconds=0.3) as port:
        began = time.monotonic()
        assert raw(port, sent) == b""
        assert 0.2 < time.monotonic() - began < 5


def test_a_head_that_trickles_has_the_same_deadline(log: Log) -> None:
    with serving(hello, LOOPBACK, log, head_seconds=0.3) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
            assert dropped_while_sending(connection, b"X-A: 1\r\n")
        assert answers(port)


def dropped_while_sending(connection: socket.socket, line: bytes) -> bool:
    """Whether a connection is closed although something is sent all the time."""
    until = time.monotonic() + 5
    try:
        while time.monotonic() < until:
            connection.sendall(line)
            time.sleep(0.05)
    except OSError:
        return True
    return False


def test_the_second_request_of_a_connection_has_the_deadline_too(log: Log) -> None:
    with (
        serving(hello, LOOPBACK, log, head_seconds=0.3) as port,
        socket.create_connection(("127.0.0.1", port), timeout=4) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET / HTTP/1.1\r\n")
        began = time.monotonic()
        while connection.recv(65536):
            pass
        assert time.monotonic() - began < 3, "sooner than an idle connection is closed"


def test_a_client_that_does_not_read_is_dropped(log: Log) -> None:
    with serving(hello, LOOPBACK, log, read_seconds=0.3) as port:
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(5)
            connection.connect(("127.0.0.1", port))
            connection.sendall(b"GET /50000000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            time.sleep(0.8)
            received = 0
            try:
                while part := connection.recv(1 << 20):
                    received += len(part)
            except ConnectionResetError:
                pass
        assert received < 50_000_000
        assert answers(port)


def test_connections_beyond_the_cap_are_closed_and_the_others_answered(log: Log) -> None:
    with serving(hello, LOOPBACK, log, head_seconds=1.0) as port, ExitStack() as stack:
        for _ in range(MOST_CONNECTIONS + 40):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        time.sleep(1.5)
        assert answers(port)


HOSTILE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * (1 << 20) + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: 1\r\n" % i for i in range(50_000)) + b"\r\n",
    b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x"
    ),
    b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFFFFF\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x00" * 100_000,
    b"\r\n" * 100_000,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /%00%ff%c0%ae%c0%ae/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n",
)


def test_hostile_requests_end_and_the_next_client_is_answered(log: Log) -> None:
    with serving(hello, LOOPBACK, log, head_seconds=1.0) as port:
        for number, request in enumerate(HOSTILE):
            answer = raw(port, request)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 "), number
            assert b" 500 " not in answer.partition(b"\r\n")[0], number
            assert answers(port), number


def test_a_thousand_mutants_of_a_request_never_stop_it(log: Log) -> None:
    chance = random.Random(1)  # noqa: S311 - no secret
    whole = (
        b"POST /dicom-web/studies?x=1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    )
    with serving(hello, LOOPBACK, log, head_seconds=0.2) as port:
        for _ in range(1000):
            mutant = bytearray(whole)
            for _ in range(chance.randrange(1, 6)):
                place = chance.randrange(len(mutant))
                kind = chance.randrange(3)
                if kind == 0:
                    mutant[place] = chance.randrange(256)
                elif kind == 1:
                    del mutant[place : place + chance.randrange(1, 20)]
                else:
                    mutant[place:place] = mutant[place : place + chance.randrange(1, 20)]
                mutant = mutant or bytearray(b"x")
            raw(port, bytes(mutant), end=True)
        assert answers(port)
    assert log.counts().get("thread_failed", 0) == 0
    assert log.counts().get("server_fault", 0) == 0
