"""What would stop an export, checked before minutes of work: the target folder, the data, the validation patients."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from brainseg_export.errors import ExportError
from brainseg_export.sealing.seal import require_replaceable
from brainseg_runtime.errors import FileWriteError

if TYPE_CHECKING:
    from brainseg_export.sources.run_choice import Chosen
    from brainseg_train.data.dataset import DataSet
    from brainseg_train.data.split import Split

_BESIDE: Final = 8 << 20
"""Bytes of a bundle beside its graphs, which take at most twice the size of the weights; golden vectors take 1 MiB."""


def require_place(target: Path, chosen: Chosen, data: Path) -> None:
    """Refuse a target to which no bundle could be written.

    Raises:
        ExportError: It holds something else, lies in the data set, or has too little space.
        FileWriteError: It cannot be written.
    """
    if data.resolve() in target.resolve().parents:
        raise ExportError(
            f"{target} lies in the data set {data}", expected="a folder outside it",
            got=str(target.resolve()), remedy="name another folder with --out",
        )  # fmt: skip
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise FileWriteError(f"{target} cannot be replaced", expected="a folder or nothing", got="something else")
    ancestor = next(path for path in (target.parent, *target.parent.parents, Path()) if path.exists())
    try:
        with tempfile.TemporaryDirectory(prefix=".brainseg-", dir=ancestor):
            pass
        require_replaceable(target)
        free = shutil.disk_usage(ancestor).free
    except OSError as error:
        raise FileWriteError(
            f"{target} cannot be written", expected="an existing, writable folder with space",
            got=f"{ancestor}: {error.strerror or error}", remedy="name another folder with --out",
        ) from error  # fmt: skip
    needed = 2 * _weight_bytes(chosen) + _BESIDE
    if free < needed:
        raise ExportError(
            f"there is too little disk space at {ancestor}", expected=f"{needed / 1e6:.0f} MB for a bundle",
            got=f"{free / 1e6:.0f} MB", remedy="free some space, or name another folder with --out",
        )  # fmt: skip


def require_data(root: Path) -> None:
    """Refuse a data set that is missing.

    Raises:
        ExportError: There is no such folder.
    """
    if not root.is_dir():
        raise ExportError(
            f"{root} does not exist", expected="the folder of the data set that the run was trained on",
            got="a file" if root.exists() else "nothing", remedy="name it with --data",
        )  # fmt: skip


def require_judges(dataset: DataSet, split: Split) -> None:
    """Refuse data on which neither threshold nor variants can be chosen.

    Raises:
        ExportError: The validation patients have no tumour, or nothing but tumour; or every training slice is blank.
    """
    rows = split.indices(dataset, "validation")
    tumour, pixels = int(dataset.tumour_pixels[rows].sum()), len(rows) * dataset.size[0] * dataset.size[1]
    if not 0 < tumour < pixels:
        raise ExportError(
            "threshold and temperature cannot be chosen",
            expected="validation patients with tumour pixels and others",
            got=f"{len(split.validation)} patients, {len(rows)} slices, {tumour:,} tumour pixels of {pixels:,}",
            remedy="train with another --seed or with more patients, so that some with tumour are for validation",
        )
    if dataset.blank[split.indices(dataset, "train")].all():
        raise ExportError(
            "the intensities of the training slices cannot be described", expected="slices that are not blank",
            got="only blank ones",
        )  # fmt: skip


def require_proportions(dataset: DataSet, chosen: Chosen) -> None:
    """Refuse weights that learnt from squeezed slices: the graph would feed them slices of other proportions.

    Raises:
        ExportError: The weights are from a release that squeezed slices, and the slices are not square.
    """
    height, width = dataset.size
    if height != width and chosen.config is None:
        raise ExportError(
            f"the weights of run {chosen.run} learnt from slices squeezed to a square",
            expected="weights of this release, which keeps the proportions of slices that are not square",
            got=f"weights of an older release, and slices of {height} × {width}", remedy="train again",
        )  # fmt: skip


def _weight_bytes(chosen: Chosen) -> int:
    """Size of the run's weights, about that of the fp32 graph; 0 if they are missing, which is reported later."""
    stem = chosen.weights / "best" if chosen.weights.is_dir() else chosen.weights.with_suffix("")
    with contextlib.suppress(OSError):
        return stem.with_name(f"{stem.name}.safetensors").stat().st_size
    return 0
