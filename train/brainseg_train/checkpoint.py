"""Weights and resume states on disk: safetensors beside JSON, each with its digest; nothing in them can run code.

A checkpoint is two files of one stem. `<stem>.safetensors` holds the tensors; `<stem>.json` says what they are, and
ends with the tensors' size and SHA-256 and a digest of itself. The tensors are written first and the JSON last, each
whole or not at all, so a JSON vouches for tensors that are wholly there. Whatever does not match is refused by name.

    best.safetensors            the weights of the best epoch, under the network's own names
    resume-<step>.safetensors   network/, averaged/, best/, adam/mean/ and adam/square/ under the network's names
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from brainseg_runtime.safe_io import files
from brainseg_runtime.safe_io.strict_json import parse
from brainseg_runtime.safe_io.typed_json import from_json
from brainseg_train import models
from brainseg_train.errors import CheckpointError

BEST: Final = "best"
"""Stem of the best epoch's weights."""

WEIGHTS_FORMAT: Final = "brainseg-weights/1"
RESUME_FORMAT: Final = "brainseg-resume/1"

KEPT: Final = 2
"""Resume states that are kept: the last, and the one before in case the last is damaged."""

MAX_TENSOR_BYTES: Final = 8 << 30
"""Largest file of tensors that is read; the shipped networks' resume states take some 50 MB."""

MAX_JSON_BYTES: Final = 8 << 20
"""Largest JSON that is read; a resume state carries the history, about 400 bytes an epoch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightsInfo:
    """What a weights file says of itself."""

    run: str
    """The run's name."""
    model: str
    """The network's name."""
    width: int
    """The network's width."""
    epoch: int
    """Epoch of the weights, from 1."""
    validation_dice: float
    """Mean volume Dice of the validation patients, at the network's size."""
    averaged: bool
    """Whether these are the running mean of the weights rather than the last ones."""
    data_digest: str
    """Content digest of the data set."""
    split_digest: str
    """Digest of the split."""
    config: dict[str, Any] | None = None
    """The run's configuration, as `TrainConfig.to_json` has it; None in weights of older releases."""
    validation: dict[str, float] = field(default_factory=dict)
    """Every validation score of the epoch, as in `EpochRecord`; empty in weights of older releases."""
    initial: dict[str, Any] | None = None
    """Origin of the initial weights when they were not fresh: `run`, `epoch`, `sha256`."""
    sha256: str = ""
    """SHA-256 of the tensors' file, in hexadecimal."""

    def to_json(self) -> dict[str, Any]:
        """Every field but the tensors' digest, which the file adds itself."""
        value = dataclasses.asdict(self)
        del value["sha256"]
        return {**value, "model": {"name": value["model"], "width": value.pop("width")}}

    @classmethod
    def from_json(cls, value: dict[str, Any], where: str) -> Self:
        """What `to_json` wrote, with the tensors' digest.

        Raises:
            CheckpointError: A key is missing, unknown or of the wrong type.
        """
        model = value.get("model")
        if not isinstance(model, dict) or set(model) != {"name", "width"}:
            raise CheckpointError(f"{where}: model is wrong", expected="an object of name and width", got=repr(model))
        flat = {**value, "model": model["name"], "width": model["width"]}
        return from_json(cls, flat, where, error=CheckpointError)


@dataclass(frozen=True, kw_only=True, slots=True)
class ResumeState:
    """One exact state of a training run, between two steps."""

    step: int
    """Steps taken since the run began."""
    tensors: dict[str, Tensor]
    """Network, running mean, best weights and Adam's moments, by prefix and name; on the CPU."""
    state: dict[str, Any]
    """Everything else, as JSON."""


def save_weights(run_dir: Path, weights: Mapping[str, Tensor], info: WeightsInfo) -> None:
    """Write a run's best weights, replacing those before.

    Args:
        run_dir: The run's folder.
        weights: The network's state by name, on any device.
        info: What they are.

    Raises:
        FileWriteError: The system refused.
    """
    _write_pair(run_dir / BEST, WEIGHTS_FORMAT, weights, info.to_json())


