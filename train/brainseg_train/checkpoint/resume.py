"""Resume states: everything that a run needs to go on exactly where it was, between two steps.

    resume-<step>.safetensors   network/, averaged/, best/, adam/mean/ and adam/square/ under the network's names

The last two are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from brainseg_train.checkpoint.tensor_files import delete_tensors, read_tensors, write_tensors
from brainseg_train.errors import CheckpointError

FORMAT: Final = "brainseg-resume/1"

KEPT: Final = 2
"""Resume states that are kept: the last, and the one before in case the last is damaged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResumeState:
    """One exact state of a training run, between two steps."""

    step: int
    """Steps taken since the run began."""
    tensors: dict[str, Tensor]
    """Network, running mean, best weights and Adam's moments, by prefix and name; on the CPU."""
    state: dict[str, Any]
    """Everything else, as JSON."""


def save_resume(run_dir: Path, resume: ResumeState) -> None:
    """Write a resume state, then delete those that are no longer kept.

    Raises:
        FileWriteError: A file could not be written; the states before stand.
    """
    write_tensors(_stem(run_dir, resume.step), FORMAT, resume.tensors, resume.state)
    # A state of a later step can only be one that was refused when this run was resumed.
    kept = [step for step in _steps(run_dir) if step <= resume.step][-KEPT:]
    drop_resume(run_dir, keep=kept)


def drop_resume(run_dir: Path, *, keep: list[int]) -> None:
    """Delete the resume states of all steps but some."""
    for step in _steps(run_dir, suffix=".safetensors") + _steps(run_dir):
        if step not in keep:
            delete_tensors(_stem(run_dir, step))


def load_resume(run_dir: Path) -> tuple[ResumeState | None, tuple[CheckpointError, ...]]:
    """The newest valid resume state.

    Returns:
        The state, or None where the run has none yet; and an error for each newer one that was refused, naming it.

    Raises:
        CheckpointError: There are states and all are damaged.
    """
    refused: list[CheckpointError] = []
    for step in reversed(_steps(run_dir)):
        try:
            tensors, state = read_tensors(_stem(run_dir, step), FORMAT)
        except CheckpointError as error:
            refused.append(error)
        else:
            del state["sha256"]
            return ResumeState(step=step, tensors=tensors, state=state), tuple(refused)
    if refused:
        raise CheckpointError(
            f"{run_dir}: every resume state is damaged",
            expected="one that matches its digest",
            got="; ".join(map(str, refused)),
            remedy="delete the run's folder and train it anew",
        )
    return None, ()


def _stem(run_dir: Path, step: int) -> Path:
    """Where the state of a step is, without ending; padded, so that names sort like steps."""
    return run_dir / f"resume-{step:09d}"


def _steps(run_dir: Path, *, suffix: str = ".json") -> list[int]:
    """Steps of the states whose file with this suffix is there, ascending, damaged ones included."""
    stems = (path.stem.removeprefix("resume-") for path in run_dir.glob(f"resume-*{suffix}"))
    return sorted(int(stem) for stem in stems if stem.isdecimal())
