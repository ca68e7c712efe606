"""The one look at the test subset: the chosen networks on raw slices at native resolution, by the module that ships.

    RUNS/studies/<id>/test/<model>.json        what was measured; while it is there, nothing is measured again
    RUNS/studies/<id>/test/<model>-best.png    and -best-2, -best-3, -median, -worst: slices of that patient with both
                                               outlines, the one with most tumour first

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from brainseg_runtime.evaluation.evaluate import Case, evaluate
from brainseg_runtime.evaluation.result import Evaluation, chosen_patients
from brainseg_runtime.images.overlay import encode_png, overlay
from brainseg_runtime.metrics import Counts, count, dice
from brainseg_runtime.safe_io import files, typed_json
from brainseg_runtime.safe_io.strict_json import parse
from brainseg_train import checkpoint
from brainseg_train.errors import RecordError, StudyError
from brainseg_train.learning.device import computing_with, place
from brainseg_train.models.pipeline import InferencePipeline
from brainseg_train.runs import records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from brainseg_runtime.evaluation.result import PatientScores
    from brainseg_train.data.dataset import DataSet
    from brainseg_train.tuning.study import Study

THRESHOLD: Final = 0.5
"""Probability from which a pixel is tumour; the same that selects among epochs."""

SLICES_SHOWN: Final = 3
"""Pictures of a patient."""

MAX_BYTES: Final = 16 << 20
"""Largest record that is read; a hundred patients with curves take some 100 KiB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestPicture:
    """One slice of one patient with both outlines, as a PNG beside the record."""

    __test__ = False  # no test case, whatever its name begins with

    place: str
    """Why this patient: best, median or worst by the Dice of the volume."""
    patient: str
    """The patient's name."""
    number: int
    """The slice's number."""
    patient_dice: float
    """Dice of the patient's volume, in [0, 1]."""
    slice_dice: float
    """Dice of this slice, in [0, 1]."""
    file: str
    """The PNG's name."""
    shows: str = "most tumour"
    """Why this slice."""
    missed: int | None = None
    """Pixels of tumour that were not marked; None in records that do not count them."""
    false: int | None = None
    """Pixels without tumour that were marked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestRecord:
    """A network's scores on the test subset."""

    __test__ = False  # no test case, whatever its name begins with

    model: str
    """The network's name."""
    split_by: str
    """How the subsets were made; `slice` is leaky."""
    evaluation: Evaluation
    """Every score."""
    pictures: tuple[TestPicture, ...]
    """Slices of the best, the median and the worst patient."""
    timing: dict[str, Any]
    """`seconds`, and `runs`: the runs that were measured, one for each split."""

    def patient_dice(self) -> dict[str, float]:
        """Dice of each patient's volume, by name, in [0, 1]."""
        return {patient.id: patient.dice for patient in self.evaluation.patients}


def look_once(current: Study, model: str, runs: Sequence[str], dataset: DataSet) -> TestRecord:
    """Measure a network on the test subset, unless that has been done.

    Args:
        current: The study.
        model: The network's name.
        runs: The chosen run for each of the study's splits.
        dataset: The study's data.

    Returns:
        What was measured, now or before.

    Raises:
        CheckpointError: A run's weights are missing or damaged.
        BrainsegError: A slice's file has gone or changed.
        FileWriteError: The system refused.
    """
    if _path(current, model).exists():
        return load_test(current, model)
    began = time.perf_counter()
    with computing_with(current.record.threads):
        examiner = _Examiner(current, runs, dataset)
        evaluation = evaluate(examiner.cases(), examiner.predict, threshold=THRESHOLD, provider="torch", variant="fp32")
        current.test_folder.mkdir(parents=True, exist_ok=True)
        pictures = tuple(
            picture
            for place, patient in chosen_patients(evaluation).items()
            for picture in examiner.pictures(model, place, patient)
        )
    record = TestRecord(
        model=model,
        split_by=current.request.split_by,
        evaluation=evaluation,
        pictures=pictures,
        timing={"seconds": time.perf_counter() - began, "runs": list(runs)},
    )
    files.write_json(_path(current, model), typed_json.to_json(record))
    return record


def load_test(current: Study, model: str) -> TestRecord:
    """A network's scores on the test subset, as they were recorded.

    Raises:
        RecordError: Nothing was recorded, or the record is damaged.
    """
    path = _path(current, model)
    data = files.read_capped(path, MAX_BYTES, error=RecordError)
    value = parse(data, str(path), limit=MAX_BYTES, error=RecordError)
    return typed_json.from_json(TestRecord, value, str(path), error=RecordError)