def drop_weights(run_dir: Path) -> None:
    """Delete a run's best weights, if there are any."""
    for path in (_json_path(run_dir / BEST), _tensor_path(run_dir / BEST)):
        path.unlink(missing_ok=True)


def load_weights(path: Path) -> tuple[dict[str, Tensor], WeightsInfo]:
    """Read weights, checked against their digests.

    Args:
        path: A run's folder, or a weights file with its JSON beside it.

    Returns:
        The network's state by name, on the CPU, and what it is.

    Raises:
        CheckpointError: A file is missing, damaged, too large or no weights.
    """
    stem = _weights_stem(path)
    tensors, body, sha256 = _read_pair(stem, WEIGHTS_FORMAT)
    return tensors, WeightsInfo.from_json({**body, "sha256": sha256}, f"{stem}.json")


def read_info(path: Path) -> WeightsInfo:
    """What weights say of themselves, without the weights: only the JSON is read, checked against its own digest.

    Args:
        path: A run's folder, or a weights file with its JSON beside it.

    Raises:
        CheckpointError: The JSON is missing, damaged, too large or not of weights.
    """
    stem = _weights_stem(path)
    body, _, sha256 = _read_head(stem, WEIGHTS_FORMAT)
    return WeightsInfo.from_json({**body, "sha256": sha256}, f"{stem}.json")


def load_network(path: Path) -> tuple[nn.Module, WeightsInfo]:
    """A run's best network in evaluation mode, on the CPU.

    Args:
        path: A run's folder, or a weights file with its JSON beside it.

    Raises:
        CheckpointError: The weights are missing or damaged, or do not fit the network that they name.
        ModelError: No network has the name in the file.
    """
    weights, info = load_weights(path)
    with torch.random.fork_rng(devices=[]):
        network = models.build(info.model, width=info.width)
    fill(network, weights, str(path))
    return network.eval(), info


