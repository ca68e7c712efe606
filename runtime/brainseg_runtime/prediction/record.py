"""`predictions.json`: what a run of `brainseg predict` made of each slice and patient, and what a later run trusts.

The classes here are the file, field by field. A slice's entry is the same whether this run made it or `--resume` took
it over, so an interrupted and resumed run ends with the entries of one that was not interrupted.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.images.names import folder_name
from brainseg_runtime.metrics.lengths import SpacingXYZ
from brainseg_runtime.prediction.inputs import Item, in_ranges, missing_numbers
from brainseg_runtime.prediction.layout import Layout, path_text
from brainseg_runtime.problems import first_few
from brainseg_runtime.safe_io.files import read_capped, write_json
from brainseg_runtime.safe_io.typed_json import Matches, from_json, to_json
from brainseg_runtime.segmentation.results import SegmenterInfo

SCHEMA: Final = "brainseg/predictions/1"
FILE: Final = "predictions.json"
MAX_BYTES: Final = 512 << 20  # about a million slices
DECISIVE: Final = ("brainseg", "onnxruntime")
"""Packages whose version may change a mask's bits."""

Sha256: TypeAlias = Annotated[str, Matches(re.compile("[0-9a-f]{64}"), "64 hexadecimal digits")]


_RANGES: Final = 10
"""Most ranges of missing slices that a warning shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputFile:
    """A file that was written: its path from OUT on, and the SHA-256 of its bytes, read back from the disk."""

    file: str
    sha256: Sha256

    @classmethod
    def of(cls, out: Path, file: str) -> OutputFile:
        """Describes a file that is there, by its path from OUT on.

        Raises:
            BrainsegError: It cannot be read.
        """
        return cls(file=file, sha256=sha256(read_capped(out / file, MAX_BYTES)))


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceEntry:
    """What became of one slice.

    Attributes:
        name: The input's file name without suffix.
        input: The input's path as given.
        patient: The name of the patient's folder, or None.
        number: Place in the volume, or None.
        status: "done"; "failed", with `error`; "pending" where the run ended before its turn.
        input_sha256: Of the input file's bytes; None where it could not be read.
        height: Rows of the image; None unless done. So are all that follow.
        width: Columns of the image.
        area_px: Tumour pixels in the mask.
        mask: The mask's file.
        probability: The probability map's file, if one was requested.
        overlay: The overlay's file, if one was requested.
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
        patient = None if item.patient is None else folder_name(item.patient)
        return cls(name=path_text(item.name), input=path_text(item.path), patient=patient, number=item.number)


