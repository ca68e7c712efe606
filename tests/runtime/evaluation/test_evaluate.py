"""An evaluation against everything computed at once from all pixels, and the promise that it streams."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_runtime.errors import DataError, ImageError
from brainseg_runtime.evaluation.evaluate import Case, PatientScores, evaluate
from brainseg_runtime.evaluation.result import Evaluation
from brainseg_runtime.metrics import Counts, count, dice, iou, lesion_counts, surface_distances
from brainseg_runtime.metrics.bootstrap import bootstrap_interval, bootstrap_pooled, bootstrap_ratio
from brainseg_runtime.metrics.curves import calibration, roc_curve
from brainseg_runtime.metrics.histogram import Histogram

THRESHOLD = 0.5
NAMES = (
    "TCGA_CS_1_20000101",
    "TCGA_DU_2_20000101",
    "TCGA_CS_3_20000101",
    "somebody",
    "TCGA_HT_5_20000101",
    "TCGA_HT_6_20000101",
    "TCGA_HT_7_20000101",
)


@dataclass(frozen=True)
class Volume:
    """A patient whose images carry their probability in the first channel, in 255ths."""

    name: str
    images: tuple[NDArray[np.uint8], ...]
    truths: tuple[NDArray[np.uint8], ...]

    def case(self) -> Case:
        return Case(self.name, ((n, i, t) for n, (i, t) in enumerate(zip(self.images, self.truths, strict=True), 1)))

    @property
    def probabilities(self) -> list[NDArray[np.float32]]:
        return [image[..., 0].astype(np.float32) / np.float32(255) for image in self.images]

    @property
    def masks(self) -> list[NDArray[np.bool_]]:
        return [each >= THRESHOLD for each in self.probabilities]

    @property
    def counts(self) -> list[Counts]:
        return [count(mask, truth) for mask, truth in zip(self.masks, self.truths, strict=True)]


def volume(name: str, seed: int, sizes: list[tuple[int, int]], tumour: float) -> Volume:
    rng = np.random.default_rng(seed)
    truths = tuple((rng.random(size) < tumour * rng.integers(0, 2)).astype(np.uint8) for size in sizes)
    images = []
    for truth in truths:
        level = np.clip(rng.normal(40 + 120 * truth, 60), 0, 255).astype(np.uint8)
        images.append(np.repeat(level[..., None], 3, axis=2))
    return Volume(name, tuple(images), truths)


def predict(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    probability = images[..., 0].astype(np.float32) / np.float32(255)
    return (probability >= THRESHOLD).astype(np.uint8), probability


SIZES = [(16, 16)] * 5 + [(16, 24)] * 2 + [(16, 16)] * 4
VOLUMES = [volume(name, seed, SIZES[: 11 - 2 * (seed % 4)], 0.2) for seed, name in enumerate(NAMES)]
EVALUATION = evaluate(
    (each.case() for each in VOLUMES), predict, threshold=THRESHOLD, provider="cpu", variant="fp32", samples=200
)
SLICES = [counts for each in VOLUMES for counts in each.counts]


def flat(parts: list[list[NDArray[Any]]]) -> NDArray[Any]:
    return np.concatenate([each.ravel() for part in parts for each in part])


ALL = Histogram.of(flat([v.probabilities for v in VOLUMES]), flat([list(v.truths) for v in VOLUMES]))


def test_pooled_scores_are_those_of_all_pixels_at_once() -> None:
    everything = count(flat([list(v.masks) for v in VOLUMES]), flat([list(v.truths) for v in VOLUMES]))
    pooled = EVALUATION.pooled
    assert pooled.dice == pooled.f1 == dice(everything)
    assert pooled.iou == iou(everything)
    assert pooled.precision == everything.tp / everything.predicted
    assert pooled.recall == everything.tp / everything.truth
    assert (pooled.roc_auc, pooled.pr_auc) == (ALL.roc_auc(), ALL.pr_auc())
    assert EVALUATION.area_bounds.roc_auc == ALL.roc_auc_bound()
    assert EVALUATION.area_bounds.pr_auc == ALL.pr_auc_bound()
    assert EVALUATION.calibration == calibration(ALL)
    assert EVALUATION.curves.roc == roc_curve(ALL)
    assert EVALUATION.curves.dice.y[49] == pytest.approx(pooled.dice)


def test_volume_scores_describe_patients() -> None:
    scores = [dice(Counts.total(v.counts)) for v in VOLUMES]
    found = EVALUATION.volume_dice
    assert (found.mean, found.median, found.min) == pytest.approx((np.mean(scores), np.median(scores), min(scores)))
    assert found.ci95 == bootstrap_interval(scores, samples=200)
    assert EVALUATION.volume_iou.mean == pytest.approx(np.mean([iou(Counts.total(v.counts)) for v in VOLUMES]))


def test_slice_scores_describe_slices_with_tumour_and_all_slices() -> None:
    tumour = [dice(each) for each in SLICES if each.truth]
    assert 0 < len(tumour) < len(SLICES)
    assert EVALUATION.slice_dice_all.mean == pytest.approx(np.mean([dice(each) for each in SLICES]))
    assert EVALUATION.slice_dice_tumour.mean == pytest.approx(np.mean(tumour))
    assert EVALUATION.slice_iou_all.mean == pytest.approx(np.mean([iou(each) for each in SLICES]))
    assert EVALUATION.slice_iou_tumour.mean == pytest.approx(np.mean([iou(each) for each in SLICES if each.truth]))
    assert (EVALUATION.slice_dice_all.n, EVALUATION.slice_dice_tumour.n) == (len(SLICES), len(tumour))
    sums = [sum(map(dice, v.counts)) for v in VOLUMES]
    assert EVALUATION.slice_dice_all.ci95 == pytest.approx(
        bootstrap_ratio(sums, [len(v.counts) for v in VOLUMES], samples=200)
    )


def test_patients_and_sites_are_listed_with_their_own_scores() -> None:
    assert [patient.id for patient in EVALUATION.patients] == list(NAMES)
    for patient, each in zip(EVALUATION.patients, VOLUMES, strict=True):
        assert patient.counts == Counts.total(each.counts)
        assert patient.n_slices == len(each.images)
        assert patient.dice == dice(patient.counts)
        assert patient.slice_dice_all == pytest.approx(np.mean([dice(one) for one in each.counts]))
    assert [(site.site, site.n_patients) for site in EVALUATION.sites] == [("", 1), ("CS", 2), ("DU", 1), ("HT", 3)]
    both = [Counts.total(VOLUMES[i].counts) for i in (0, 2)]
    assert EVALUATION.sites[1].pooled_dice == dice(Counts.total(both))
    assert EVALUATION.sites[1].volume_dice == pytest.approx((dice(both[0]) + dice(both[1])) / 2)


def test_detection_counts_slices_as_wholes() -> None:
    found = EVALUATION.detection
    assert found.tumour_slices + found.healthy_slices == EVALUATION.n_slices == len(SLICES)
    assert found.tumour_slices == sum(each.truth > 0 for each in SLICES)
    assert found.missed == sum(each.truth > 0 == each.predicted for each in SLICES)
    assert found.false_alarms == sum(each.predicted > 0 == each.truth for each in SLICES)


def test_pooled_intervals_draw_patients_and_hold_the_score() -> None:
    intervals, counts = EVALUATION.pooled_ci95, [Counts.total(v.counts) for v in VOLUMES]
    assert intervals.dice == bootstrap_pooled(counts, dice, samples=200)
    parts = [Histogram.of(flat([v.probabilities]), flat([list(v.truths)])) for v in VOLUMES]
    assert intervals.roc_auc == pytest.approx(bootstrap_pooled(parts, Histogram.roc_auc, samples=200), abs=1e-3)
    assert intervals.pr_auc == pytest.approx(bootstrap_pooled(parts, Histogram.pr_auc, samples=200), abs=2e-3)
    for name in ("dice", "iou", "precision", "recall", "f1", "roc_auc", "pr_auc"):
        low, high = getattr(intervals, name)
        assert low <= getattr(EVALUATION.pooled, name) <= high


def whole(name: str, seed: int, *, share: float = 0.1) -> Volume:
    """A patient whose slices have one size, so that they are a volume."""
    return volume(name, seed, [(16, 16)] * 6, share)


def arrays(each: Volume) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return np.stack(each.masks), np.stack(each.truths) > 0


PATIENTS = [whole(f"p{seed}", seed) for seed in range(7)]
IN_MM = evaluate(
    (each.case() for each in PATIENTS), predict, threshold=THRESHOLD, samples=200, spacing_mm=(0.5, 0.5, 4.0)
)


def test_surfaces_lesions_and_volumes_are_those_of_each_patients_arrays() -> None:
    for patient, each in zip(IN_MM.patients, PATIENTS, strict=True):
        mask, truth = arrays(each)
        assert patient.surface is not None
        assert patient.lesions is not None
        assert patient.volume is not None
        pixels, mm = surface_distances(mask, truth), surface_distances(mask, truth, spacing=(4.0, 0.5, 0.5))
        assert (patient.surface.hd95_px, patient.surface.hd95_mm) == (pixels.hd95(), mm.hd95())
        assert (patient.surface.assd_px, patient.surface.nsd_mm) == (pixels.assd(), mm.nsd(2.0))
        lesions = lesion_counts(mask, truth, voxel_volume=1.0)
        assert (patient.lesions.dice, patient.lesions.false) == (lesions.dice(), lesions.false)
        error = int(mask.sum()) - int(truth.sum())
        assert patient.volume.error_px == error
        assert patient.volume.error_ml == pytest.approx(error / 1000)
        assert patient.volume.error_relative == pytest.approx(error / truth.sum())
        assert patient.missing == ()


def test_they_are_described_over_patients() -> None:
    surface, lesions, errors = IN_MM.surface, IN_MM.lesions, IN_MM.volume_error
    assert surface is not None
    assert lesions is not None
    assert errors is not None
    values = [patient.surface.hd95_px for patient in IN_MM.patients if patient.surface and patient.surface.hd95_px]
    found = surface.hd95_px
    assert (found.mean, found.median) == pytest.approx((np.mean(values), np.median(values)))
    assert (found.min, found.max, found.n, found.n_undefined) == (min(values), max(values), 7, 0)
    assert found.ci95 == bootstrap_interval(values, samples=200)
    assert lesions.least_volume_unit == "mm3"
    assert lesions.missed == sum(patient.lesions.missed or 0 for patient in IN_MM.patients if patient.lesions)
    px = [float(patient.volume.error_px) for patient in IN_MM.patients if patient.volume]
    assert errors.px.bias == pytest.approx(np.mean(px))
    assert errors.px.bias_ci95 == bootstrap_interval(px, samples=200)
    assert errors.px.limits == pytest.approx(
        (np.mean(px) - 1.96 * np.std(px, ddof=1), np.mean(px) + 1.96 * np.std(px, ddof=1))
    )
    assert errors.ml is not None
    assert errors.ml.bias == pytest.approx(errors.px.bias / 1000)
    assert IN_MM.missing == ()


def test_an_empty_mask_has_no_distance_is_in_no_mean_and_is_counted() -> None:
    empty = Volume("none", PATIENTS[0].images, tuple(np.zeros_like(truth) for truth in PATIENTS[0].truths))
    found = evaluate([PATIENTS[1].case(), empty.case()], predict, threshold=THRESHOLD)
    assert found.surface is not None
    assert (found.surface.hd95_px.n, found.surface.hd95_px.n_undefined) == (1, 1)
    patient = found.patients[1]
    assert patient.surface is not None
    assert (patient.surface.hd95_px, patient.surface.nsd_px) == (None, 0.0)
    reasons = {figure: each.reason for each in patient.missing for figure in each.figures}
    assert reasons["surface.hd95_px"] == reasons["volume.error_relative"] == "the truth is empty"


def test_patients_that_are_no_volume_say_so() -> None:
    for patient in (each for each in EVALUATION.patients if each.n_slices > 5):  # slices of two sizes
        assert patient.surface is not None
        assert patient.surface.hd95_px is None
        assert patient.missing[0].reason == "the patient's slices differ in size"
    gap = Case(
        "p", ((n, i, t) for n, (i, t) in enumerate(zip(PATIENTS[0].images, PATIENTS[0].truths, strict=True)) if n != 2)
    )
    found = evaluate([gap], predict, threshold=THRESHOLD, spacing_mm=(1.0, 1.0, 1.0))
    assert "missing" in found.patients[0].missing[0].reason
    assert {"lesions.f1", "volume.error_ml", "surface.nsd_mm"} <= set(found.patients[0].missing[0].figures)
    assert found.lesions is not None
    assert found.lesions.f1.mean is None


def test_every_figure_that_is_missing_has_a_reason() -> None:
    """Every null of the JSON is named, or lies below one that is; what a caller did not say is no figure."""
    few = evaluate([each.case() for each in PATIENTS[:2]], predict, threshold=THRESHOLD)
    for found in (few, EVALUATION, IN_MM):
        document = found.to_json()
        named = {figure for each in found.missing for figure in each.figures}
        nulls = {place for place in _nulls(document) if not place.startswith("patients.")}
        unnamed = {place for place in nulls if not any(f"{place}.".startswith(f"{figure}.") for figure in named)}
        assert unnamed <= {"predictions", "spacing_mm"}
        given = {figure for figure in named if isinstance(_at(document, figure), (int, float, list))}
        assert not given


def _nulls(value: Any, place: str = "") -> list[str]:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return [each for key, item in value.items() for each in _nulls(item, f"{place}.{key}".lstrip("."))]
    return [place] if value is None else []


def _at(value: Any, place: str) -> Any:  # noqa: ANN401 - any JSON
    for key in place.split("."):
        value = value[key]
    return value


def test_one_patient_is_described_and_nothing_is_promised_of_others() -> None:
    found = evaluate([PATIENTS[0].case()], predict, threshold=THRESHOLD)
    assert found.volume_dice.mean == found.patients[0].dice
    assert found.volume_dice.ci95 is None
    reasons = {figure: each.reason for each in found.missing for figure in each.figures}
    assert reasons["volume_dice.ci95"] == "1 patient: a 95 % interval needs at least 6"


def test_memory_does_not_grow_with_patients() -> None:
    def peak(patients: int) -> int:
        cases = (whole(f"p{seed}", seed).case() for seed in range(patients))
        tracemalloc.start()
        evaluate(cases, predict, threshold=THRESHOLD, samples=10)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(2)
    kept = 12_000 + 8_000  # of each patient: a histogram, scores
    assert peak(60) < peak(10) + 50 * kept


def test_records_of_earlier_versions_are_read() -> None:
    old = EVALUATION.to_json()
    for key in ("predictions", "spacing_mm", "surface", "lesions", "volume_error", "missing"):
        del old[key]
    for patient in old["patients"]:  # type: ignore[union-attr]
        for key in ("surface", "lesions", "volume", "missing"):
            del patient[key]  # type: ignore[union-attr, arg-type]
    found = Evaluation.from_json(json.loads(json.dumps(old)))
    assert (found.pooled, found.surface, found.missing) == (EVALUATION.pooled, None, ())


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_the_result_does_not_depend_on_the_batch(batch: int) -> None:
    again = evaluate(
        [each.case() for each in VOLUMES],
        predict,
        threshold=THRESHOLD,
        provider="cpu",
        variant="fp32",
        samples=200,
        batch=batch,
    )
    assert again == EVALUATION


def test_the_model_gets_neighbouring_slices_of_one_size_in_order() -> None:
    seen: list[NDArray[np.uint8]] = []

    def watch(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        seen.append(images)
        return predict(images)

    evaluate([VOLUMES[0].case()], watch, threshold=THRESHOLD, batch=4)
    assert [images.shape for images in seen] == [(4, 16, 16, 3), (1, 16, 16, 3), (2, 16, 24, 3), (4, 16, 16, 3)]
    passed = [image for images in seen for image in images]
    assert all((a == b).all() for a, b in zip(passed, VOLUMES[0].images, strict=True))


def test_each_patient_is_told_before_the_next_is_read() -> None:
    events: list[str] = []

    def cases() -> Iterator[Case]:
        for each in VOLUMES:
            events.append(f"read {each.name}")
            yield each.case()

    def told(patient: PatientScores) -> None:
        events.append(f"told {patient.id}")

    evaluate(cases(), predict, threshold=THRESHOLD, on_patient=told)
    assert events == [f"{what} {name}" for name in NAMES for what in ("read", "told")]


def test_memory_does_not_grow_with_slices() -> None:
    def peak(slices: int) -> int:
        image, truth = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
        cases = [Case("p", ((n, image.copy(), truth.copy()) for n in range(slices)))]
        tracemalloc.start()
        evaluate(cases, predict, threshold=THRESHOLD, batch=8)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(8)  # edges of bins are computed once
    assert peak(400) < peak(40) + 50_000


def test_without_tumour_masks_agree_and_what_is_undefined_is_null() -> None:
    empty = Volume("a", (np.zeros((16, 16, 3), np.uint8),), (np.zeros((16, 16), np.uint8),))
    found = json.loads(json.dumps(evaluate([empty.case()], predict, threshold=THRESHOLD).to_json(), allow_nan=False))
    assert found["pooled"] == {
        "dice": 1.0,
        "iou": 1.0,
        "precision": None,
        "recall": None,
        "f1": 1.0,
        "roc_auc": None,
        "pr_auc": None,
    }
    assert found["volume_dice"] == {"mean": 1.0, "median": 1.0, "min": 1.0, "ci95": None}
    assert found["slice_dice_tumour"] == {"mean": None, "ci95": None, "n": 0}
    assert found["slice_dice_all"] == {"mean": 1.0, "ci95": None, "n": 1}
    assert found["pooled_ci95"]["dice"] is None
    assert found["curves"]["roc"] == {"x": [], "y": []}


def test_json_holds_the_agreed_keys_and_reads_back_equal() -> None:
    found = json.loads(json.dumps(EVALUATION.to_json(), allow_nan=False))
    assert (found["n_patients"], found["n_slices"], found["threshold"]) == (7, len(SLICES), 0.5)
    assert (found["provider"], found["variant"], found["resolution"]) == ("cpu", "fp32", "native")
    assert set(found["pooled"]) == {"dice", "iou", "precision", "recall", "f1", "roc_auc", "pr_auc"}
    assert set(found["volume_dice"]) == {"mean", "median", "min", "ci95"}
    assert {"mean", "ci95"} <= set(found["slice_dice_tumour"])
    assert {"mean", "ci95"} <= set(found["slice_dice_all"])
    assert {"id", "n_slices", "dice", "iou"} <= set(found["patients"][0])
    assert Evaluation.from_json(found) == EVALUATION


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["more"], 1),
        (["pooled", "more"], 1),
        (["pooled"], 3),
        (["n_slices"], 1.5),
        (["n_slices"], True),
        (["threshold"], "high"),
        (["pooled", "dice"], None),
        (["volume_dice", "ci95"], [0.1]),
        (["patients"], {}),
        (["patients", 0, "counts", "tp"], "many"),
    ],
)
def test_json_that_does_not_fit_is_refused_by_the_name_of_its_place(path: list[str | int], value: object) -> None:
    found = json.loads(json.dumps(EVALUATION.to_json()))
    place = found
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(DataError, match="evaluation"):
        Evaluation.from_json(found)


def test_json_that_lacks_a_key_is_refused() -> None:
    found = EVALUATION.to_json()
    del found["pooled"]
    with pytest.raises(DataError, match="lacks keys"):
        Evaluation.from_json(found)


def test_nothing_to_evaluate_is_an_error() -> None:
    with pytest.raises(DataError, match="no slices to evaluate"):
        evaluate([], predict, threshold=THRESHOLD)
    with pytest.raises(DataError, match="patient a cannot be evaluated"):
        evaluate([Case("a", [])], predict, threshold=THRESHOLD)
    with pytest.raises(DataError, match="twice"):
        evaluate([VOLUMES[0].case(), VOLUMES[0].case()], predict, threshold=THRESHOLD)


def test_a_truth_of_another_size_than_its_image_is_an_error() -> None:
    whole = Volume("a", VOLUMES[0].images[:3], (*VOLUMES[0].truths[:2], VOLUMES[0].truths[2][1:]))
    with pytest.raises(ImageError, match="differ in size"):
        evaluate([whole.case()], predict, threshold=THRESHOLD)


def test_a_model_that_returns_nonsense_is_an_error_not_a_score() -> None:
    def wrong_size(images: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
        return tuple(each[:, 1:] for each in predict(images))  # type: ignore[return-value]

    def not_binary(images: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
        return predict(images)[0] * np.uint8(255), predict(images)[1]

    def not_a_number(images: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
        return predict(images)[0], predict(images)[1] * np.float32(math.nan)

    with pytest.raises(DataError, match="another size"):
        evaluate([VOLUMES[0].case()], wrong_size, threshold=THRESHOLD)
    for model in (not_binary, not_a_number):
        with pytest.raises(ImageError):
            evaluate([VOLUMES[0].case()], model, threshold=THRESHOLD)