def fill(network: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Copy weights into a network, whose device and memory layout stay.

    Args:
        network: Its state is overwritten.
        weights: By the network's own names.
        where: What the weights are called in errors.

    Raises:
        CheckpointError: Names, shapes or types differ; the network is untouched.
    """
    state = network.state_dict()
    expected = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in state.items()}
    got = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in weights.items()}
    if expected != got:
        wrong = sorted(name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name))
        raise CheckpointError(
            f"{where} does not fit the network",
            expected="the same names, shapes and types",
            got=f"{len(wrong)} that differ, first {wrong[0]}",
        )
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(weights[name])


def save_resume(run_dir: Path, resume: ResumeState) -> None:
    """Write a resume state, then drop those that are no longer kept.

    Args:
        run_dir: The run's folder.
        resume: The state.

    Raises:
        FileWriteError: The system refused; the states before stand.
    """
    _write_pair(_resume_stem(run_dir, resume.step), RESUME_FORMAT, resume.tensors, resume.state)
    # A state of a later step can only be one that was refused when this run was resumed.
    kept = [step for step in _resume_steps(run_dir) if step <= resume.step][-KEPT:]
    drop_resume(run_dir, keep=kept)


def drop_resume(run_dir: Path, *, keep: list[int]) -> None:
    """Delete the resume states of all steps but some; the JSON first, so that no JSON is left without its tensors."""
    for step in _resume_steps(run_dir, suffix=".safetensors") + _resume_steps(run_dir):
        if step not in keep:
            stem = _resume_stem(run_dir, step)
            _json_path(stem).unlink(missing_ok=True)
            _tensor_path(stem).unlink(missing_ok=True)


def load_resume(run_dir: Path) -> tuple[ResumeState | None, tuple[CheckpointError, ...]]:
    """The newest resume state that is whole.

    Args:
        run_dir: The run's folder.

    Returns:
        The state, or None where the run has none yet; and an error for each newer one that was refused, naming it.

    Raises:
        CheckpointError: There are states and all are damaged.
    """
    refused: list[CheckpointError] = []
    for step in reversed(_resume_steps(run_dir)):
        try:
            tensors, state, _ = _read_pair(_resume_stem(run_dir, step), RESUME_FORMAT)
        except CheckpointError as error:
            refused.append(error)
        else:
            return ResumeState(step=step, tensors=tensors, state=state), tuple(refused)
    if refused:
        raise CheckpointError(
            f"{run_dir}: no resume state is whole",
            expected="one that matches its digest",
            got="; ".join(map(str, refused)),
            remedy="delete the run's folder and train it anew",
        )
    return None, ()


def _resume_stem(run_dir: Path, step: int) -> Path:
    """Where the state of a step lies, without suffix; padded, so that names sort like steps."""
    return run_dir / f"resume-{step:09d}"


def _resume_steps(run_dir: Path, *, suffix: str = ".json") -> list[int]:
    """Steps of the states of which the file with this suffix is there, ascending, damaged ones included."""
    stems = (path.stem.removeprefix("resume-") for path in run_dir.glob(f"resume-*{suffix}"))
    return sorted(int(stem) for stem in stems if stem.isdecimal())


def _write_pair(stem: Path, kind: str, tensors: Mapping[str, Tensor], body: Mapping[str, Any]) -> None:
    """Write the tensors, then the JSON that vouches for them."""
    payload = safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    head = {"format": kind, **body, "bytes": len(payload), "sha256": hashlib.sha256(payload).hexdigest()}
    files.write_bytes(_tensor_path(stem), payload)
    files.write_json(_json_path(stem), {**head, "digest": _digest(head)})


def _read_pair(stem: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any], str]:
    """The tensors, the JSON's own content, and the tensors' digest, all checked."""
    head, size, sha256 = _read_head(stem, kind)
    return _read_tensors(_tensor_path(stem), size, sha256), head, sha256


def _read_head(stem: Path, kind: str) -> tuple[dict[str, Any], int, str]:
    """The JSON's own content, checked, and the size and digest that it states for the tensors."""
    path = _json_path(stem)
    text = files.read_capped(path, MAX_JSON_BYTES, error=CheckpointError)
    head: dict[str, Any] = dict(parse(text, str(path), limit=MAX_JSON_BYTES, error=CheckpointError))
    if head.pop("digest", None) != _digest(head):
        raise CheckpointError(f"{path} is damaged", expected="content that matches its digest", got="other content")
    if head.pop("format", None) != kind:
        raise CheckpointError(f"{path} is no checkpoint of this kind", expected=kind, got="another format")
    size, sha256 = head.pop("bytes", None), head.pop("sha256", None)
    if not isinstance(size, int) or not isinstance(sha256, str):
        raise CheckpointError(f"{path} lacks keys", expected="bytes and sha256", got=f"{size!r} and {sha256!r}")
    return head, size, sha256


def _weights_stem(path: Path) -> Path:
    """Where weights lie, without the ending: in a run's folder, or as named."""
    return path / BEST if path.is_dir() else path.with_suffix("")


def _read_tensors(path: Path, size: int, sha256: str) -> dict[str, Tensor]:
    """Tensors from bytes of the stated size and digest."""
    payload = files.read_capped(path, min(size, MAX_TENSOR_BYTES), error=CheckpointError)
    if len(payload) != size:
        raise CheckpointError(f"{path} is truncated", expected=f"{size} bytes", got=f"{len(payload)}")
    if hashlib.sha256(payload).hexdigest() != sha256:
        raise CheckpointError(f"{path} is damaged", expected=f"SHA-256 {sha256}", got="another")
    try:
        return safetensors.torch.load(payload)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} holds no tensors", expected="safetensors", got=str(error)) from error


def _digest(head: Mapping[str, Any]) -> str:
    """SHA-256 of a JSON's content with sorted keys and no spaces."""
    text = json.dumps(head, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _tensor_path(stem: Path) -> Path:
    return stem.with_name(stem.name + ".safetensors")


def _json_path(stem: Path) -> Path:
    return stem.with_name(stem.name + ".json")
