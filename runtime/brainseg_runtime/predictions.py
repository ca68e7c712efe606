"""`predictions.json`: what a run of `brainseg predict` made of each slice and patient, and what a later run trusts.

Schema `brainseg/predictions/1`. A slice's entry is the same whether this run made it or `--resume` took it over, so an
interrupted and resumed run ends with the entries of one that was not interrupted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from brainseg_runtime.contract import DEFAULT_LIMITS
from brainseg_runtime.errors import BrainsegError, InputError
from brainseg_runtime.files import read_capped, write_json
from brainseg_runtime.inputs import Item, missing_numbers

SCHEMA: Final = "brainseg/predictions/1"
FILE: Final = "predictions.json"
_MAX_BYTES: Final = 512 << 20  # about a million slices
_OUTPUTS: Final = ("mask", "probability", "overlay")


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputFile:
    """A file that was written: its name in OUT and the SHA-256 of its bytes, read back from the disk."""

    file: str
    sha256: str

    @classmethod
    def of(cls, path: Path) -> OutputFile:
        """Describes a file that is there.

        Raises:
            BrainsegError: It cannot be read.
        """
        return cls(file=path_text(path.name), sha256=sha256(read_capped(path, _MAX_BYTES)))

    def to_json(self) -> dict[str, object]:
        """As `predictions.json` holds it."""
        return {"file": self.file, "sha256": self.sha256}


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceEntry:
    """What became of one slice.

    Attributes:
        name: The input's file name without suffix.
        input: The input's path as it was given.
        patient: The patient's folder, or None.
        number: Place in the volume, or None.
        status: "done"; "failed", with `error`; "pending" where the run ended before its turn.
        input_sha256: Of the input file's bytes; None where it could not be read.
        height: Rows of the image; None unless done. So are all that follow.
        width: Columns of the image.
        area_px: Tumour pixels in the mask.
        mask: The mask's file.
        probability: The probability's file, where it was asked for.
        overlay: The overlay's file, where it was asked for.
        warnings: What the input guard remarked on.
        error: The error's kind, what, expected, got and remedy; None unless failed.
    """

    name: str
    input: str
    patient: str | None
    number: int | None
    status: Literal["done", "failed", "pending"] = "pending"
    input_sha256: str | None = None
    height: int | None = None
    width: int | None = None
    area_px: int | None = None
    mask: OutputFile | None = None
    probability: OutputFile | None = None
    overlay: OutputFile | None = None
    warnings: tuple[str, ...] = ()
    error: Mapping[str, object] | None = None

    @classmethod
    def pending(cls, item: Item) -> SliceEntry:
        """The entry of a slice whose turn has not come."""
        folder = None if item.patient is None else path_text(item.patient)
        return cls(name=path_text(item.name), input=path_text(item.path), patient=folder, number=item.number)

    @property
    def files(self) -> tuple[OutputFile, ...]:
        """Every file that was written for this slice."""
        return tuple(file for file in (self.mask, self.probability, self.overlay) if file is not None)

    def to_json(self) -> dict[str, object]:
        """As `predictions.json` holds it."""
        written = {kind: file.to_json() if (file := getattr(self, kind)) else None for kind in _OUTPUTS}
        return {
            "name": self.name,
            "input": self.input,
            "patient": None if self.patient is None else Path(self.patient).name,
            "number": self.number,
            "status": self.status,
            "input_sha256": self.input_sha256,
            "height": self.height,
            "width": self.width,
            "area_px": self.area_px,
            **written,
            "warnings": list(self.warnings),
            "error": None if self.error is None else dict(self.error),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What decides a mask besides its input; a resumed run takes over only what has the same origin.

    Attributes:
        digest: The bundle's.
        provider: Execution provider that ran.
        variant: Variant that ran.
    """

    digest: str
    provider: str
    variant: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """Everything that `predictions.json` holds.

    Attributes:
        origin: Which model ran, and on what.
        bundle: The bundle's path as it was given.
        versions: Package name to version.
        entries: One for each slice, in the order of the inputs.
        spacing_mm: Pixel width, pixel height and slice distance in mm, or None.
        interrupted: Whether the run was stopped before its end.
    """

    origin: Origin
    bundle: str
    versions: Mapping[str, str]
    entries: Sequence[SliceEntry]
    spacing_mm: tuple[float, float, float] | None = None
    interrupted: bool = False

    @property
    def status(self) -> Literal["complete", "faulty", "interrupted"]:
        """How the run ended: every slice done, some failed, or stopped."""
        if self.interrupted or any(entry.status == "pending" for entry in self.entries):
            return "interrupted"
        return "faulty" if any(entry.status == "failed" for entry in self.entries) else "complete"

    def to_json(self) -> dict[str, object]:
        """As the file holds it."""
        counts = {kind: sum(entry.status == kind for entry in self.entries) for kind in ("done", "failed", "pending")}
        return {
            "schema": SCHEMA,
            "status": self.status,
            "n_slices": len(self.entries),
            **{f"n_{kind}": number for kind, number in counts.items()},
            "bundle": {"path": self.bundle, "digest": self.origin.digest},
            "provider": self.origin.provider,
            "variant": self.origin.variant,
            "versions": dict(self.versions),
            "spacing_mm": None if self.spacing_mm is None else list(self.spacing_mm),
            "patients": [self._patient(folder, entries) for folder, entries in self._by_patient().items()],
            "slices": [entry.to_json() for entry in self.entries],
        }

    def save(self, out: Path) -> None:
        """Writes the file, whole.

        Raises:
            FileWriteError: The system refused.
        """
        write_json(out / FILE, self.to_json())

    def _by_patient(self) -> dict[str, list[SliceEntry]]:
        """Entries by patient's folder, those without a patient left out."""
        groups: dict[str, list[SliceEntry]] = {}
        for entry in self.entries:
            if entry.patient is not None:
                groups.setdefault(entry.patient, []).append(entry)
        return groups

    def _patient(self, folder: str, entries: Sequence[SliceEntry]) -> dict[str, object]:
        """One patient's areas and volume; the volume is null while slices are missing from it."""
        whole = all(entry.status == "done" for entry in entries)
        volume = sum(entry.area_px or 0 for entry in entries) if whole else None
        gaps = missing_numbers(entry.number for entry in entries)
        warnings = [f"slices missing between the first and the last: {', '.join(map(str, gaps))}"] if gaps else []
        if not whole:
            warnings.append("not every slice is done, so no volume is given")
        return {
            "id": Path(folder).name,
            "folder": folder,
            "n_slices": len(entries),
            "n_done": sum(entry.status == "done" for entry in entries),
            "volume_px": volume,
            "volume_ml": _millilitres(volume, self.spacing_mm),
            "areas": [{"name": e.name, "number": e.number, "area_px": e.area_px} for e in entries],
            "warnings": warnings,
        }


