"""What stands before the application: access, caps on bodies, headers of every answer, and a count of each request.

The application never sees a request that access refuses. A body that is longer than allowed, or comes too slowly, ends
for the application as if the client had gone, and the client is told why.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from brainseg_runtime.node.watching.access import Access
from brainseg_runtime.node.watching.log import Label, Log, kind_of

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An ASGI application."""

Seen: TypeAlias = Callable[[str, str, int, float], None]
"""Called after each request with its route's name, its method, its status and its seconds."""

DICOM_WEB: Final = "/dicom-web/"
"""Where bodies may be as long as the configuration says."""

MOST_BODY: Final = 64 << 10
"""Most bytes of a body anywhere else; no other request needs one."""

SILENCE: Final = 30.0
"""Longest wait for the next part of a body, s."""

GRACE: Final = 30.0
LEAST_RATE: Final = 16 << 10
"""Bytes a second that a body must come with on average after the first `GRACE` seconds; a modem is faster."""

ON_EVERY_ANSWER: Final = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
}
"""Headers, unless the application sets them: nothing is kept, embedded, run or sent elsewhere."""

_REASONS: Final[dict[str, tuple[int, str, str, str]]] = {
    "host": (400, "the node is not called so", "a name of the node's in Host", "add the name to http.names"),
    "origin": (
        403,
        "another site's page sent the request",
        "the node's own page",
        "use a program, or the node's own page",
    ),
    "token": (401, "the bearer token is missing or wrong", "Authorization: Bearer TOKEN", "see http.token_file"),
    "length": (400, "Content-Length is no number", "one number of bytes", "send one"),
    "too_large": (413, "the body is too large", "at most http.max_request_mib", "send less in one request"),
    "too_slow": (408, "the body came too slowly", "the whole body within reasonable time", "send it again"),
}
"""Status, what, expected and remedy of each refusal."""


@dataclass(slots=True)
class _Exchange:
    """One request and its answer, as far as they have come."""

    limit: int
    began: float
    status: int = 0
    received: int = 0
    complete: bool = False
    """Whether the body is whole."""
    refused: str | None = None
    sent: bool = False
    """Whether an answer has been begun."""
    answered: bool = False
    """Whether it is whole."""


class Guard:
    """An ASGI application around another.

    Args:
        app: What answers.
        access: The rules that a request must keep.
        log: Where refusals and requests that change something are told.
        max_body: Most bytes of a body under `/dicom-web/`.
        seen: Told of every request, for the metrics.
        public: Paths of the page's files, which hold nothing of anybody and are given without a token.
        clock: Seconds, for durations.
    """

    def __init__(
        self,
        app: App,
        access: Access,
        log: Log,
        *,
        max_body: int,
        seen: Seen,
        public: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._access = access
        self._log = log
        self._max_body = max_body
        self._seen = seen
        self._public = public
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; anything but HTTP is not answered."""
        if scope["type"] != "http":
            return
        limit = self._max_body if scope["path"].startswith(DICOM_WEB) else MOST_BODY
        exchange = _Exchange(limit=limit, began=self._clock())
        exchange.refused = self._refusal(scope, exchange)
        try:
            if exchange.refused is None:
                await self._pass_on(scope, receive, send, exchange)
            if exchange.refused is not None and not exchange.sent:
                await self._refuse(send, exchange)
        finally:
            self._tell(scope, exchange)

    def _refusal(self, scope: Scope, exchange: _Exchange) -> str | None:
        """Why a request is refused before its body is read."""
        if reason := self._access.refusal(scope["method"], scope["headers"], public=scope["path"] in self._public):
            return reason
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        if not lengths:
            return None
        if len(lengths) > 1 or not lengths[0].isdigit():
            return "length"
        digits = lengths[0].lstrip(b"0")
        return "too_large" if len(digits) > 18 or int(digits or b"0") > exchange.limit else None

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, exchange: _Exchange) -> None:
        """Have the application answer, over a body with caps and with the headers on its answer."""

        async def capped() -> Message:
            return await self._part(receive, exchange)

        async def completed(message: Message) -> None:
            if exchange.refused is not None and not exchange.sent:
                return  # what the application makes of a body that was cut off
            if message["type"] == "http.response.start":
                exchange.sent, exchange.status = True, message["status"]
                message["headers"] = _with_defaults(message.get("headers", ()))
            await send(message)
            exchange.answered = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self._app(scope, capped, completed)
        except Exception as error:
            if exchange.refused is not None:  # whatever the application makes of a body that was cut off
                return
            exchange.status = exchange.status or 500
            self._log.event("server_fault", error=kind_of(error), status=exchange.status)
            if not exchange.answered:  # else the client knows, and the connection is as good as before
                raise

    async def _part(self, receive: Receive, exchange: _Exchange) -> Message:
        """The next part of a body; a disconnection once it is too long or too slow."""
        if exchange.complete:
            return await receive()
        gone: Message = {"type": "http.disconnect"}
        if exchange.refused is not None:
            return gone
        try:
            message = await asyncio.wait_for(receive(), SILENCE)
        except TimeoutError:
            exchange.refused = "too_slow"
            return gone
        exchange.received += len(message.get("body", b""))
        exchange.complete = message["type"] != "http.request" or not message.get("more_body", False)
        seconds = self._clock() - exchange.began - GRACE
        if exchange.received > exchange.limit:
            exchange.refused = "too_large"
        elif not exchange.complete and exchange.received < seconds * LEAST_RATE:
            exchange.refused = "too_slow"
        return gone if exchange.refused is not None else message

    async def _refuse(self, send: Send, exchange: _Exchange) -> None:
        """Tell the client why."""
        status, what, expected, remedy = _REASONS[exchange.refused or "host"]
        error = {"kind": "RequestError", "what": what, "expected": expected, "got": None, "remedy": remedy}
        body = json.dumps({"error": error}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if status == 401:
            headers.append((b"www-authenticate", b'Bearer realm="brainseg"'))
        if exchange.refused in ("too_large", "too_slow", "length"):
            headers.append((b"connection", b"close"))
        exchange.sent, exchange.status = True, status
        await send({"type": "http.response.start", "status": status, "headers": _with_defaults(headers)})
        await send({"type": "http.response.body", "body": body})

    def _tell(self, scope: Scope, exchange: _Exchange) -> None:
        """Count the request; log it if it was refused, failed or asked for a change."""
        seconds = self._clock() - exchange.began
        route = Label(str(getattr(scope.get("route"), "name", None) or "none"))
        method = scope["method"] if scope["method"] in ("GET", "POST", "DELETE") else "other"
        self._seen(route, method, exchange.status, seconds)
        if exchange.refused is not None:
            self._log.event(
                "request_denied", method=Label(method), reason=Label(exchange.refused), status=exchange.status
            )
        elif exchange.status >= 500 or method != "GET":
            self._log.event("request", method=Label(method), route=route, status=exchange.status, seconds=seconds)


def _with_defaults(headers: Any) -> list[tuple[bytes, bytes]]:  # noqa: ANN401 - any iterable of pairs, as ASGI has it
    """An answer's headers with those that every answer has."""
    given = [(bytes(name).lower(), bytes(value)) for name, value in headers]
    names = {name for name, _ in given}
    return given + [item for item in ON_EVERY_ANSWER.items() if item[0] not in names]
