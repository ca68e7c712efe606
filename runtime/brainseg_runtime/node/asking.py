"""A running node asked over HTTP, for the commands `brainseg node ...`; the standard library alone."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from brainseg_runtime.errors import NodeError, UsageError
from brainseg_runtime.node.config import NodeConfig
from brainseg_runtime.node.watching.access import bracketed, read_token
from brainseg_runtime.safe_io import strict_json
from brainseg_runtime.safe_io.files import encode_json
from brainseg_runtime.safe_io.strict_json import Json

MOST_ANSWER: Final = 16 << 20
"""Most bytes of an answer; a thousand studies have one of them."""

SECONDS: Final = 30.0
"""Longest wait for an answer, s; a study that is fetched takes longer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeClient:
    """Where a node answers, and what it is shown.

    Attributes:
        url: Such as "http://127.0.0.1:8080".
        token_file: The file with the bearer token; None: none is sent.
        authorities: Certificates that an HTTPS node's must descend from; None: the system's.
        certificate: The caller's certificate and key, PEM; None: none is shown.
    """

    url: str
    token_file: Path | None = None
    authorities: Path | None = None
    certificate: Path | None = None

    @classmethod
    def of(cls, config: NodeConfig) -> NodeClient:
        """The client of the node that has this configuration, on this machine.

        >>> NodeClient.of(NodeConfig()).url
        'http://127.0.0.1:8080'
        """
        settings = config.http
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(settings.host, settings.host)  # noqa: S104 - compared
        scheme = "http" if settings.tls is None else "https"
        return cls(url=f"{scheme}://{bracketed(host)}:{settings.port}", token_file=settings.token_file)

    def ask(
        self, method: str, path: str, body: Mapping[str, Json] | None = None, *, seconds: float = SECONDS
    ) -> dict[str, Json]:
        """One request.

        Args:
            method: Such as "GET".
            path: Such as "/ready".
            body: Sent as JSON.
            seconds: Longest wait for the answer.

        Returns:
            The answer's JSON; that of 503 too, with which `/ready` says why.

        Raises:
            UsageError: The URL, or a file for it, is unfit.
            NodeError: Nobody answers, or the node refuses.
        """
        headers = {"Accept": "application/json"}
        if self.token_file is not None:
            headers["Authorization"] = f"Bearer {read_token(self.token_file).decode('ascii')}"
        payload = None
        if body is not None:
            payload = encode_json(body).encode()
            headers["Content-Type"] = "application/json"
        connection = self._connection(seconds)
        try:
            connection.request(method, quote(path, safe="/?=&"), payload, headers)
            response = connection.getresponse()
            data = response.read(MOST_ANSWER + 1)
        except (OSError, http.client.HTTPException) as error:
            raise NodeError(
                f"no node answers at {self.url}",
                got=getattr(error, "strerror", None) or type(error).__name__,
                remedy=self._remedy(error),
            ) from error
        finally:
            connection.close()
        answer = strict_json.parse(data, f"the answer of {self.url}", limit=MOST_ANSWER, error=NodeError)
        if not 200 <= response.status < 300 and "error" in answer:
            raise _refusal(answer["error"], response.status)
        return answer

    def _remedy(self, error: Exception) -> str:
        """What may help where no answer came."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return "give the authority's certificate by --authorities, and a name of the node's certificate by --url"
        if isinstance(error, ConnectionResetError | BrokenPipeError | ssl.SSLError):  # RemoteDisconnected among them
            if self.url.startswith("http:"):
                return "give an https:// address by --url, if the node speaks TLS"
            return "give certificate and key by --certificate, if the node asks for one"
        return "see that it runs, and name it with --url, or its configuration with --config"

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        """A connection that is opened by the first request."""
        parts = urlsplit(self.url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1 or parts.path not in {"", "/"}:
            raise UsageError("the node's URL is wrong", expected="http(s)://HOST:PORT", got=self.url)
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname, port, timeout=seconds)
        try:
            context = ssl.create_default_context(cafile=self.authorities)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                "a certificate cannot be used",
                expected="PEM: certificates by --authorities, certificate and key in one file by --certificate",
                got=error.strerror or type(error).__name__,
            ) from error
        return http.client.HTTPSConnection(parts.hostname, port, timeout=seconds, context=context)


def _refusal(error: Json, status: int) -> NodeError:
    """The node's own error."""
    if not isinstance(error, dict):
        return NodeError("the node refused", got=f"status {status}")
    remedy = error.get("remedy")
    return NodeError(
        str(error.get("what", "the node refused")),
        expected=error.get("expected"),
        got=error.get("got") or f"status {status}",
        remedy=None if remedy is None else str(remedy),
    )
