"""Segments many files: reading, inference and writing overlap, and one bad file does not stop the rest.

The caller's thread runs the model; two threads read ahead and two write behind, within fixed bounds, so memory does not
grow with the number of slices. Every file is written whole or not at all. What an earlier run left of a slice that is
made again, or that fails, is removed first: no mask of another model stays among the new ones.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import DEFAULT_LIMITS
from brainseg_runtime.errors import BrainsegError, FileWriteError, MissingExtraError
from brainseg_runtime.images.reading import read_ahead
from brainseg_runtime.images.slices import decode_image, file_bytes
from brainseg_runtime.images.writers import WRITERS, Segmented
from brainseg_runtime.prediction.inputs import Item
from brainseg_runtime.prediction.layout import Layout, file_name, place
from brainseg_runtime.prediction.record import OutputFile, SliceEntry, sha256
from brainseg_runtime.prediction.resume import remove_outputs, still_holds, taken_over
from brainseg_runtime.safe_io.files import make_folder, write_bytes
from brainseg_runtime.segmentation.results import threshold_warnings

if TYPE_CHECKING:
    from brainseg_runtime.segmentation.results import Prediction
    from brainseg_runtime.segmenter import Segmenter

_WORKERS = 2  # each way; reading and encoding a slice take a fraction of its inference
_AHEAD = 8  # slices read before their turn, and slices waiting to be written: 16 of the largest take 200 MiB


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictConfig:
    """How to make masks, and what to write for each slice.

    Attributes:
        probability: Also `<name>_probability.tif`, (H, W) float32 in [0, 1].
        overlay: Also `<name>_overlay.png`, the mask's outline on FLAIR.
        strict: A slice that the input guard warns of fails instead.
        threshold: Probability from which a pixel is tumour; None: the model's own.
        layout: Where the files lie in OUT.
        flair_only: Images are FLAIR alone, which stands in for the other channels.
    """

    probability: bool = False
    overlay: bool = False
    strict: bool = False
    threshold: float | None = None
    layout: Layout = "flat"
    flair_only: bool = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """The kinds of file that each slice gets."""
        kinds = {"mask": True, "probability": self.probability, "overlay": self.overlay}
        return tuple(kind for kind, wanted in kinds.items() if wanted)


@dataclass(frozen=True, slots=True)
class _Read:
    """A slice that was read, or its entry alone if it failed or is kept from an earlier run."""

    entry: SliceEntry
    place: str
    image_hwc: NDArray[np.uint8] | None = None


def predict_files(
    segmenter: Segmenter,
    items: Sequence[Item],
    out: Path,
    config: PredictConfig,
    *,
    known: Mapping[str, SliceEntry] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[SliceEntry]:
    """Segments slices and writes their files, in order.

    Args:
        segmenter: Runs the model.
        items: What to segment.
        out: An existing folder for each slice's `<name>_mask.tif` and what `config` adds.
        config: What to write.
        known: Slices of an earlier run by place; those whose input and files are unchanged are kept.
        cancelled: Asked before each slice; after a yes, finished slices are still written and yielded.

    Yields:
        One entry for each slice when its files are on the disk, or when it failed.

    Raises:
        MissingExtraError: tifffile or pillow is not installed.
    """
    coming = read_ahead(items, lambda item: _read(item, out, config, known or {}), depth=_AHEAD, threads=_WORKERS)
    with contextlib.closing(coming), ThreadPoolExecutor(_WORKERS) as writers:
        writing: deque[Future[SliceEntry]] = deque()
        for read in coming:
            if cancelled():
                break
            writing.append(_segment(segmenter, read, writers, out, config))
            while writing[0].done() or len(writing) > _AHEAD:
                yield writing.popleft().result()
                if not writing:
                    break
        yield from (future.result() for future in writing)


def _read(item: Item, out: Path, config: PredictConfig, known: Mapping[str, SliceEntry]) -> _Read:
    """Reads and decodes one slice, unless an earlier run's result still holds."""
    entry = SliceEntry.pending(item)
    where = place(item.name, item.patient, config.layout)
    try:
        data = file_bytes(item.path, DEFAULT_LIMITS)
        digest = sha256(data)
        entry = replace(entry, input_sha256=digest)
        before = known.get(where)
        allowed = before is not None and not (config.strict and before.warnings)
        if before is not None and allowed and still_holds(before, digest, out, config.outputs):
            return _Read(taken_over(before, item), where)
        remove_outputs(where, out)
        decoded = decode_image(data, str(item.path), flair_only=config.flair_only)
        return _Read(replace(entry, warnings=decoded.notes), where, decoded.pixels)
    except MissingExtraError:
        raise
    except BrainsegError as error:
        with contextlib.suppress(FileWriteError):  # the error at hand says more
            remove_outputs(where, out)
        return _Read(_failed(entry, error), where)


def _segment(
    segmenter: Segmenter, read: _Read, writers: ThreadPoolExecutor, out: Path, config: PredictConfig
) -> Future[SliceEntry]:
    """Runs the model on one slice, and leaves the writing to the writers."""
    image_hwc = read.image_hwc
    if image_hwc is None:
        return _settled(read.entry)
    try:
        result = segmenter.predict(image_hwc, strict=config.strict, threshold=config.threshold)
    except BrainsegError as error:
        return _settled(_failed(read.entry, error))
    height, width = result.mask.shape
    # What holds for every slice is said once, for the run.
    of_the_run = threshold_warnings(segmenter.info.provenance.threshold, config.threshold)
    warnings = (*read.entry.warnings, *(each for each in result.warnings if each not in of_the_run))
    entry = replace(read.entry, height=height, width=width, area_px=result.area, warnings=warnings)
    read = replace(read, entry=entry)
    return writers.submit(_write, read, image_hwc, result, out, config)


def _write(
    read: _Read, image_hwc: NDArray[np.uint8], result: Prediction, out: Path, config: PredictConfig
) -> SliceEntry:
    """Writes one slice's files; returns its entry."""
    entry = read.entry
    files: dict[str, OutputFile] = {}
    made = Segmented(image_hwc=image_hwc, mask=result.mask, probability=result.probability)
    try:
        if "/" in read.place:
            make_folder((out / read.place).parent)
        for kind in config.outputs:
            file = file_name(read.place, kind)
            write_bytes(out / file, WRITERS[kind].encode(made))
            files[kind] = OutputFile.of(out, file)
    except MissingExtraError:
        raise
    except BrainsegError as error:
        return _failed(entry, error)
    return replace(
        entry, status="done", mask=files["mask"], probability=files.get("probability"), overlay=files.get("overlay")
    )


def _failed(entry: SliceEntry, error: BrainsegError) -> SliceEntry:
    """The entry of a slice that failed."""
    return replace(entry, status="failed", error=error.to_json())


def _settled(entry: SliceEntry) -> Future[SliceEntry]:
    """A future that is done."""
    future: Future[SliceEntry] = Future()
    future.set_result(entry)
    return future
