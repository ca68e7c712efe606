"""The `brainseg-train` program: its list of commands, each a file in `commands` that is imported when it is run.

PyTorch is imported only by the commands that train, so that `--help` and usage errors answer at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brainseg_runtime.terminal.application import Listed, application
from brainseg_runtime.terminal.command import start
from brainseg_train.learning.threads import wait_asleep

if TYPE_CHECKING:
    from collections.abc import Sequence

_ABOUT: Final = (
    "Train, tune and compare networks that outline brain tumours in MRI slices. Research use; not a medical device."
)
_COMMANDS: Final = {
    "all": Listed("brainseg_train.commands.all:all_", "Train, tune and compare the networks."),
    "fit": Listed("brainseg_train.commands.fit:fit", "Train one network."),
    "check": Listed("brainseg_train.commands.check:check", "Check a data set and show what it holds."),
    "import": Listed("brainseg_train.commands.import_:import_", "Make studies with masks into a data set."),
    "phantom": Listed("brainseg_train.commands.phantom:phantom", "Generate patients with brain tumours."),
    "report": Listed("brainseg_train.commands.report:report", "Make leaderboard and report again from records."),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the program and ends the process with its exit code.

    Args:
        arguments: The command line after `brainseg-train`; default: the process's own.
    """
    wait_asleep()
    start("brainseg-train", lambda: application(_ABOUT, _COMMANDS), arguments)


if __name__ == "__main__":
    main()
