"""Differences between a recorded run or study and the present request: settings, splits, slices.

`RUNS/data/<digest>.json` keeps a digest of each slice of a data set, so that a changed slice can be named.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io import files
from brainseg_train.data.persons import some_of
from brainseg_train.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from brainseg_train.data.dataset import DataSet

_LIMIT: Final = 64 << 20  # a slice takes 80 bytes

_DIGITS: Final = 32
"""Hexadecimal digits of a slice's digest that are kept: enough to notice a change, no proof against forgery."""


def slice_digests(dataset: DataSet) -> dict[str, str]:
    """A digest of each slice's image and mask at native size, by the slice's key."""
    pairs = zip(dataset.slices, dataset.image_digests, dataset.mask_digests, strict=True)
    return {
        ref.key: hashlib.sha256(image.tobytes() + mask.tobytes()).hexdigest()[:_DIGITS] for ref, image, mask in pairs
    }


def save_slices(runs: Path, dataset: DataSet) -> None:
    """Write the digests of a data set's slices beside the runs, once.

    Raises:
        FileWriteError: The file could not be written.
    """
    path = _path(runs, dataset.digest)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(path, slice_digests(dataset))


def changed_slices(runs: Path, digest: str, dataset: DataSet) -> str:
    """How a data set differs from the one of a digest, in words; only that it does where no digests were kept."""
    try:
        before = json.loads(files.read_capped(_path(runs, digest), _LIMIT, error=RecordError))
    except (RecordError, ValueError, RecursionError):
        before = None
    if not isinstance(before, dict):
        return f"digest {digest[:12]}, now {dataset.digest[:12]}"
    now = slice_digests(dataset)
    told = {
        "changed": [key for key in now if key in before and now[key] != before[key]],
        "new": [key for key in now if key not in before],
        "gone": [key for key in before if key not in now],
    }
    parts = [f"{counted(len(keys), 'slice')} {word} ({some_of(keys)})" for word, keys in told.items() if keys]
    return "; ".join(parts) or f"digest {digest[:12]}, now {dataset.digest[:12]}"


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any], *, under: str = "") -> Iterator[str]:
    """Each setting that differs, as `name: old, now new`; nested objects by their keys.

    Args:
        before: Settings as JSON.
        now: The others.
        under: What the names begin with.

    Examples:
        >>> list(changed_settings({"rate": 0.1, "loss": {"dice": 1}}, {"rate": 0.1, "loss": {"dice": 2}}))
        ['loss.dice: 1, now 2']
    """
    for name in dict.fromkeys([*before, *now]):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from changed_settings(old, new, under=f"{under}{name}.")
        elif old != new:
            yield f"{under}{name}: {_shown(old)}, now {_shown(new)}"


def _path(runs: Path, digest: str) -> Path:
    return runs / "data" / f"{digest}.json"


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
