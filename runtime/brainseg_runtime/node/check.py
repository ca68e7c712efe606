"""`brainseg serve --check`: whether a node would start with these settings, and whether its destinations answer."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.errors import BrainsegError, NodeFullError, UsageError
from brainseg_runtime.node.config import Destination, NodeConfig
from brainseg_runtime.node.extra import require_extra
from brainseg_runtime.node.receiving.admission import Admission
from brainseg_runtime.node.sending.reaching import reach
from brainseg_runtime.node.store.store import Store
from brainseg_runtime.node.tls import server_context
from brainseg_runtime.node.watching.access import access, is_loopback

_MIB: Final = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeCheck:
    """One thing that was tested.

    Attributes:
        name: What.
        status: "PASS", "WARN" (the node starts, and something will go wrong or is not safe) or "FAIL".
        detail: What was found.
    """

    name: str
    status: Literal["PASS", "WARN", "FAIL"]
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeChecks:
    """Everything that was tested.

    Attributes:
        checks: In the order of a start.
    """

    checks: tuple[NodeCheck, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed; warnings do not count."""
        return all(each.status != "FAIL" for each in self.checks)


class _WarningError(BrainsegError):
    """The node would start, but not work as it is meant to. Never leaves this module."""


def check_node(config: NodeConfig, bundle: Path) -> NodeChecks:
    """Test what starting a node would need; nothing is left listening.

    Args:
        config: The settings, read and consistent.
        bundle: The model's folder.

    Raises:
        MissingExtraError: The extra "node" is not installed, without which nothing can be tested.
    """
    require_extra()
    tests: list[tuple[str, Callable[[], str]]] = [
        ("bundle", partial(_bundle, config, bundle)),
        ("provider", partial(_provider, config, bundle)),
        ("state folder", partial(_folder, config)),
        ("disk", partial(_disk, config)),
        ("callers", partial(_callers, config)),
        ("DICOM port", partial(_dicom, config)),
        ("HTTP port", partial(_http, config)),
        ("HTTP token", partial(_http_token, config)),
        *((f"destination {each.name}", partial(_destination, config, each)) for each in config.send),
        *((f"token of {each.name}", partial(_token, each)) for each in config.send if each.token_file is not None),
        *((f"answers of {each.name}", partial(_commitment, config, each)) for each in config.send if each.commitment),
    ]
    return NodeChecks(checks=tuple(_tested(name, test) for name, test in tests))


def _tested(name: str, test: Callable[[], str]) -> NodeCheck:
    """One test; what it raises is its detail."""
    try:
        return NodeCheck(name=name, status="PASS", detail=test())
    except _WarningError as error:
        return NodeCheck(name=name, status="WARN", detail=str(error))
    except BrainsegError as error:
        return NodeCheck(name=name, status="FAIL", detail=str(error))


def _bundle(config: NodeConfig, bundle: Path) -> str:
    """The bundle is whole, and the pinned one."""
    found = open_bundle(bundle, digest=config.work.digest)
    pinned = "" if config.work.digest is None else ", as pinned"
    return f"{found.manifest.name}, digest {found.digest}{pinned}"


def _provider(config: NodeConfig, bundle: Path) -> str:
    """The model runs as asked for."""
    from brainseg_runtime.segmenter import Segmenter

    work = config.work
    segmenter = Segmenter.load(
        bundle, digest=work.digest, provider=work.provider, variant=work.variant, threads=work.threads
    )
    return f"{segmenter.info.variant} on {segmenter.info.provider}"


def _folder(config: NodeConfig) -> str:
    """The state folder can be opened: no other node has it."""
    made = not config.folder.exists()
    store = Store.open(config.folder)
    try:
        counts = store.counts()
    finally:
        store.close()
        if made:
            shutil.rmtree(config.folder, ignore_errors=True)
    return f"{config.folder}: {sum(counts.studies.values())} studies" + (", would be made" if made else "")


def _disk(config: NodeConfig) -> str:
    """There is room for images."""
    place = next(each for each in (config.folder, *config.folder.absolute().parents) if each.is_dir())
    free = shutil.disk_usage(place).free // _MIB
    if free < config.intake.min_free_mib:
        raise NodeFullError(
            "images would be refused", expected=f"at least {config.intake.min_free_mib} MiB free", got=f"{free} MiB"
        )
    return f"{free} MiB free, {config.intake.min_free_mib} MiB needed"


