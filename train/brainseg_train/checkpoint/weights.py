"""The weights of the epoch that a run keeps, and the facts stored with them.

best.safetensors   the network's state under its own names; in half precision beside a bundle that ships
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import torch
from torch import Tensor, nn

from brainseg_runtime.safe_io.typed_json import from_json, to_json
from brainseg_train import models
from brainseg_train.checkpoint.tensor_files import delete_tensors, json_path, read_body, read_tensors, write_tensors
from brainseg_train.errors import CheckpointError

BEST: Final = "best"
"""Stem of the kept epoch's weights."""

FORMAT: Final = "brainseg-weights/1"


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightsInfo:
    """The facts stored with a weights file."""

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
        """Every field but the tensors' digest, which their file adds itself; name and width as one object `model`."""
        value: dict[str, Any] = to_json(self)
        del value["sha256"]
        return {**value, "model": {"name": self.model, "width": value.pop("width")}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str) -> Self:
        """What `to_json` wrote, with the tensors' digest.

        Raises:
            CheckpointError: A key is missing, unknown or of the wrong type.
        """
        model = value.get("model")
        if not isinstance(model, dict) or set(model) != {"name", "width"}:
            raise CheckpointError(f"{where}: model is wrong", expected="an object of name and width", got=repr(model))
        flat = {**value, "model": model["name"], "width": model["width"]}
        return from_json(cls, flat, where, error=CheckpointError)


def save_weights(run_dir: Path, weights: Mapping[str, Tensor], info: WeightsInfo) -> None:
    """Write a run's best weights, replacing those before.

    Raises:
        FileWriteError: A file could not be written.
    """
    write_tensors(run_dir / BEST, FORMAT, weights, info.to_json())


def drop_weights(run_dir: Path) -> None:
    """Delete a run's best weights, if there are any."""
    delete_tensors(run_dir / BEST)


def load_weights(path: Path) -> tuple[dict[str, Tensor], WeightsInfo]:
    """Read weights, checked against their digests.

    Args:
        path: A run's folder, a bundle's with its weights beside it, or a weights file with its JSON beside it.

    Returns:
        The network's state by name, on the CPU, half precision widened to single, and what it is.

    Raises:
        CheckpointError: A file is missing, damaged, too large or no weights.
    """
    stem = _stem(path)
    tensors, body = read_tensors(stem, FORMAT)
    single = {name: tensor.float() if tensor.dtype == torch.float16 else tensor for name, tensor in tensors.items()}
    return single, WeightsInfo.from_json(body, f"{stem}.json")


def read_info(path: Path) -> WeightsInfo:
    """The facts stored with weights, without the weights: only the JSON is read and checked against its digest.

    Args:
        path: A run's folder, a bundle's with its weights beside it, or a weights file with its JSON beside it.

    Raises:
        CheckpointError: The JSON is missing, damaged, too large or not of weights.
    """
    stem = _stem(path)
    return WeightsInfo.from_json(read_body(stem, FORMAT), f"{stem}.json")


def load_network(path: Path) -> tuple[nn.Module, WeightsInfo]:
    """A run's best network in evaluation mode, on the CPU.

    Args:
        path: A run's folder, a bundle's with its weights beside it, or a weights file with its JSON beside it.

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


def _stem(path: Path) -> Path:
    """Where weights are, without the ending: in a run's folder, beside a bundle's under its name, or as named."""
    beside = path.with_suffix("")
    if path.is_dir() and (json_path(path / BEST).is_file() or not json_path(beside).is_file()):
        return path / BEST
    return beside
