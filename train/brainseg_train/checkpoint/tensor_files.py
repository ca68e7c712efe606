"""Tensors on disk: safetensors beside a JSON with their digest. Nothing in either can run code.

`<stem>.safetensors` holds the tensors; `<stem>.json` says what they are, and ends with the tensors' size and SHA-256
and a digest of itself. The tensors are written first and the JSON last, each whole or not at all, so a JSON vouches for
tensors that are wholly there. Whatever does not match is refused by name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors
import safetensors.torch
from torch import Tensor

from brainseg_runtime.safe_io import files
from brainseg_runtime.safe_io.strict_json import parse
from brainseg_train.errors import CheckpointError

MAX_TENSOR_BYTES: Final = 8 << 30
"""Largest file of tensors that is read; the shipped networks' resume states take some 50 MB."""

MAX_JSON_BYTES: Final = 8 << 20
"""Largest JSON that is read; a resume state carries the history, about 400 bytes an epoch."""


_WRITING_COPIES: Final = 3
"""Of the tensors, at most, while safetensors writes them: as bytes, in its own buffer, and what it returns."""

_READING_COPIES: Final = 2
"""Of the tensors, at most, while safetensors reads them: what it slices from the file, and the tensors."""

_SLACK_BYTES: Final = 4 << 20
"""For the names, the header and the allocator's rounding."""


def write_tensors(stem: Path, kind: str, tensors: Mapping[str, Tensor], body: Mapping[str, Any]) -> None:
    """Write the tensors, then the JSON that vouches for them: `kind`, the body, size and digests.

    Raises:
        FileWriteError: A file could not be written.
        MemoryError: There is not enough memory for the copies that this takes.
    """
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    _require_memory(_WRITING_COPIES * sum(tensor.nbytes for tensor in held.values()))
    payload = safetensors.torch.save(held)
    head = {"format": kind, **body, "bytes": len(payload), "sha256": hashlib.sha256(payload).hexdigest()}
    files.write_bytes(tensor_path(stem), payload)
    files.write_json(json_path(stem), {**head, "digest": _digest(head)})


def read_tensors(stem: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors, and what their JSON says, `sha256` of the tensors included.

    Raises:
        CheckpointError: A file is missing, damaged, too large or of another kind.
        MemoryError: There is not enough memory for the copies that this takes.
    """
    head, size = _read_head(stem, kind)
    path = tensor_path(stem)
    payload = files.read_capped(path, min(size, MAX_TENSOR_BYTES), error=CheckpointError)
    if len(payload) != size:
        raise CheckpointError(f"{path} is truncated", expected=f"{size} bytes", got=f"{len(payload)}")
    if hashlib.sha256(payload).hexdigest() != head["sha256"]:
        raise CheckpointError(f"{path} is damaged", expected=f"SHA-256 {head['sha256']}", got="another")
    _require_memory(_READING_COPIES * size)
    try:
        return safetensors.torch.load(payload), head
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} holds no tensors", expected="safetensors", got=str(error)) from error


def read_body(stem: Path, kind: str) -> dict[str, Any]:
    """What the JSON says, as `read_tensors` gives it, without reading the tensors.

    Raises:
        CheckpointError: The JSON is missing, damaged, too large or of another kind.
    """
    return _read_head(stem, kind)[0]


def tensor_path(stem: Path) -> Path:
    """The tensors' file."""
    return stem.with_name(stem.name + ".safetensors")


def json_path(stem: Path) -> Path:
    """The JSON beside it."""
    return stem.with_name(stem.name + ".json")


def delete_tensors(stem: Path) -> None:
    """Delete both files, if they are there; the JSON first, so that no JSON is left without its tensors."""
    json_path(stem).unlink(missing_ok=True)
    tensor_path(stem).unlink(missing_ok=True)


def _read_head(stem: Path, kind: str) -> tuple[dict[str, Any], int]:
    """The JSON's content, checked, and the size that it states for the tensors."""
    path = json_path(stem)
    text = files.read_capped(path, MAX_JSON_BYTES, error=CheckpointError)
    head: dict[str, Any] = dict(parse(text, str(path), limit=MAX_JSON_BYTES, error=CheckpointError))
    if head.pop("digest", None) != _digest(head):
        raise CheckpointError(f"{path} is damaged", expected="content that matches its digest", got="other content")
    if head.pop("format", None) != kind:
        raise CheckpointError(f"{path} is not a checkpoint of this kind", expected=kind, got="another format")
    size, sha256 = head.pop("bytes", None), head.get("sha256")
    if not isinstance(size, int) or not isinstance(sha256, str):
        raise CheckpointError(f"{path} lacks keys", expected="bytes and sha256", got=f"{size!r} and {sha256!r}")
    return head, size


def _require_memory(size: int) -> None:
    """Raises `MemoryError` unless so many bytes can be had: safetensors ends the process where they cannot.

    Its allocator is Rust's, which has no error for it. The memory is asked for and given back, never touched.
    """
    np.empty(size + _SLACK_BYTES, np.uint8)


def _digest(head: Mapping[str, Any]) -> str:
    """SHA-256 of a JSON's content with sorted keys and no spaces."""
    text = json.dumps(head, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