@dataclass(frozen=True, kw_only=True, slots=True)
class Area:
    """One slice of a patient's volume: its name, its place in it, and its tumour pixels."""

    name: str
    number: int | None
    area_px: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PatientEntry:
    """What a patient's slices add up to.

    Attributes:
        id: The name of the patient's folder.
        folder: The patient's folder.
        n_slices: Slices.
        n_done: Those that are done.
        volume_px: Tumour pixels over all slices; null unless all are done and of one size.
        volume_ml: The same in mL; null without spacing or volume_px.
        areas: The slices, in order.
        warnings: What makes the volume less than whole.
    """

    id: str
    folder: str
    n_slices: int
    n_done: int
    volume_px: int | None
    volume_ml: float | None
    areas: tuple[Area, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, folder: str, slices: Sequence[SliceEntry], spacing_mm: SpacingXYZ | None) -> PatientEntry:
        """Adds up a patient's slices."""
        n_done = sum(entry.status == "done" for entry in slices)
        sizes = sorted({(entry.height, entry.width) for entry in slices if entry.status == "done"}, key=str)
        whole = n_done == len(slices) and len(sizes) == 1
        volume = sum(entry.area_px or 0 for entry in slices) if whole else None
        gaps = missing_numbers(entry.number for entry in slices)
        shown = first_few(in_ranges(gaps), few=_RANGES)
        warnings = [f"slices missing between the first and the last: {shown}"] if gaps else []
        if n_done < len(slices):
            warnings.append("not every slice is done, so no volume is given")
        if len(sizes) > 1:
            shown = ", ".join(f"{height}x{width}" for height, width in sizes)
            warnings.append(f"the slices differ in size ({shown}), so no volume is given")
        return cls(
            id=folder_name(Path(folder)),
            folder=folder,
            n_slices=len(slices),
            n_done=n_done,
            volume_px=volume,
            volume_ml=None if volume is None or spacing_mm is None else volume * math.prod(spacing_mm) / 1000.0,
            areas=tuple(Area(name=each.name, number=each.number, area_px=each.area_px) for each in slices),
            warnings=tuple(warnings),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleEntry:
    """The bundle that ran: its path as given, and its digest."""

    path: str
    digest: Sha256 | None


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """The whole file.

    Attributes:
        schema: The file's form.
        status: How the run ended: every slice done, some failed, or stopped.
        n_slices: Slices of this run.
        n_done: Those that are done.
        n_failed: Those that failed.
        n_pending: Those whose turn had not come.
        bundle: Which model ran.
        provider: Execution provider that ran.
        variant: Variant that ran.
        threshold: Probability from which a pixel is tumour in these masks.
        validated_threshold: The bundle's own.
        versions: Package name to version.
        layout: Where the files lie in OUT.
        spacing_mm: Pixel width, pixel height and slice distance in mm, or null.
        warnings: What holds for the whole run, what among the inputs does not fit, and what was left out.
        patients: One for each patient's folder, in the order of the inputs; files without a patient have none.
        slices: One for each slice, in the order of the inputs.
        earlier: Slices of earlier runs by the same model, not among these inputs, whose files stay in the folder.
    """

    schema: Literal["brainseg/predictions/1"] = SCHEMA
    status: Literal["complete", "faulty", "interrupted"]
    n_slices: int
    n_done: int
    n_failed: int
    n_pending: int
    bundle: BundleEntry
    provider: str
    variant: str
    threshold: float | None = None
    validated_threshold: float | None = None
    versions: Mapping[str, str]
    layout: Layout = "flat"
    spacing_mm: SpacingXYZ | None = None
    warnings: tuple[str, ...] = ()
    patients: tuple[PatientEntry, ...]
    slices: tuple[SliceEntry, ...]
    earlier: tuple[SliceEntry, ...] = ()

    @classmethod
    def begun(cls, bundle: Path, info: SegmenterInfo, threshold: float | None, layout: Layout) -> Predictions:
        """The record of a run that has made nothing yet.

        Args:
            bundle: The bundle's path as it was given.
            info: What is loaded.
            threshold: The threshold that was asked for, if any.
            layout: Where the files lie in OUT.
        """
        own = info.provenance.threshold
        return cls(
            status="interrupted",
            n_slices=0,
            n_done=0,
            n_failed=0,
            n_pending=0,
            bundle=BundleEntry(path=path_text(bundle), digest=info.provenance.bundle_digest),
            provider=info.provider,
            variant=info.variant,
            threshold=own if threshold is None else threshold,
            validated_threshold=own,
            versions=info.versions,
            layout=layout,
            patients=(),
            slices=(),
        )

    def holding(self, entries: Sequence[SliceEntry], folders: Iterable[Path | None], *, stopped: bool) -> Predictions:
        """The record as it is to be now.

        Args:
            entries: One for each slice, in the order of the inputs.
            folders: The patient's folder of each slice, or None.
            stopped: Whether the run has not come to its end.
        """
        counts = Counter(entry.status for entry in entries)
        ended: Literal["complete", "faulty"] = "faulty" if counts["failed"] else "complete"
        groups: dict[str, list[SliceEntry]] = {}
        for folder, entry in zip(folders, entries, strict=True):
            if folder is not None:
                groups.setdefault(path_text(folder), []).append(entry)
        return replace(
            self,
            status="interrupted" if stopped or counts["pending"] else ended,
            n_slices=len(entries),
            n_done=counts["done"],
            n_failed=counts["failed"],
            n_pending=counts["pending"],
            patients=tuple(PatientEntry.of(folder, slices, self.spacing_mm) for folder, slices in groups.items()),
            slices=tuple(entries),
        )

    @property
    def origin(self) -> Origin:
        """What decided these masks."""
        own = self.threshold == self.validated_threshold
        return Origin(
            digest=self.bundle.digest or "",
            provider=self.provider,
            variant=self.variant,
            versions={name: self.versions.get(name, "") for name in DECISIVE},
            threshold=None if own else self.threshold,
        )

    def save(self, out: Path) -> None:
        """Writes the file, whole.

        Raises:
            FileWriteError: The system refused.
        """
        write_json(out / FILE, to_json(self))


def read_predictions(
    folder: Path, *, error: type[BrainsegError], remedy: str, ours_only: bool = True
) -> Predictions | None:
    """The record in a folder for results; it is not trusted any further than its form.

    Args:
        folder: Where `brainseg predict` wrote.
        error: The class of error to raise.
        remedy: What to do about a file that is not such a record.
        ours_only: Whether a file of that name by another program is an error, or else counts as none.

    Returns:
        The record; None if the folder has no record.

    Raises:
        BrainsegError: Of the given class: it cannot be read, or is not what `Predictions.save` writes.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        found = json.loads(read_capped(path.resolve(), MAX_BYTES, error=error))
        if not ours_only and not (isinstance(found, dict) and found.get("schema") == SCHEMA):
            return None
        if isinstance(found, dict):  # keys of later versions are passed over, but the schema has to be named
            known = {key: item for key, item in found.items() if key in Predictions.__dataclass_fields__}
            found = {"schema": None, **known}
        return from_json(Predictions, found, str(path), error=error)
    except (ValueError, RecursionError) as damage:
        raise error(f"{path} is not JSON", got=str(damage)[:200], remedy=remedy) from damage
    except error as fault:
        raise error(fault.what, expected=fault.expected, got=fault.got, remedy=remedy) from fault


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256.

    >>> sha256(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()
