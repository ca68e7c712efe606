"""One patient's folder of slices to a row and, if asked for, files for each slice; one slice in memory at a time.

Legend: H rows, W columns.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from brainseg_runtime.archive.working.identity import PixelDigest, row_id
from brainseg_runtime.archive.working.job import OF_SLICES, Job
from brainseg_runtime.archive.working.measures import Measures
from brainseg_runtime.archive.working.rows import Row
from brainseg_runtime.errors import DataError, ImageError
from brainseg_runtime.images.dataset import site_of
from brainseg_runtime.images.finder import SliceFolder, find
from brainseg_runtime.images.overlay import Pixels, encode_png, overlay
from brainseg_runtime.images.pairing import FoundSlice
from brainseg_runtime.images.slices import read_image
from brainseg_runtime.images.writers import WRITERS, Segmented
from brainseg_runtime.problems import Problem, grouped, without_folders
from brainseg_runtime.safe_io.files import make_folder, sync_folder, write_bytes
from brainseg_runtime.segmentation.base_segmenter import BaseSegmenter
from brainseg_runtime.segmentation.results import Prediction
from brainseg_runtime.studies.written.record import Output


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient's folder.

    Attributes:
        folder: Its slices.
        doubts: What does not fit, such as slices that are missing.
    """

    folder: SliceFolder
    doubts: tuple[str, ...]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    def segment(self, segmenter: BaseSegmenter, job: Job, out: Path) -> Row:
        """As `units.Unit` has it."""
        kinds = [kind for kind in job.settings.write if kind in OF_SLICES]
        pixels, measures, files = PixelDigest(), Measures(), _Files(out / f"new-{secrets.token_hex(4)}", kinds)
        warnings: Counter[str] = Counter()
        size: tuple[int, ...] | None = None
        for one in self.folder.slices:
            image, result = _predicted(segmenter, one, job)
            if size not in {None, image.shape}:
                raise ImageError("a patient's slices differ in size", expected=f"{size}", got=f"{image.shape}")
            size = image.shape
            pixels.add("slice", image)
            measures.add(result.mask, result.probability)
            warnings.update(result.warnings)
            files.add(one, image, result)
        digest = pixels.hex()
        identity = row_id(digest, job.bundle)
        return Row(
            id=identity,
            status="done",
            source="",
            name=self.name,
            kind="slices",
            site=site_of(self.name),
            pixels_sha256=digest,
            volume_ml=_volume_ml(measures.volume_px, job.settings.spacing_mm),
            **measures.columns,
            warnings=(*self.doubts, *of_slices(warnings, len(self.folder.slices))),
            provider=segmenter.info.provider,
            variant=segmenter.info.variant,
            bundle=job.bundle,
            objects=files.end(out / identity),
        )

    def preview(self, segmenter: BaseSegmenter, job: Job, out: Path, index: int) -> bytes:  # noqa: ARG002 - as `units.Unit` has it
        """A slice with the mask's outline on FLAIR."""
        slices = self.folder.slices
        image, result = _predicted(segmenter, slices[min(index, len(slices) - 1)], job)
        return encode_png(overlay(image, prediction=result.mask))


def patients_in(path: Path, *, shallow: bool) -> list[Patient]:
    """The patients of a folder, or of one slice's file.

    Args:
        path: The folder.
        shallow: Only the folder itself, not those below.

    Raises:
        DataError: It holds no slice.
    """
    found = find(path, pictures=True)
    folders = [each for each in found.folders if each.slices and (each.path == path or not shallow)]
    if not folders:
        got = "; ".join(grouped(found.problems)) or "none"
        raise DataError("a folder holds no slice", expected="images in it", got=got)
    return [Patient(folder=each, doubts=_doubts(each, found.problems)) for each in folders]


def _predicted(segmenter: BaseSegmenter, one: FoundSlice, job: Job) -> tuple[Pixels, Prediction]:
    """A slice and what the model makes of it."""
    image = read_image(one.image)
    return image, segmenter.predict(image, threshold=job.settings.threshold)


class _Files:
    """The files of a patient, in a folder of its own that gets its name at the end: another patient may have failed."""

    def __init__(self, folder: Path, kinds: Iterable[str]) -> None:
        self._folder = folder
        self._kinds = tuple(kinds)
        self._written: list[tuple[str, str, str]] = []

    def add(self, one: FoundSlice, image: Pixels, result: Prediction) -> None:
        """Write a slice's files."""
        made = Segmented(image_hwc=image, mask=result.mask, probability=result.probability)
        for kind in self._kinds:
            data = WRITERS[kind].encode(made)
            name = f"{one.image.stem}_{kind}{WRITERS[kind].suffix}"
            make_folder(self._folder)
            write_bytes(self._folder / name, data)
            self._written.append((kind, name, hashlib.sha256(data).hexdigest()))

    def end(self, target: Path) -> tuple[Output, ...]:
        """Give the folder its name, unless a patient with the same pixels has it."""
        if not self._written:
            return ()
        if target.exists():
            shutil.rmtree(self._folder, ignore_errors=True)
            return ()
        self._folder.rename(target)
        sync_folder(target.parent)
        return tuple(
            Output(kind=kind, file=f"{target.name}/{name}", sha256=digest) for kind, name, digest in self._written
        )


def of_slices(counts: Counter[str], total: int) -> list[str]:
    """Warnings of single slices, each kind once, with the number of slices.

    Args:
        counts: How often each text came.
        total: Slices in all.

    >>> of_slices(Counter({"blank slice: every pixel is the same": 2}), 36)
    ['2 of 36 slices: blank slice: every pixel is the same']
    """
    numbers: Counter[str] = Counter()
    first: dict[str, str] = {}
    for text, count in counts.items():
        kind = text.partition(" has ")[0]
        first.setdefault(kind, text)
        numbers[kind] += count
    return [
        text if numbers[kind] >= total else f"{numbers[kind]} of {total} slices: {text}" for kind, text in first.items()
    ]


def _volume_ml(volume_px: int, spacing: tuple[float, float, float] | None) -> float | None:
    return None if spacing is None else volume_px * spacing[0] * spacing[1] * spacing[2] / 1000


def _doubts(folder: SliceFolder, problems: Iterable[Problem]) -> tuple[str, ...]:
    """What is wrong with a patient's folder, without the folders that it lies in."""
    own = [each for each in problems if each.where == str(folder.path)]
    return grouped([Problem(without_folders(each.where), each.kind, each.detail) for each in own])