def read_previous(out: Path, origin: Origin) -> dict[str, SliceEntry]:
    """The finished slices that an earlier run in the same folder left, by name.

    Args:
        out: Where that run wrote.
        origin: What runs now; a run of another origin counts as none.

    Returns:
        Entries whose files are still to be checked, see `still_holds`; empty where there was no run.

    Raises:
        InputError: The file is there and is not what `save` writes.
    """
    path = out / FILE
    if not path.exists():
        return {}
    try:
        found = json.loads(read_capped(path, _MAX_BYTES))
        if found["schema"] != SCHEMA:
            return {}
        before = Origin(digest=found["bundle"]["digest"], provider=found["provider"], variant=found["variant"])
        entries = [_entry(one) for one in found["slices"] if one["status"] == "done"]
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise InputError(
            f"{path} cannot be resumed from",
            expected="what an earlier run wrote",
            got=repr(error),
            remedy="run without --resume",
        ) from error
    return {entry.name: entry for entry in entries} if before == origin else {}


def still_holds(entry: SliceEntry, input_sha256: str, out: Path, wanted: Sequence[str]) -> bool:
    """Whether an earlier run's slice can be kept: same input bytes, every wanted file there with the bytes it had.

    Args:
        entry: What the earlier run left.
        input_sha256: Of the input as it is now.
        out: Where the files are.
        wanted: Which of "mask", "probability", "overlay" this run is to make.
    """
    files = [getattr(entry, kind) for kind in wanted]
    if entry.input_sha256 != input_sha256 or None in files:
        return False
    try:
        return all(sha256(read_capped(out / file.file, _MAX_BYTES)) == file.sha256 for file in files)
    except BrainsegError:
        return False  # gone or unreadable: it is made again


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()


def path_text(path: Path | str) -> str:
    """A path as text that JSON can hold: bytes that are no UTF-8 are written out as escapes."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def _millilitres(volume_px: int | None, spacing_mm: tuple[float, float, float] | None) -> float | None:
    """Pixels to mL; None where either is unknown."""
    if volume_px is None or spacing_mm is None:
        return None
    x, y, z = spacing_mm
    return volume_px * x * y * z / 1000.0


def _entry(found: Mapping[str, Any]) -> SliceEntry:
    """A finished slice as read back; `input`, `patient` and `number` are set anew by the run that takes it over."""
    files = {kind: None if found[kind] is None else _file(found[kind]) for kind in _OUTPUTS}
    return SliceEntry(
        name=_text(found["name"]),
        input="",
        patient=None,
        number=None,
        status="done",
        input_sha256=_text(found["input_sha256"]),
        height=_count(found["height"]),
        width=_count(found["width"]),
        area_px=_count(found["area_px"]),
        mask=files["mask"],
        probability=files["probability"],
        overlay=files["overlay"],
        warnings=tuple(_text(line) for line in found["warnings"]),
    )


def _file(found: Mapping[str, Any]) -> OutputFile:
    """A file's record, whose name must not lead out of the folder."""
    name = _text(found["file"])
    if Path(name).name != name:
        raise ValueError(f"{name!r} is no plain file name")
    return OutputFile(file=name, sha256=_text(found["sha256"]))


def _text(value: object) -> str:
    """The value, if it is text."""
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value


def _count(value: object) -> int:
    """The value, if it counts pixels."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= DEFAULT_LIMITS.max_side**2:
        raise TypeError(f"expected a number of pixels, got {value!r}")
    return value