def chosen_slices(counted: Sequence[Counts]) -> dict[int, str]:
    """The slices of a patient worth looking at, each once: index to why.

    Args:
        counted: The pixels of each slice, in order; at least one slice.

    Returns:
        The slice with most tumour, of the others the one with most missed and the one with most falsely marked pixels,
        where there are any; filled up with further slices with most tumour. The middle slice where there is neither
        tumour nor anything marked.
    """
    truth, missed, false = ([getattr(one, name) for one in counted] for name in ("truth", "fn", "fp"))
    reasons = [("most tumour", truth), ("most missed", missed), ("most falsely marked", false)]
    reasons += [("next most tumour", truth)] * (SLICES_SHOWN - 1)
    chosen: dict[int, str] = {}
    for shows, pixels in reasons:
        left = [at for at in range(len(counted)) if at not in chosen and pixels[at] > 0]
        if left and len(chosen) < SLICES_SHOWN:
            chosen[max(left, key=pixels.__getitem__)] = shows
    return chosen or {len(counted) // 2: "middle of the head"}


class _Examiner:
    """The chosen networks on the test patients, fold by fold."""

    def __init__(self, current: Study, runs: Sequence[str], dataset: DataSet) -> None:
        self._current, self._runs, self._dataset = current, runs, dataset
        self._pipeline: InferencePipeline | None = None
        self._fold = -1
        self._device = torch.device("cpu")
        self._fold_of: dict[str, int] = {}
        self._rows_of: dict[str, NDArray[np.intp]] = {}

    def cases(self) -> Iterator[Case]:
        """Each test patient; the network of the patient's own fold is the one that predicts."""
        for fold in range(len(self._runs)):
            rows = self._current.split(fold).indices(self._dataset, "test")
            patients = self._dataset.patient_of_slice[rows]
            for patient in np.unique(patients):
                name = self._dataset.patients[patient].id
                self._fold_of[name], self._rows_of[name] = fold, rows[patients == patient]
                self._use(fold)
                yield Case(name, self._slices(name))

    def predict(self, images_nhwc: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Masks (N, H, W) uint8 and probabilities (N, H, W) float32 of slices (N, H, W, 3) uint8."""
        if self._pipeline is None:
            raise StudyError("no network is in use", expected="a patient of a fold first", got="none")
        with torch.inference_mode():
            mask, probability = self._pipeline(torch.from_numpy(images_nhwc).to(self._device))
        return mask.cpu().numpy(), probability.cpu().numpy()

    def pictures(self, model: str, place: str, scores: PatientScores) -> list[TestPicture]:
        """Write pictures of the slices that show how a patient went."""
        self._use(self._fold_of[scores.id])
        rows = self._rows_of[scores.id].tolist()
        masks = [self.predict(self._dataset.native_image(row)[None])[0][0] for row in rows]
        counted = [count(mask, self._dataset.native_mask(row)) for mask, row in zip(masks, rows, strict=True)]
        pictures: list[TestPicture] = []
        for at, shows in chosen_slices(counted).items():
            image, truth = self._dataset.native_image(rows[at]), self._dataset.native_mask(rows[at])
            name = f"{model}-{place}{f'-{len(pictures) + 1}' if pictures else ''}.png"
            files.write_bytes(self._current.test_folder / name, encode_png(overlay(image, truth, masks[at])))
            picture = TestPicture(
                place=place,
                patient=scores.id,
                number=self._dataset.slices[rows[at]].number,
                patient_dice=scores.dice,
                slice_dice=dice(counted[at]),
                file=name,
                shows=shows,
                missed=counted[at].fn,
                false=counted[at].fp,
            )
            pictures.append(picture)
        return pictures

    def _use(self, fold: int) -> None:
        """Load the network of a fold, unless it is loaded."""
        if self._pipeline is not None and self._fold == fold:
            return
        run_dir = self._current.runs / self._runs[fold]
        network, _ = checkpoint.load_network(run_dir)
        self._device = place(records.load_record(run_dir).config).device
        self._pipeline = InferencePipeline(network, threshold=THRESHOLD).to(self._device).eval()
        self._fold = fold

    def _slices(self, patient: str) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.uint8]]]:
        for row in self._rows_of[patient].tolist():
            yield self._dataset.slices[row].number, self._dataset.native_image(row), self._dataset.native_mask(row)


def _path(current: Study, model: str) -> Path:
    """Where a network's record is."""
    return current.test_folder / f"{model}.json"
