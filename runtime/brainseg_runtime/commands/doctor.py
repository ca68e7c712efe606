"""`brainseg doctor`: what is installed, what would run, and what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.terminal.application import command
from brainseg_runtime.terminal.command import DONE, FAULT
from brainseg_runtime.terminal.console import Console

if TYPE_CHECKING:
    from brainseg_runtime.installation.doctor import Diagnosis


@command("brainseg doctor models/resunet --json doctor.json")
def doctor(
    console: Console,
    *,
    bundle: Annotated[
        Path | None, typer.Argument(metavar="BUNDLE", help="Also show what would run this model.")
    ] = None,
) -> int:
    """Show what is installed, which providers are available, what auto would choose and why, and what conflicts.

    The JSON has: ok, versions, extras (name, purpose, missing, remedy), system, python, processor (architecture,
    features, cores, name), exact_integers, default_threads, providers (name, available, reason), choice (provider,
    variant, reasons; null without a bundle), rule, problems (what, remedy). The exit code is 1 if there is a problem;
    an extra that is not installed is none.
    """
    from brainseg_runtime.installation.doctor import diagnose

    check_outputs({"--json": console.json_target}, folders=[bundle] if bundle is not None else [])
    found = diagnose(bundle)
    console.emit(found.to_json())
    _show(console, found)
    return DONE if found.ok else FAULT


def _show(console: Console, found: Diagnosis) -> None:
    """Shows everything; problems come last, where they are seen."""
    machine = [
        ("system", found.system),
        ("python", found.python),
        ("processor", found.processor.name or found.processor.architecture),
        ("features", ", ".join(found.processor.features) or "none that matter here"),
        ("cores", f"{found.processor.cores}; used by default: {found.default_threads}"),
        *found.versions.items(),
    ]
    console.table(["machine", ""], machine)
    console.say("")
    extras = [(each.name, each.purpose, f"no: {each.remedy}" if each.missing else "yes") for each in found.extras]
    console.table(["extra", "for", "installed"], extras)
    console.say("")
    rows = [(each.name, "yes" if each.available else "no", each.reason) for each in found.providers]
    console.table(["provider", "available", "why"], rows)
    console.say("")
    console.say("auto, on this machine:")
    for line in found.rule:
        console.say(f"  {line}")
    if found.choice is not None:
        console.say(f"auto, for this bundle: {found.choice.variant} on {found.choice.provider}")
        for line in found.choice.reasons:
            console.say(f"  {line}")
    for problem in found.problems:
        console.warn(f"{problem.what}\n  remedy: {problem.remedy}")
    console.say("")
    console.say("no problems found" if found.ok else counted(len(found.problems), "problem"))
