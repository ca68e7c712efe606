"""`brainseg node status`, `fetch`, `rerun`, `resend` and `drain`: a running node asked over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from brainseg_runtime.errors import UsageError
from brainseg_runtime.html.page import NOT_DEFINED
from brainseg_runtime.node.asking import NodeClient
from brainseg_runtime.node.config import read_config
from brainseg_runtime.node.receiving.identity import is_uid
from brainseg_runtime.plurals import counted
from brainseg_runtime.problems import printable
from brainseg_runtime.safe_io.strict_json import Json
from brainseg_runtime.terminal.application import command
from brainseg_runtime.terminal.command import DONE, FAULT
from brainseg_runtime.terminal.console import Console, one_line

_FETCH_SECONDS: Final = 1800.0
"""Longest wait for a study that is fetched, s."""

KeyArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="KEY", help="The study's key, 16 hexadecimal digits, as status shows it.")
]


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeAddress:
    """Which node."""

    config: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Its configuration, for its address and token.")
    ] = None
    url: Annotated[str | None, typer.Option(metavar="URL", help="Its address; default: http://127.0.0.1:8080.")] = None
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The bearer token, where it asks for one; mode 0600.")
    ] = None
    authorities: Annotated[
        Path | None, typer.Option(metavar="FILE.pem", help="Certificates that an HTTPS node's must descend from.")
    ] = None
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE.pem", help="Certificate and key to show to the node.")
    ] = None

    def client(self) -> NodeClient:
        """The node's client."""
        found = NodeClient(url="http://127.0.0.1:8080")
        if self.config is not None:
            found = NodeClient.of(read_config(self.config))
        return NodeClient(
            url=self.url or found.url,
            token_file=self.token_file or found.token_file,
            authorities=self.authorities,
            certificate=self.certificate,
        )


@command("brainseg node status", "brainseg node status --url https://node.example:8080 --token-file token")
def status(
    console: Console,
    *,
    address: NodeAddress,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Most studies to list.")] = 20,
) -> int:
    """Show whether a node takes images, and the studies that arrived last.

    The JSON has: ready, reasons, draining, studies, as /ready and /studies give them. The exit code is 1 if the node
    takes no images.
    """
    client = address.client()
    ready = client.ask("GET", "/ready")
    studies = client.ask("GET", f"/studies?limit={limit}")
    console.emit({**ready, **studies})
    rows = [_row(each) for each in _listed(studies.get("studies"))]
    console.table(["study", "state", "revision", "images", "received", "why not"], rows)
    reasons = ready.get("reasons")
    why = ", ".join(map(str, reasons)) if isinstance(reasons, list) else ""
    console.say("takes images" if ready.get("ready") else f"takes no images: {why}")
    return DONE if ready.get("ready") else FAULT


@command("brainseg node fetch 1.2.840.113619.2.55.3.1")
def fetch(
    console: Console,
    *,
    study_uid: Annotated[str, typer.Argument(metavar="STUDY_UID", help="The study's StudyInstanceUID.")],
    address: NodeAddress,
) -> int:
    """Have a node fetch a study's MR images from its PACS by DICOMweb, as if they had been sent to it.

    The JSON has: key, series, kept, refused. It ends when the images are in the node's queue.
    """
    if not is_uid(study_uid):
        raise UsageError("STUDY_UID is no UID", expected="digits and dots, at most 64, as in 1.2.840.113619.2.55.3.1")
    found = address.client().ask("POST", "/fetch", {"study_uid": study_uid}, seconds=_FETCH_SECONDS)
    console.emit(found)
    refused = f", {found['refused']} refused" if found.get("refused") else ""
    console.say(f"study {found.get('key')}: {_counted(found.get('kept'), 'image')}{refused}")
    return DONE


@command("brainseg node rerun 0123456789abcdef")
def rerun(console: Console, *, key: KeyArgument, address: NodeAddress) -> int:
    """Have a study segmented again, such as by a new model; its result replaces the one before.

    The JSON is the study's, as /studies gives it.
    """
    return _tell(console, address, key, "rerun", "waits to be segmented again")


@command("brainseg node resend 0123456789abcdef")
def resend(console: Console, *, key: KeyArgument, address: NodeAddress) -> int:
    """Have a study's result sent again, to every destination; it is the same objects.

    The JSON is the study's, as /studies gives it.
    """
    return _tell(console, address, key, "resend", "is sent again")


@command("brainseg node drain", "brainseg node drain --end")
def drain(
    console: Console,
    *,
    address: NodeAddress,
    end: Annotated[bool, typer.Option("--end", help="Take images again.")] = False,
) -> int:
    """Have a node take no more images; what it holds is still segmented and sent. It ends with the node's next start.

    The JSON has: draining.
    """
    found = address.client().ask("DELETE" if end else "POST", "/drain")
    console.emit(found)
    console.say("takes no more images" if found.get("draining") else "takes images")
    return DONE


def _tell(console: Console, address: NodeAddress, key: str, what: str, done: str) -> int:
    """Asks the node to do something with a study."""
    if len(key) != 16 or set(key) - set("0123456789abcdef"):
        raise UsageError("KEY is no study's key", expected="16 hexadecimal digits, as brainseg node status shows")
    found = address.client().ask("POST", f"/studies/{key}/{what}")
    console.emit(found)
    console.say(f"study {key} {done}")
    return DONE


def _row(study: Mapping[str, Json]) -> tuple[str, ...]:
    """A study's row of the table."""
    error = study.get("error")
    why = printable(one_line(error)) if isinstance(error, dict) else NOT_DEFINED
    return (*(str(study.get(name, NOT_DEFINED)) for name in ("key", "state", "revision", "images", "received")), why)


def _listed(value: Json) -> list[dict[str, Json]]:
    """The objects of a list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _counted(value: Json, noun: str) -> str:
    """A number with its noun."""
    return counted(value, noun) if isinstance(value, int) else NOT_DEFINED
