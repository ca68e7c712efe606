"""A run's weights in half precision, half the size, for shipping beside its bundle: others start from them.

Convolutions lose digits that training does not miss; the running means and variances of batch normalisation, which are
small and reach far, stay as they are. `brainseg-train fit deeplab --initial models/deeplab` starts from such weights.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from brainseg_runtime.safe_io.files import make_folder
from brainseg_train import checkpoint
from brainseg_train.checkpoint.tensor_files import write_tensors
from brainseg_train.checkpoint.weights import FORMAT
from brainseg_train.data.split import Split
from brainseg_train.errors import CheckpointError


def save_halves(run_dir: Path, out: Path) -> None:
    """Write a run's weights beside a bundle, and its split, which says whom they have seen.

    Args:
        run_dir: The run's folder; its split lies in `splits` beside it.
        out: The files without their endings: `models/deeplab` makes `models/deeplab.safetensors`, `models/deeplab.json`
            and `models/splits/<digest>.json`.

    Raises:
        CheckpointError: The weights are missing or damaged, or a number is too large for half precision.
        SplitError: The split's file is missing or damaged.
        FileWriteError: A file could not be written.
    """
    weights, info = checkpoint.load_weights(run_dir)
    name = f"{info.split_digest}.json"
    split = Split.load(run_dir.parent / "splits" / name)
    halves = {key: _halved(key, tensor) for key, tensor in weights.items()}
    make_folder(out.parent / "splits")
    split.save(out.parent / "splits" / name)
    write_tensors(out, FORMAT, halves, info.to_json())


def _halved(name: str, tensor: Tensor) -> Tensor:
    """The tensor in half precision, if it is one of weights."""
    if tensor.dtype != torch.float32 or "running_" in name:
        return tensor
    half = tensor.half()
    if not torch.isfinite(half).all():
        raise CheckpointError(f"{name} does not fit half precision", expected="numbers up to 65504", got="larger ones")
    return half
