"""The node's settings: one TOML file, each table a class here, each key a field.

The command line's options win over the file. Everything that a hospital may set is here, with its range; an unknown
key is an error, so that a misspelt one is not silently its default.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

from brainseg_runtime.errors import UsageError
from brainseg_runtime.safe_io.files import read_capped
from brainseg_runtime.safe_io.strict_json import shown
from brainseg_runtime.safe_io.typed_json import Between, Matches, from_json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Settings = TypeVar("_Settings", bound="DataclassInstance")

SCHEMA: Final = "brainseg/node/1"

_LONGEST_FILE: Final = 1 << 20
"""Bytes; a file with a hundred destinations has a hundredth of it."""

_TITLE: Final = re.compile(r"[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?")
_HOST: Final = re.compile(r"[0-9A-Za-z_.:%-]{1,255}")
"""A name, an IPv4 address or an IPv6 address without brackets."""

Aet = Annotated[str, Matches(_TITLE, "1 to 16 printable characters without \\")]
"""An application entity's title (DICOM PS3.5, VR AE)."""

Port = Annotated[int, Between(0, 65535)]
"""A TCP port; 0: any free one, which the node says when it listens."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TlsSettings:
    """Files for TLS, PEM.

    Attributes:
        certificate: The certificate, with the chain above it.
        key: Its private key, without a passphrase.
        authorities: Certificates that the other side's must descend from; where the node listens, null means that no
            certificate is asked of the caller, and where it calls, that the system's authorities are used.
    """

    certificate: Path | None = None
    key: Path | None = None
    authorities: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DicomSettings:
    """Where images arrive by DIMSE.

    Attributes:
        aet: The node's own title; associations that call another are rejected.
        host: The address to listen on.
        port: The port to listen on.
        allow: Who may send, each "AET@HOST", HOST an address or a name. Nobody else is let in.
        max_associations: Most associations at a time.
        association_seconds: Longest silence within an association, s.
        tls: Given: TLS alone is spoken.
    """

    aet: Aet = "BRAINSEG"
    host: str = "127.0.0.1"
    port: Port = 11112
    allow: tuple[str, ...] = ()
    max_associations: Annotated[int, Between(1, 256)] = 10
    association_seconds: Annotated[float, Between(1, 3600)] = 30.0
    tls: TlsSettings | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpSettings:
    """Where the node is watched, and where DICOMweb arrives.

    Attributes:
        host: The address to listen on. Anything but loopback needs `token_file`, or `tls` with `authorities`.
        port: The port to listen on.
        token_file: A file whose first line is the bearer token, at least 24 characters, mode 0600.
        names: Further names that it is reached by, such as a proxy's; a request that calls it by another is refused.
            Empty beyond loopback: any, as the token or the certificate decides.
        stow: Whether STOW-RS takes images at `/dicom-web/studies`.
        max_request_mib: Longest body of a request, MiB.
        tls: Given: HTTPS alone; with `authorities`, a client certificate is asked for.
    """

    host: str = "127.0.0.1"
    port: Port = 8080
    token_file: Path | None = None
    names: tuple[str, ...] = ()
    stow: bool = False
    max_request_mib: Annotated[int, Between(1, 4096)] = 512
    tls: TlsSettings | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class IntakeSettings:
    """When a study is complete, and how much is taken.

    Attributes:
        quiet_seconds: A study is complete when no image of it came for so long, s.
        complete_after_associations: Given: a study is complete, without waiting, when so many associations that brought
            images of it have been released; for senders that send each study in one association, 1.
        max_instance_mib: Largest image, MiB.
        max_study_instances: Most images of a study.
        max_study_mib: Most of a study, MiB.
        max_waiting_mib: Most that all images on the disk may take, MiB; beyond it, images are refused for now.
        min_free_mib: Images are refused for now if less than this is free on the disk, MiB.
    """

    quiet_seconds: Annotated[float, Between(0.1, 86400)] = 30.0
    complete_after_associations: Annotated[int, Between(1, 1000)] | None = None
    max_instance_mib: Annotated[int, Between(1, 4096)] = 256
    max_study_instances: Annotated[int, Between(1, 100_000)] = 4000
    max_study_mib: Annotated[int, Between(1, 65536)] = 4096
    max_waiting_mib: Annotated[int, Between(1, 1 << 24)] = 65536
    min_free_mib: Annotated[int, Between(0, 1 << 24)] = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkSettings:
    """How studies are segmented.

    Attributes:
        workers: Processes, each with one study at a time.
        threads: Threads of one process; null: the processors by the number of workers.
        deadline_seconds: Longest time for a study, s; then its process is ended.
        memory_mib: Most memory of a process, MiB; null: no cap.
        digest: SHA-256 of the manifest; given, another bundle is refused.
        provider: As for `brainseg predict`.
        variant: As for `brainseg predict`.
        threshold: As for `brainseg predict`; null: the model's own.
        register: Whether T1s are brought onto FLAIR by what they show.
        partial: What becomes of a study whose FLAIR shows a part of a head, such as one of which half was sent so far:
            "warn" says so in its results, "withhold" quarantines it until more images of it come.
        write: What is made of a study; "preview" is always added, for the page.
    """

    workers: Annotated[int, Between(1, 64)] = 1
    threads: Annotated[int, Between(1, 256)] | None = None
    deadline_seconds: Annotated[float, Between(1, 86400)] = 900.0
    memory_mib: Annotated[int, Between(64, 1 << 20)] | None = None
    digest: str | None = None
    provider: str = "auto"
    variant: str = "auto"
    threshold: Annotated[float, Between(0, 1)] | None = None
    register: bool = True
    partial: Literal["warn", "withhold"] = "warn"
    write: tuple[Literal["seg", "sr", "sc", "rtstruct"], ...] = ("seg", "sr", "sc")


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """Where results go.

    Attributes:
        name: What it is called in the log, the metrics and the queue.
        kind: "dimse" for C-STORE, "stow" for STOW-RS.
        aet: Its title; for "dimse".
        host: Its address; for "dimse".
        port: Its port; for "dimse".
        url: Its DICOMweb service, "https://pacs/dicom-web"; for "stow". QIDO and WADO are asked there too.
        token_file: A file whose first line is a bearer token; for "stow".
        commitment: Whether storage commitment is asked for after sending; for "dimse".
        commitment_seconds: How long its answer is waited for before the objects are sent again, s.
        write: Which of what is made goes there; null: all.
        tls: Given: TLS for "dimse"; the authorities and client certificate for "stow".
        calling_aet: The title that the node calls itself there; null: its own.
    """

    name: Annotated[str, Matches(re.compile(r"[a-z0-9][a-z0-9_-]{0,31}"), "1 to 32 of a-z, 0-9, - and _")]
    kind: Literal["dimse", "stow"] = "dimse"
    aet: Aet | None = None
    host: str | None = None
    port: Annotated[int, Between(1, 65535)] = 104
    url: str | None = None
    token_file: Path | None = None
    commitment: bool = False
    commitment_seconds: Annotated[float, Between(1, 86400)] = 600.0
    write: tuple[Literal["seg", "sr", "sc", "rtstruct"], ...] | None = None
    tls: TlsSettings | None = None
    calling_aet: Aet | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrySettings:
    """How sending is tried again.

    Attributes:
        attempts: Most attempts; then the delivery is quarantined until somebody asks for it again. By default they last
            for 20 to 25 hours, so that a PACS may be down over a night.
        first_seconds: Pause after the first failure, s.
        factor: Each pause is so many times the one before.
        longest_seconds: Longest pause, s.
    """

    attempts: Annotated[int, Between(1, 1000)] = 60
    first_seconds: Annotated[float, Between(0.05, 86400)] = 5.0
    factor: Annotated[float, Between(1, 10)] = 2.0
    longest_seconds: Annotated[float, Between(0.05, 86400)] = 1800.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RetentionSettings:
    """How long what is held is kept, counted from when a study is done with.

    Attributes:
        inputs_hours: Images, h.
        results_hours: Results and previews, h.
        quarantine_hours: Images of a quarantined study, h.
    """

    inputs_hours: Annotated[float, Between(0, 87600)] = 24.0
    results_hours: Annotated[float, Between(0, 87600)] = 168.0
    quarantine_hours: Annotated[float, Between(0, 87600)] = 168.0


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeConfig:
    """All settings of a node.

    Attributes:
        folder: The node's state: queue, images, results, audit, key. Mode 0700; one node at a time.
        dicom: Where images arrive.
        http: Where it is watched.
        intake: When a study is complete, and how much is taken.
        work: How studies are segmented.
        send: Where results go.
        retry: How sending is tried again.
        retention: How long what is held is kept.
        pull: The name of the destination of kind "stow" that `brainseg node fetch` asks; null: the first one.
    """

    folder: Path = Path("brainseg-node")
    dicom: DicomSettings = field(default_factory=DicomSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    intake: IntakeSettings = field(default_factory=IntakeSettings)
    work: WorkSettings = field(default_factory=WorkSettings)
    send: tuple[Destination, ...] = ()
    retry: RetrySettings = field(default_factory=RetrySettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    pull: str | None = None


def read_config(path: Path) -> NodeConfig:
    """Read a configuration file. Relative paths in it are taken from its folder.

    Args:
        path: A TOML file. Besides the settings it may hold `schema`, which must then be "brainseg/node/1".

    Raises:
        UsageError: It cannot be read, is no TOML, or holds an unknown key, a value out of its range or settings that
            do not go together.
    """
    try:
        text = read_capped(path.resolve(), _LONGEST_FILE, error=UsageError).decode("utf-8-sig")
        table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not TOML", expected="text in UTF-8", got=f"byte {error.start}") from error
    except (ValueError, RecursionError) as error:  # tomllib lets both pass: numbers of 5,000 digits, brackets as deep
        raise UsageError(f"{path} is not TOML", got=error, remedy="see docs/node.example.toml") from error
    if isinstance(table.get("send"), dict):
        raise UsageError(f"{path}.send is one table", expected="[[send]] above each destination", got="[send]")
    schema = table.pop("schema", SCHEMA)
    if schema != SCHEMA:
        raise UsageError(f"{path} is of another schema", expected=SCHEMA, got=shown(schema))
    config = from_json(NodeConfig, table, str(path), error=UsageError)
    require_consistent(config, str(path))
    placed = _placed(config, path.absolute().parent)
    return placed if "folder" in table else replace(placed, folder=config.folder)


def require_consistent(config: NodeConfig, where: str = "the configuration") -> None:
    """Refuse settings that do not go together.

    Args:
        config: The settings.
        where: What they are called in errors.

    Raises:
        UsageError: DICOM and HTTP have the same port, a destination lacks its address or has another's name, a
            certificate lacks its key, a caller in `allow` is not "AET@HOST", or `pull` names no DICOMweb service.
    """
    for number, caller in enumerate(config.dicom.allow):
        split_caller(caller, f"{where}.dicom.allow[{number}]")
    for place, tls in (("dicom.tls", config.dicom.tls), ("http.tls", config.http.tls)):
        if tls is not None and (tls.certificate is None or tls.key is None):
            raise UsageError(f"{where}.{place} is incomplete", expected="certificate and key")
    if _one_port(config):
        raise UsageError(
            f"{where} has one port for DICOM and HTTP",
            expected="two ports",
            got=f"dicom.port and http.port {config.http.port}",
        )
    seen: set[str] = set()
    for number, destination in enumerate(config.send):
        _require_address(destination, f"{where}.send[{number}]")
        if destination.name in seen:
            raise UsageError(
                f"{where}.send has two destinations of one name",
                got=destination.name,
                remedy="give each a name of its own in a configuration file, under [[send]]",
            )
        seen.add(destination.name)
    services = [each.name for each in config.send if each.kind == "stow"]
    if config.pull is not None and config.pull not in services:
        raise UsageError(
            f'{where}.pull names no destination of kind "stow"',
            expected=f"one of {', '.join(services)}" if services else "a destination with a url",
            got=config.pull,
        )


def split_caller(text: str, where: str = "--allow") -> tuple[str, str]:
    """A caller's title and host from "AET@HOST".

    >>> split_caller("MR1@10.0.0.7")
    ('MR1', '10.0.0.7')

    Raises:
        UsageError: The text is not of this form.
    """
    title, sign, host = text.rpartition("@")
    if not sign or not _TITLE.fullmatch(title) or not _HOST.fullmatch(host):
        raise UsageError(f"{where} is wrong", expected="AET@HOST, as in MR1@10.0.0.7", got=shown(text))
    return title, host


def _one_port(config: NodeConfig) -> bool:
    """Whether DICOM and HTTP would listen at the same place."""
    dicom, http = config.dicom, config.http
    hosts = {dicom.host.strip("[]"), http.host.strip("[]")}
    return dicom.port == http.port != 0 and (len(hosts) == 1 or bool(hosts & {"0.0.0.0", "::"}))  # noqa: S104 - compared


def _require_address(destination: Destination, where: str) -> None:
    """Refuses a destination that cannot be called."""
    if destination.kind == "dimse":
        if destination.aet is None or destination.host is None:
            raise UsageError(f'{where} lacks its address, which for kind "dimse" is', expected="aet and host")
        if destination.url is not None:
            raise UsageError(f"{where}.url is for another kind", expected='kind = "stow"', got=destination.kind)
    elif not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", destination.url or ""):
        raise UsageError(f"{where}.url is wrong", expected="http(s)://HOST/PATH", got=shown(destination.url))
    if destination.kind == "stow" and destination.commitment:
        raise UsageError(f"{where}.commitment is for another kind", expected='kind = "dimse"', got=destination.kind)
    tls = destination.tls
    if tls is not None and (tls.certificate is None) != (tls.key is None):
        raise UsageError(f"{where}.tls is incomplete", expected="certificate and key, or neither")


def _placed(settings: _Settings, folder: Path) -> _Settings:
    """Settings whose relative paths are taken from a folder."""
    changed: dict[str, object] = {}
    for each in fields(settings):
        value = getattr(settings, each.name)
        if isinstance(value, Path):
            changed[each.name] = folder / value
        elif is_dataclass(value) and not isinstance(value, type):
            changed[each.name] = _placed(value, folder)
        elif isinstance(value, tuple):
            changed[each.name] = tuple(
                _placed(item, folder) if isinstance(item, Destination) else item for item in value
            )
    return replace(settings, **changed)
