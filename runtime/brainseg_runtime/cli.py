"""The `brainseg` program: its list of commands, each a file in `commands` that is imported when it is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from brainseg_runtime.terminal.application import Group, Listed
from brainseg_runtime.terminal.application import application as assembled
from brainseg_runtime.terminal.command import start

if TYPE_CHECKING:
    import typer

_ABOUT: Final = "Brain-tumour segmentation of MRI with a verified model. Research use; not a medical device."
_NODE: Final = {
    "status": Listed("brainseg_runtime.commands.node:status", "Show how a running node is, and its queue."),
    "fetch": Listed("brainseg_runtime.commands.node:fetch", "Have a study fetched from the PACS."),
    "rerun": Listed("brainseg_runtime.commands.node:rerun", "Have a study segmented again."),
    "resend": Listed("brainseg_runtime.commands.node:resend", "Have a study's result sent again."),
    "drain": Listed("brainseg_runtime.commands.node:drain", "Take no more images; finish what is there."),
}
_COMMANDS: Final[dict[str, Listed | Group]] = {
    "predict": Listed("brainseg_runtime.commands.predict:predict", "Segment slices or studies."),
    "archive": Listed("brainseg_runtime.commands.archive:archive", "Segment thousands of studies, each once."),
    "inspect": Listed("brainseg_runtime.commands.inspect:inspect", "Show what a study holds, and why it is used so."),
    "evaluate": Listed(
        "brainseg_runtime.commands.evaluate:evaluate",
        "Score a model, or existing masks, on patients with true masks.",
    ),
    "bench": Listed("brainseg_runtime.commands.bench:bench", "Time a model on this machine."),
    "verify": Listed("brainseg_runtime.commands.verify:verify", "Check a bundle and this machine: PASS or FAIL."),
    "doctor": Listed("brainseg_runtime.commands.doctor:doctor", "Show what is installed and what would run."),
    "serve": Listed("brainseg_runtime.commands.serve:serve", "Run a node beside a PACS, unattended."),
    "node": Group("Ask a running node, or tell it what to do.", _NODE),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the program and ends the process with its exit code.

    Args:
        arguments: The command line after `brainseg`; default: the process's own.
    """
    start("brainseg", application, arguments)


def application() -> typer.Typer:
    """The program with its commands, as typer has it.

    Raises:
        MissingExtraError: The extra `cli` is not installed.
    """
    return assembled(_ABOUT, _COMMANDS)
