"""The HTTP server: uvicorn in a thread of its own, over TLS where the settings say so.

uvicorn waits for a request's head and for a client that does not read as long as they like; here both have a deadline,
so that clients who say nothing cannot use up the connections.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

from brainseg_runtime.errors import MissingExtraError, UsageError
from brainseg_runtime.extras import install_remedy
from brainseg_runtime.node.config import HttpSettings
from brainseg_runtime.node.tls import server_context
from brainseg_runtime.node.watching.guard import App
from brainseg_runtime.node.watching.log import Log, kind_of

if TYPE_CHECKING:
    import asyncio
    import socket

    import uvicorn

HEAD_SECONDS: Final = 10.0
"""Longest time from a request's first byte, or from the connection's start, to the end of its head, s."""

READ_SECONDS: Final = 60.0
"""Longest time that a client may leave what was written to it unread, s."""

MOST_HEAD: Final = 16 << 10
"""Most bytes of a request's head."""

MOST_CONNECTIONS: Final = 128
"""Connections at a time; one more is closed at once."""

STOP_SECONDS: Final = 5
"""How long answers that are under way are waited for when the server stops, s."""

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and authenticated encryption alone; TLS 1.3 has no others."""


class Server:
    """Listens, once started, until it is stopped.

    Args:
        app: What answers.
        settings: Where to listen, and how.
        log: Where faults are told.
        head_seconds: Longest time for a request's head, s.
        read_seconds: Longest time that an answer stays unread, s.
    """

    def __init__(
        self,
        app: App,
        settings: HttpSettings,
        log: Log,
        *,
        head_seconds: float = HEAD_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self._app = app
        self._settings = settings
        self._log = log
        self._deadlines = (head_seconds, read_seconds)
        self._port = settings.port
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that it listens on, once it is started; the configured one before."""
        return self._port

    @property
    def alive(self) -> bool:
        """Whether it answers."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Listen; requests are answered when this returns.

        Raises:
            UsageError: The address cannot be listened on, or a file for TLS is unfit.
            MissingExtraError: uvicorn is not installed.
        """
        try:
            import uvicorn
        except ImportError as error:
            raise MissingExtraError("HTTP needs uvicorn, which is missing", remedy=install_remedy("node")) from error
        settings = self._settings
        context = None if settings.tls is None else server_context(settings.tls)
        if context is not None:
            context.set_ciphers(_CIPHERS)
        config = uvicorn.Config(
            self._app,
            http=_with_deadlines(*self._deadlines),
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,  # nobody is believed about who they are
            server_header=False,
            h11_max_incomplete_event_size=MOST_HEAD,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=STOP_SECONDS,
            ssl_context_factory=None if context is None else lambda *_: context,
        )
        self._socket = _listening(settings)
        self._port = int(self._socket.getsockname()[1])
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._thread.join(0.005)
        if not self._server.started:
            raise UsageError("the HTTP server did not start", remedy="see the log")

    def stop(self) -> None:
        """Take no more, finish the answers that are under way, and end. Does nothing if it is not running."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS + 5)

    def _run(self) -> None:
        """The thread: serve until told to stop."""
        if self._server is None or self._socket is None:
            return
        try:
            self._server.run([self._socket])
        except (OSError, RuntimeError, SystemExit) as error:
            self._log.event("server_fault", error=kind_of(error))
        finally:
            self._socket.close()


def _listening(settings: HttpSettings) -> socket.socket:
    """A socket that listens on the settings' address."""
    import socket

    listener: socket.socket | None = None
    try:
        found = socket.getaddrinfo(
            settings.host.strip("[]"), settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, _, _, address = found[0]
        # asyncio sends small answers at once (TCP_NODELAY) only where the protocol is named; else each takes 40 ms.
        listener = socket.socket(family, kind, socket.IPPROTO_TCP)
        if os.name == "posix":  # elsewhere the option lets two programs have one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(MOST_CONNECTIONS)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise UsageError(
            f"cannot listen for HTTP on {settings.host} port {settings.port}",
            expected="a free port of this machine",
            got=error.strerror or type(error).__name__,
            remedy="set http.host and http.port, or end what listens there",
        ) from error
    return listener


def _with_deadlines(head_seconds: float, read_seconds: float) -> type[asyncio.Protocol]:
    """Uvicorn's protocol, which closes connections that take too long and those beyond the cap."""
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Timed(H11Protocol):
        """HTTP/1.1 with deadlines."""

        _head: asyncio.TimerHandle | None = None
        _read: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as H11Protocol
            super().connection_made(transport)
            if len(self.connections) > MOST_CONNECTIONS:
                transport.abort()
                return
            self._head = self.loop.call_later(head_seconds, transport.abort)

        def data_received(self, data: bytes) -> None:
            if self._head is None and self.conn.their_state is h11.IDLE:
                self._head = self.loop.call_later(head_seconds, self.transport.abort)
            super().data_received(data)
            if self.conn.their_state is not h11.IDLE:
                _cancel(self._head)
                self._head = None

        def pause_writing(self) -> None:
            super().pause_writing()
            self._read = self.loop.call_later(read_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            _cancel(self._read)
            self._read = None

        def connection_lost(self, exc: Exception | None) -> None:
            _cancel(self._head)
            _cancel(self._read)
            super().connection_lost(exc)

    return Timed


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    """Cancel a timer, if there is one."""
    if timer is not None:
        timer.cancel()
