"""Options of `brainseg serve` that win over its configuration file."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from brainseg_runtime.errors import UsageError
from brainseg_runtime.node.config import Destination, NodeConfig, read_config, require_consistent
from brainseg_runtime.safe_io.typed_json import check


@dataclass(frozen=True, kw_only=True, slots=True)
class ServeOptions:
    """What may be said on the command line; all else is in the file."""

    folder: Annotated[
        Path | None,
        typer.Option(metavar="STATE", help="The node's state: queue, images, results, audit. One node at a time."),
    ] = None
    config: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="All settings; the options here win over it.")
    ] = None
    aet: Annotated[str | None, typer.Option(metavar="TITLE", help="The node's own title; default: BRAINSEG.")] = None
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Where DICOM listens; default: 127.0.0.1, which this machine alone reaches; 0.0.0.0: everywhere.",
        ),
    ] = None
    port: Annotated[
        int | None, typer.Option(metavar="N", min=0, max=65535, help="Port for DICOM; default: 11112; 0: any free one.")
    ] = None
    http: Annotated[
        int | None, typer.Option(metavar="N", min=0, max=65535, help="Port for HTTP; default: 8080; 0: any free one.")
    ] = None
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="AET@HOST", help="Who may send images; nobody else is let in. May be repeated."),
    ] = None
    send: Annotated[
        list[str] | None,
        typer.Option(metavar="AET@HOST:PORT", help="Where results go, by C-STORE. May be repeated."),
    ] = None
    quiet_seconds: Annotated[
        float | None,
        typer.Option(metavar="S", help="A study is complete when no image came for so long; default: 30."),
    ] = None

    def settings(self) -> NodeConfig:
        """The file's settings, or the defaults, with these in place of theirs.

        Raises:
            UsageError: The file is faulty, or an option is.
        """
        config = NodeConfig() if self.config is None else read_config(self.config)
        callers = None if self.allow is None else tuple(self.allow)
        dicom = {"host": self.host, "port": self.port, "aet": self.aet, "allow": callers}
        config = replace(
            config,
            folder=self.folder or config.folder,
            dicom=_with(config.dicom, **dicom),
            http=_with(config.http, port=self.http),
            intake=_with(config.intake, quiet_seconds=self.quiet_seconds),
            send=config.send if self.send is None else tuple(map(_destination, self.send)),
        )
        for name, part in (("dicom", config.dicom), ("http", config.http), ("intake", config.intake)):
            check(part, f"the command line's {name}", error=UsageError)
        for each in config.send:
            check(each, "the command line's --send", error=UsageError)
        require_consistent(config, "the command line" if self.config is None else str(self.config))
        return config


def _with(settings: Any, **options: object) -> Any:  # noqa: ANN401 - any of the settings' tables
    """Settings with those options that were given."""
    return replace(settings, **{name: value for name, value in options.items() if value is not None})


def _destination(text: str) -> Destination:
    """A destination from "AET@HOST:PORT"; its name is the title's, in small letters.

    Raises:
        UsageError: The text is not of this form.
    """
    title, sign, address = text.rpartition("@")
    host, colon, port = address.rpartition(":")
    if not (sign and title and colon and host) or not re.fullmatch(r"[0-9]{1,5}", port):
        raise UsageError("--send is wrong", expected="AET@HOST:PORT, as in PACS@10.0.0.5:104", got=text)
    name = re.sub(r"[^a-z0-9_-]+", "-", title.lower()).strip("-_")
    return Destination(name=name or "pacs", aet=title, host=host.strip("[]"), port=int(port))
