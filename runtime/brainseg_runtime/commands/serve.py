"""`brainseg serve`: a node beside a PACS, until it is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from brainseg_runtime.commands.options import BundleArgument
from brainseg_runtime.commands.serve_options import ServeOptions
from brainseg_runtime.node.config import NodeConfig
from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.safe_io.typed_json import to_json
from brainseg_runtime.terminal.application import command
from brainseg_runtime.terminal.command import DONE, FAULT
from brainseg_runtime.terminal.console import Console
from brainseg_runtime.terminal.interrupts import stoppable

if TYPE_CHECKING:
    from brainseg_runtime.node.node import Listening


@command(
    "brainseg serve models/resunet --folder STATE --host 0.0.0.0 --allow PACS@10.0.0.5 --send PACS@10.0.0.5:104",
    "brainseg serve models/resunet --config node.toml --check",
)
def serve(
    console: Console,
    *,
    bundle: BundleArgument,
    options: ServeOptions,
    check: Annotated[
        bool, typer.Option("--check", help="Test settings, folders, ports, model and destinations; start nothing.")
    ] = False,
    stop_seconds: Annotated[
        float,
        typer.Option(metavar="S", min=0, max=3600, help="How long a study at hand may still take when it is stopped."),
    ] = 30.0,
) -> int:
    """Run a node: MR studies that arrive by C-STORE are segmented, and SEG, SR and captures are sent back.

    Every setting can stand in one TOML file; docs/node.md describes it. Events go to standard error, a line of JSON
    each, without a patient's name or identifier. It ends on SIGTERM or Ctrl-C: no more images are taken, and what is
    not finished within --stop-seconds waits for the next start.

    The JSON, written once it listens, has: aet, dicom_host, dicom_port, dicom_tls, http_url, folder, bundle, digest,
    destinations; with --check: ok, checks (name, status, detail), and the exit code is 1 if one failed. A status is
    PASS, WARN (it would start, but see to it) or FAIL.
    """
    settings = options.settings()
    check_outputs(
        {"--json": console.json_target},
        files=[] if options.config is None else [options.config],
        folders=[bundle, settings.folder],
    )
    if check:
        return _check(console, settings, bundle)
    from brainseg_runtime.node.leaving import leave
    from brainseg_runtime.node.node import Node

    node = Node(settings, bundle)

    def listening(where: Listening) -> None:
        console.emit(to_json(where))
        secure = " over TLS" if where.dicom_tls else ""
        console.say(f"{where.aet} listens on {where.dicom_host}:{where.dicom_port}{secure} and {where.http_url}")
        console.say(f"takes images of {counted(len(settings.dicom.allow), 'caller')}, state in {where.folder}")

    with stoppable() as stopped:
        node.run(stopped, listening=listening, stop_seconds=stop_seconds)
    return leave(DONE)


def _check(console: Console, settings: NodeConfig, bundle: BundleArgument) -> int:
    """Tests everything that starting would need; returns the exit code."""
    from brainseg_runtime.node.check import check_node

    found = check_node(settings, bundle)
    console.emit({"ok": found.ok, **to_json(found)})
    console.table(["check", "result", "detail"], [(each.name, each.status, each.detail) for each in found.checks])
    console.say("PASS" if found.ok else "FAIL")
    return DONE if found.ok else FAULT