def _callers(config: NodeConfig) -> str:
    """Somebody may send images."""
    Admission(config.dicom)
    if not config.dicom.allow and not config.http.stow:
        raise UsageError("nobody may send images", expected="callers in dicom.allow, or --allow AET@HOST")
    hosts = {caller: _addresses(caller) for caller in config.dicom.allow}
    if config.dicom.host and _near(_addresses(config.dicom.host)):
        distant = [caller for caller, addresses in hosts.items() if not _near(addresses)]
        if distant:
            raise UsageError(
                f"{', '.join(distant)} cannot reach the node",
                expected="an address that other machines reach",
                got=f"{config.dicom.host}, which this machine alone reaches",
                remedy="set dicom.host, or give --host, such as 0.0.0.0 for every address",
            )
    return ", ".join(config.dicom.allow) or "by STOW-RS alone"


def _near(addresses: Iterable[str]) -> bool:
    """Whether an address is this machine's own alone."""
    return any(ipaddress.ip_address(each.partition("%")[0]).is_loopback for each in addresses)


def _addresses(caller: str) -> frozenset[str]:
    """Addresses of "AET@HOST".

    Raises:
        UsageError: The name has none.
    """
    host = caller.rpartition("@")[2].strip("[]")
    try:
        return frozenset(str(each[4][0]) for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"{host} has no address, so nobody is let in from there",
            expected="an address, or a name that this machine can look up",
            got=getattr(error, "strerror", None) or type(error).__name__,
        ) from error


def _dicom(config: NodeConfig) -> str:
    """The DICOM port is free, and its certificate fits its key."""
    if config.dicom.tls is not None:
        server_context(config.dicom.tls)
    return _listens("dicom", config.dicom.host, config.dicom.port)


def _http(config: NodeConfig) -> str:
    """The HTTP port is free, and its certificate fits its key."""
    if config.http.tls is not None:
        server_context(config.http.tls)
    return _listens("http", config.http.host, config.http.port)


def _destination(config: NodeConfig, destination: Destination) -> str:
    """A destination answers C-ECHO, or a search."""
    reach(destination, config.dicom.aet)
    return destination.url or f"{destination.aet}@{destination.host}:{destination.port} answers C-ECHO"


def _http_token(config: NodeConfig) -> str:
    """The token can be read, is asked for where it must be, and does not go over the network in clear."""
    http = config.http
    access(http)
    if http.token_file is None:
        return "none"
    if http.tls is None and not is_loopback(http.host):
        raise _WarningError(
            "whoever listens on the network reads the bearer token, and all that is asked with it",
            expected="http.tls beyond loopback",
            got=f"HTTP on {http.host}",
            remedy="set http.tls, or listen on 127.0.0.1 behind a proxy that speaks TLS",
        )
    return "over TLS" if http.tls is not None else "on this machine alone"


def _token(destination: Destination) -> str:
    """Its bearer token does not go over the network in clear."""
    parts = urlsplit(destination.url or "")
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise _WarningError(
            "whoever listens on the network reads the bearer token and the results",
            expected="an https:// url",
            got="http://",
            remedy="give the service's https:// url",
        )
    return "over TLS" if parts.scheme == "https" else "on this machine alone"


def _commitment(config: NodeConfig, destination: Destination) -> str:
    """The PACS can answer over an association of its own, as most do."""
    place = destination.host or ""
    its = {_plain(each) for each in _known(place)}
    callers = [each for each in config.dicom.allow if its & {_plain(address) for address in _known(each)}]
    if not callers:
        raise _WarningError(
            "the answers of a PACS that calls the node to commit are turned away, and the objects are sent again",
            expected=f"the title that it calls with, at {place}, in dicom.allow",
            got=", ".join(config.dicom.allow) or "nobody",
            remedy=f"add {destination.aet}@{place} to dicom.allow",
        )
    if config.dicom.host and _near(_addresses(config.dicom.host)) and not _near(its):
        raise _WarningError(
            "a PACS that calls the node to commit cannot reach it",
            expected="an address that other machines reach",
            got=config.dicom.host,
            remedy="set dicom.host",
        )
    return f"answers are taken from {', '.join(callers)}"


def _known(caller: str) -> frozenset[str]:
    """Addresses of "AET@HOST"; none if the name has none, which other tests tell."""
    try:
        return _addresses(caller)
    except UsageError:
        return frozenset()


def _plain(address: str) -> str:
    """An address without the zone of its network."""
    return address.partition("%")[0]


def _listens(table: str, host: str, port: int) -> str:
    """A port can be listened on.

    Raises:
        UsageError: It cannot.
    """
    try:
        family, *_, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        with socket.create_server(address[:2], family=family):
            return f"{host}:{port} is free"
    except OSError as error:
        raise UsageError(
            f"{host}:{port} cannot be listened on",
            expected="a free port at an address of this machine",
            got=os.strerror(error.errno) if error.errno else type(error).__name__,
            remedy=f"set {table}.host and {table}.port, or end what listens there",
        ) from error
