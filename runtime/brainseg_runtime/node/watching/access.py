"""Who may ask the node something over HTTP: a bearer token, a client certificate, and the name that it was called by.

On loopback neither is needed. A page of another site that a browser on this machine shows could then reach the node, by
a name of its own that it has resolve to 127.0.0.1 (DNS rebinding) or by sending a form: so the `Host` header must be a
name of the node's, and a request that changes something must not come from another origin.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
import stat
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from brainseg_runtime.errors import UsageError
from brainseg_runtime.node.config import HttpSettings

LEAST_TOKEN: Final = 24
"""Fewest characters of a token: 144 bits where they are base64."""

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""What a node on loopback is called."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST: Final = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9._-]{0,252}))(?::[0-9]{1,5})?", re.IGNORECASE)
_TOKEN: Final = re.compile(r"[!-~]+")
_BEARER: Final = re.compile(rb"bearer +([!-~]+)", re.IGNORECASE)
_LONGEST_FILE: Final = 4096  # bytes: a token and a comment below it

_ACL: Final = "system.posix_acl_access"
_GROUPS: Final = (0x04, 0x08)  # the file's own group, and others
_MASK: Final = 0x10

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]
"""Names in lower case, and values, as ASGI has them."""

Reason: TypeAlias = Literal["host", "origin", "token"]
"""Why a request is refused."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """The rules that a request must keep.

    Attributes:
        token: SHA-256 of the token, so that the comparison takes the same time for every length; None: none is asked.
        names: Allowed names in `Host`, lower case, IPv6 addresses in brackets; None: any.
    """

    token: bytes | None
    names: frozenset[str] | None

    def refusal(self, method: str, headers: Headers, *, public: bool = False) -> Reason | None:
        """Why a request is refused; None if it may pass.

        Args:
            method: Such as "GET".
            headers: All of the request's.
            public: Whether it is for a file of the page, which a browser loads before anybody can give a token.
        """
        found = list(headers)
        host = _only(found, b"host")
        name = None if host is None else host_name(host)
        if name is None or (self.names is not None and name not in self.names):
            return "host"
        open_to_all = self.token is None or (public and method in _SAFE)
        if not open_to_all and not self._has_token(_only(found, b"authorization")):
            return "token"
        return "origin" if method not in _SAFE and _is_foreign(found, host) else None

    def _has_token(self, authorization: str | None) -> bool:
        given = _BEARER.fullmatch((authorization or "").encode("latin-1"))
        digest = hashlib.sha256(given[1] if given else b"").digest()
        return hmac.compare_digest(digest, self.token or b"")


def access(settings: HttpSettings) -> Access:
    """The rules by the settings.

    >>> access(HttpSettings()).refusal("GET", [(b"host", b"rebound.example")])
    'host'

    Raises:
        UsageError: Others than this machine could reach the node and neither a token nor client certificates are asked
            for, or the token's file is unfit.
    """
    loopback = is_loopback(settings.host)
    client_certificates = settings.tls is not None and settings.tls.authorities is not None
    if not loopback and settings.token_file is None and not client_certificates:
        raise UsageError(
            "http.host is reachable from other machines, and nothing says who may ask",
            expected="http.token_file, or http.tls with authorities",
            got=settings.host,
            remedy="set one of them, or listen on 127.0.0.1",
        )
    named = {bracketed(name) for name in settings.names}
    names = named | LOOPBACK_NAMES | {bracketed(settings.host)} if loopback or named else None
    token = None if settings.token_file is None else hashlib.sha256(read_token(settings.token_file)).digest()
    return Access(token=token, names=None if names is None else frozenset(names))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there; not assumed of a name other than localhost.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "pacs.example")]
    [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def read_token(path: Path) -> bytes:
    """The token in a file's first line.

    Raises:
        UsageError: The file cannot be read, others may read it, or its first line is no token.
    """
    try:
        mode = path.stat().st_mode
        with path.open("rb") as file:
            text = file.read(_LONGEST_FILE)
    except OSError as error:
        raise UsageError("the token's file cannot be read", got=error.strerror, remedy="see http.token_file") from error
    if others_may_read(path, mode):
        raise UsageError(
            "others may read the token's file",
            expected="mode 0600",
            got=f"{stat.S_IMODE(mode):04o}",
            remedy=f"chmod 600 {path}",
        )
    token = text.partition(b"\n")[0].strip().decode("ascii", "replace")
    if len(token) < LEAST_TOKEN or not _TOKEN.fullmatch(token):
        raise UsageError(
            "the first line of the token's file is no token",
            expected=f"at least {LEAST_TOKEN} printable characters without spaces",
            got=f"{len(token)} characters",
            remedy="make one with: openssl rand -base64 32",
        )
    return token.encode("ascii")


def others_may_read(path: Path, mode: int) -> bool:
    """Whether the group or everybody may read or change a file; users that its access list names do not count.

    systemd hands credentials over with such a list, whose mask then stands in the mode in place of the group's rights.

    Args:
        path: The file.
        mode: Its mode.

    Source: acl(5), "Correspondence between ACL entries and file permission bits"; linux/posix_acl_xattr.h.
    """
    if not stat.S_IMODE(mode) & 0o077:
        return False
    try:
        acl = os.getxattr(path, _ACL) if sys.platform == "linux" else b""
    except OSError:  # none
        acl = b""
    entries = list(struct.iter_unpack("<HHI", acl[4:])) if len(acl) % 8 == 4 else []
    if stat.S_IMODE(mode) & 0o007 or not entries:
        return True
    mask = next((rights for tag, rights, _ in entries if tag == _MASK), 0o7)
    return any(tag in _GROUPS and rights & mask for tag, rights, _ in entries)


def host_name(header: str) -> str | None:
    """The name in a `Host` header without its port, lower case; None if it is no host.

    >>> [host_name(text) for text in ("LocalHost:8080", "[::1]:80", "a b", "")]
    ['localhost', '[::1]', None, None]
    """
    found = _HOST.fullmatch(header)
    return found[1].lower().rstrip(".") if found else None


def bracketed(name: str) -> str:
    """A host's name as `Host` holds it.

    >>> bracketed("::1"), bracketed("Node.example")
    ('[::1]', 'node.example')
    """
    bare = name.lower().strip("[]")
    return f"[{bare}]" if ":" in bare else bare


def _is_foreign(headers: Headers, host: str | None) -> bool:
    """Whether a browser says that another site's page sends the request; programs other than browsers say nothing."""
    site = _only(headers, b"sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return True
    origins = [value for name, value in headers if name == b"origin"]
    if not origins:
        return False
    origin = origins[0].decode("latin-1")
    return (
        len(origins) > 1 or host is None or origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}")
    )


def _only(headers: Headers, wanted: bytes) -> str | None:
    """A header that stands there exactly once."""
    found = [value for name, value in headers if name == wanted]
    return found[0].decode("latin-1") if len(found) == 1 else None
