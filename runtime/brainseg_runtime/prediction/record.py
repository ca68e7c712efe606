"""`predictions.json`: what a run of `brainseg predict` made of each slice and patient, and what a later run trusts.

Schema `brainseg/predictions/1`. A slice's entry is the same whether this run made it or `--resume` took it over, so an
interrupted and resumed run ends with the entries of one that was not interrupted.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from brainseg_runtime.images.names import folder_name
from brainseg_runtime.prediction.inputs import Item, missing_numbers
from brainseg_runtime.prediction.layout import OUTPUTS, Layout, path_text
from brainseg_runtime.safe_io.files import read_capped, write_json
from brainseg_runtime.segmentation.results import SegmenterInfo

SCHEMA: Final = "brainseg/predictions/1"
FILE: Final = "predictions.json"
MAX_BYTES: Final = 512 << 20  # about a million slices
DECISIVE: Final = ("brainseg", "onnxruntime")
"""Packages whose version may change a mask's bits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputFile:
    """A file that was written: its path from OUT on, and the SHA-256 of its bytes, read back from the disk."""

    file: str
    sha256: str

    @classmethod
    def of(cls, out: Path, file: str) -> OutputFile:
        """Describes a file that is there, by its path from OUT on.

        Raises:
            BrainsegError: It cannot be read.
        """
        path = out / file
        return cls(file=file, sha256=sha256(read_capped(path, MAX_BYTES)))

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
        warnings: What the reader left out or assumed, and what the input guard remarked on.
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
        written = {kind: file.to_json() if (file := getattr(self, kind)) else None for kind in OUTPUTS}
        return {
            "name": self.name,
            "input": self.input,
            "patient": None if self.patient is None else folder_name(Path(self.patient)),
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
class PatientEntry:
    """What a patient's slices add up to.

    Attributes:
        folder: The patient's folder; its name is the patient's id.
        slices: The patient's entries, in order.
        volume_px: Tumour pixels over all slices; None while slices are not done, or where they differ in size.
        volume_ml: The same in mL; None where `volume_px` or the spacing is unknown.
        warnings: What makes the volume less than whole.
    """

    folder: str
    slices: Sequence[SliceEntry]
    volume_px: int | None
    volume_ml: float | None
    warnings: tuple[str, ...]

    @classmethod
    def of(
        cls, folder: str, slices: Sequence[SliceEntry], spacing_mm: tuple[float, float, float] | None
    ) -> PatientEntry:
        """Adds up a patient's slices."""
        whole = all(entry.status == "done" for entry in slices)
        sizes = sorted({(entry.height, entry.width) for entry in slices if entry.status == "done"}, key=str)
        volume = sum(entry.area_px or 0 for entry in slices) if whole and len(sizes) == 1 else None
        ml = None if volume is None or spacing_mm is None else volume * math.prod(spacing_mm) / 1000.0
        gaps = missing_numbers(entry.number for entry in slices)
        warnings = [f"slices missing between the first and the last: {', '.join(map(str, gaps))}"] if gaps else []
        if not whole:
            warnings.append("not every slice is done, so no volume is given")
        if len(sizes) > 1:
            shown = ", ".join(f"{height}x{width}" for height, width in sizes)
            warnings.append(f"the slices differ in size ({shown}), so no volume is given")
        return cls(folder=folder, slices=tuple(slices), volume_px=volume, volume_ml=ml, warnings=tuple(warnings))

    @property
    def id(self) -> str:
        """The folder's name."""
        return folder_name(Path(self.folder))

    @property
    def n_done(self) -> int:
        """Slices that are done."""
        return sum(entry.status == "done" for entry in self.slices)

    def to_json(self) -> dict[str, object]:
        """As `predictions.json` holds it."""
        return {
            "id": self.id,
            "folder": self.folder,
            "n_slices": len(self.slices),
            "n_done": self.n_done,
            "volume_px": self.volume_px,
            "volume_ml": self.volume_ml,
            "areas": [{"name": e.name, "number": e.number, "area_px": e.area_px} for e in self.slices],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What decides a mask besides its input; a resumed run takes over only what has the same origin.

    Attributes:
        digest: The bundle's.
        provider: Execution provider that ran.
        variant: Variant that ran.
        versions: Of the packages named in `DECISIVE`.
        threshold: Probability from which a pixel is tumour; None: the bundle's own.
    """

    digest: str
    provider: str
    variant: str
    versions: Mapping[str, str]
    threshold: float | None = None

    @classmethod
    def of(cls, info: SegmenterInfo, threshold: float | None) -> Origin:
        """The origin of masks that a loaded model makes.

        Args:
            info: What is loaded.
            threshold: The threshold that was asked for, if any.
        """
        return cls(
            digest=info.provenance.bundle_digest or "",
            provider=info.provider,
            variant=info.variant,
            versions={name: info.versions[name] for name in DECISIVE},
            threshold=None if threshold == info.provenance.threshold else threshold,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """Everything that `predictions.json` holds.

    Attributes:
        origin: Which model ran, and on what.
        bundle: The bundle's path as it was given.
        versions: Package name to version.
        entries: One for each slice, in the order of the inputs.
        spacing_mm: Pixel width, pixel height and slice distance in mm, or None.
        validated_threshold: The bundle's own threshold.
        layout: Where the files lie in OUT.
        warnings: What holds for the whole run, what among the inputs does not fit, and what was left out.
        earlier: Finished slices of earlier runs by the same origin, not among these inputs, whose files stay in OUT.
        interrupted: Whether the run was stopped before its end.
    """

    origin: Origin
    bundle: str
    versions: Mapping[str, str]
    entries: Sequence[SliceEntry]
    spacing_mm: tuple[float, float, float] | None = None
    validated_threshold: float | None = None
    layout: Layout = "flat"
    warnings: tuple[str, ...] = ()
    earlier: Sequence[SliceEntry] = ()
    interrupted: bool = False

    @property
    def status(self) -> Literal["complete", "faulty", "interrupted"]:
        """How the run ended: every slice done, some failed, or stopped."""
        if self.interrupted or any(entry.status == "pending" for entry in self.entries):
            return "interrupted"
        return "faulty" if any(entry.status == "failed" for entry in self.entries) else "complete"

    def counts(self) -> dict[str, int]:
        """How many slices are "done", "failed" and "pending"."""
        return {kind: sum(entry.status == kind for entry in self.entries) for kind in ("done", "failed", "pending")}

    def patients(self) -> tuple[PatientEntry, ...]:
        """One entry for each patient's folder, in the order of the inputs; files without a patient have none."""
        groups: dict[str, list[SliceEntry]] = {}
        for entry in self.entries:
            if entry.patient is not None:
                groups.setdefault(entry.patient, []).append(entry)
        return tuple(PatientEntry.of(folder, entries, self.spacing_mm) for folder, entries in groups.items())

    def to_json(self) -> dict[str, object]:
        """As the file holds it."""
        return {
            "schema": SCHEMA,
            "status": self.status,
            "n_slices": len(self.entries),
            **{f"n_{kind}": number for kind, number in self.counts().items()},
            "bundle": {"path": path_text(self.bundle), "digest": self.origin.digest},
            "provider": self.origin.provider,
            "variant": self.origin.variant,
            "threshold": self.validated_threshold if self.origin.threshold is None else self.origin.threshold,
            "validated_threshold": self.validated_threshold,
            "versions": dict(self.versions),
            "layout": self.layout,
            "spacing_mm": None if self.spacing_mm is None else list(self.spacing_mm),
            "warnings": list(self.warnings),
            "patients": [patient.to_json() for patient in self.patients()],
            "slices": [entry.to_json() for entry in self.entries],
            "earlier": [entry.to_json() for entry in self.earlier],
        }

    def save(self, out: Path) -> None:
        """Writes the file, whole.

        Raises:
            FileWriteError: The system refused.
        """
        write_json(out / FILE, self.to_json())


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()
