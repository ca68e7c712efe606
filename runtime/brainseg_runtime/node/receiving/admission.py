"""Who is let in: listed titles at listed addresses, and no more at a time than were asked for."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from brainseg_runtime.errors import UsageError
from brainseg_runtime.node.config import DicomSettings

_NAMES_SECONDS: Final = 60.0
"""How long a name's addresses are believed."""

_SPARE: Final = 16
"""Connections beyond the associations, for those that are about to be turned away."""

Reason = Literal["calling_title", "called_title", "too_many", "stopping"]
Unheard = Literal["address", "tls"]
"""Why a connection is closed before anything was said: it comes from elsewhere, or speaks no TLS that is taken."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an association is rejected, in words for the log and in the numbers of DICOM PS3.8, 9.3.4.

    Attributes:
        reason: For the log.
        result: 1 permanent, 2 transient.
        source: 1 service user, 3 service provider (presentation).
        diagnostic: What it means depends on the source.
    """

    reason: Reason
    result: int
    source: int
    diagnostic: int


CALLED: Final = Rejection("called_title", 1, 1, 7)
CALLING: Final = Rejection("calling_title", 1, 1, 3)
TOO_MANY: Final = Rejection("too_many", 2, 3, 2)
STOPPING: Final = Rejection("stopping", 2, 3, 1)


@dataclass(frozen=True, slots=True)
class Allowed:
    """A sender that is let in.

    Attributes:
        aet: Its title.
        host: Its address or name.
    """

    aet: str
    host: str


def parse_allowed(entries: Iterable[str]) -> tuple[Allowed, ...]:
    """Read the list of senders.

    Args:
        entries: Each "AET@HOST".

    Raises:
        UsageError: One is not of this form.

    Examples:
        >>> parse_allowed(["MR1@10.0.0.7"])
        (Allowed(aet='MR1', host='10.0.0.7'),)
    """
    return tuple(map(_allowed, entries))


class Admission:
    """Decides about connections and associations, and counts them. Used by all of the listener's threads.

    Args:
        settings: The listener's settings.
        resolve: Addresses of a name; raises OSError if it has none.
        clock: Seconds that only ever grow.

    Raises:
        UsageError: The list of senders cannot be read.
    """

    def __init__(
        self,
        settings: DicomSettings,
        *,
        resolve: Callable[[str], frozenset[str]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._aet = settings.aet.strip()
        self._allowed = parse_allowed(settings.allow)
        self._most = settings.max_associations
        self._names = _Names(resolve or _resolve, clock)
        self._lock = threading.Lock()
        self._connections = 0
        self._associations = 0
        self._stopping = False

    def stop(self) -> None:
        """Let nobody in from now on."""
        self._stopping = True

    @property
    def stopping(self) -> bool:
        """Whether nobody is let in any more."""
        return self._stopping

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return self._connections

    def opens(self) -> bool:
        """Count a connection; False if there are too many, or the listener stops."""
        with self._lock:
            if self._stopping or self._connections >= self._most + _SPARE:
                return False
            self._connections += 1
            return True

    def closes(self) -> None:
        """Count a connection that has ended."""
        with self._lock:
            self._connections -= 1

    def knows(self, address: str) -> bool:
        """Whether anybody may call from an address."""
        return any(self._is_at(each, address) for each in self._allowed)

    def enters(self, *, called: str, calling: str, address: str) -> Rejection | None:
        """Decide about an association, and count it if it is let in; `leaves` must follow then.

        Args:
            called: The title that it calls.
            calling: The title that it gives itself.
            address: Where it comes from.

        Returns:
            Why it is rejected; None if it is let in.
        """
        if called.strip() != self._aet:
            return CALLED
        if not any(each.aet == calling.strip() and self._is_at(each, address) for each in self._allowed):
            return CALLING
        with self._lock:
            if self._stopping:
                return STOPPING
            if self._associations >= self._most:
                return TOO_MANY
            self._associations += 1
        return None

    def leaves(self) -> None:
        """Count an association that has ended."""
        with self._lock:
            self._associations -= 1

    def _is_at(self, allowed: Allowed, address: str) -> bool:
        """Whether a sender may come from an address."""
        plain = _plain(address)
        return plain is not None and plain in self._names.of(allowed.host)


class _Names:
    """Addresses of names, looked up again after a while; a look-up that fails leaves what was known."""

    def __init__(self, resolve: Callable[[str], frozenset[str]], clock: Callable[[], float]) -> None:
        self._resolve = resolve
        self._clock = clock
        self._known: dict[str, tuple[float, frozenset[str]]] = {}

    def of(self, host: str) -> frozenset[str]:
        """Addresses of a host."""
        address = _plain(host)
        if address is not None:
            return frozenset({address})
        looked_up, addresses = self._known.get(host, (None, frozenset()))
        if looked_up is None or self._clock() - looked_up > _NAMES_SECONDS:
            with contextlib.suppress(OSError, UnicodeError):  # UnicodeError: a name that no host can have
                addresses = frozenset(filter(None, map(_plain, self._resolve(host))))
            self._known[host] = (self._clock(), addresses)
        return addresses


def _allowed(entry: str) -> Allowed:
    """One entry of the list."""
    aet, at, host = entry.rpartition("@")
    host = host.strip().removeprefix("[").removesuffix("]")
    if not at or not 1 <= len(aet.strip()) <= 16 or not host:
        raise UsageError(
            "an entry of dicom.allow cannot be read",
            expected="AET@HOST, a title of 1 to 16 characters and an address or a name",
            got=repr(entry),
        )
    return Allowed(aet.strip(), host)


def _plain(address: str) -> str | None:
    """An address in its one form, IPv4 within IPv6 as IPv4; None if it is a name."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def _resolve(host: str) -> frozenset[str]:
    """Addresses of a name."""
    return frozenset(str(each[4][0]) for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
