"""The report on a data set, against counts made from the files by other means."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from brainseg_runtime.errors import DatasetError
from brainseg_train.data.check import check
from brainseg_train.data.dataset import load_dataset
from brainseg_train.data.slices import find_slices
from brainseg_train.phantom.patients import write_phantom

FIRST, SECOND = "TCGA_P1_0001_20000101", "TCGA_P2_0002_20000101"
ONE_MISSING, BOTH_MISSING = "TCGA_P3_0004_20000101", "TCGA_P2_0012_20000101"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve patients: one lacks post-contrast, one lacks both sequences."""
    return write_phantom(tmp_path_factory.mktemp("check") / "set", patients=12, seed=2, slices=(3, 5), side=48)


@pytest.fixture
def patients(pristine: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(pristine, tmp_path / "set"))


def rewrite(path: Path, pixels: NDArray[np.uint8]) -> None:
    tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")


def test_counts_are_those_of_the_files(pristine: Path) -> None:
    report = check(pristine)
    masks = {path: tifffile.imread(path) for path in pristine.glob("*/*_mask.tif")}
    assert report.n_slices == len(masks)
    assert report.n_tumour_slices == sum(bool(mask.any()) for mask in masks.values())
    assert report.size == (48, 48)
    for patient in report.patients:
        own = [mask for path, mask in masks.items() if path.parent.name == patient.id]
        assert patient.n_slices == len(own)
        assert patient.n_tumour_slices == sum(bool(mask.any()) for mask in own)
        assert patient.tumour_pixels == sum(np.count_nonzero(mask) for mask in own)
        assert patient.burden == pytest.approx(np.mean([mask == 255 for mask in own]))


def test_sites_sum_their_patients_up(pristine: Path) -> None:
    report = check(pristine)
    assert [site.site for site in report.sites] == ["P1", "P2", "P3", "P4"]
    for site in report.sites:
        own = [patient for patient in report.patients if f"_{site.site}_" in patient.id]
        assert site.n_patients == len(own)
        assert site.n_slices == sum(patient.n_slices for patient in own)
        assert site.n_tumour_slices == sum(patient.n_tumour_slices for patient in own)
        assert site.burden == pytest.approx(np.mean([patient.burden for patient in own]))


def test_intensities_are_those_of_the_files(pristine: Path) -> None:
    for patient in check(pristine).patients:
        volume = np.stack([tifffile.imread(p) for p in (pristine / patient.id).glob("*.tif") if "_mask" not in p.name])
        for channel, intensity in enumerate(patient.intensity.values()):
            assert (intensity.min, intensity.max) == (volume[..., channel].min(), volume[..., channel].max())
            assert intensity.mean == pytest.approx(volume[..., channel].mean(), abs=5e-4)


def test_the_digest_is_the_one_that_training_records(pristine: Path, tmp_path: Path) -> None:
    assert check(pristine).digest == load_dataset(pristine, cache=tmp_path / "cache").digest


def test_missing_sequences_are_found_by_pixels(pristine: Path) -> None:
    report = check(pristine)
    assert report.missing("post-contrast") == (BOTH_MISSING, ONE_MISSING)
    assert report.missing("pre-contrast") == (BOTH_MISSING,)
    assert report.single_repeats == ()


def test_a_single_slice_that_repeats_flair_is_told_apart_from_a_missing_sequence(patients: Path) -> None:
    path = patients / FIRST / f"{FIRST}_2.tif"
    pixels = tifffile.imread(path)
    pixels[..., 0] = pixels[..., 1]
    rewrite(path, pixels)
    report = check(patients)
    assert report.single_repeats == ((f"{FIRST}_2", "pre-contrast"),)
    assert FIRST not in report.missing("pre-contrast")


def test_slices_that_repeat_flair_are_counted_once_and_the_first_ten_named(patients: Path) -> None:
    paths = [path for path in sorted(patients.glob("*/*.tif")) if "_mask" not in path.name]
    for path in paths:
        pixels = tifffile.imread(path)
        if path != paths[0] and (pixels.max(axis=(0, 1)) > 0).all() and not path.name.endswith("_1.tif"):
            pixels[..., 0] = pixels[..., 2] = pixels[..., 1]
            rewrite(path, pixels)
    report = check(patients)
    slices = {key for key, _ in report.single_repeats}
    assert len(report.single_repeats) > len(slices) > 10
    line = next(line for line in report.to_text().splitlines() if line.startswith("FLAIR repeated"))
    assert line.startswith(f"FLAIR repeated in {len(slices)} single slices: ")
    assert "(pre-contrast, post-contrast)" in line
    assert line.endswith(f" and {len(slices) - 10} more")


def test_a_blank_slice_is_counted_and_neither_hides_nor_makes_a_missing_sequence(patients: Path) -> None:
    for patient in (FIRST, SECOND, ONE_MISSING):
        path = patients / patient / f"{patient}_1.tif"
        rewrite(path, np.zeros_like(tifffile.imread(path)))
    report = check(patients)
    assert {p.id: p.n_blank_slices for p in report.patients if p.n_blank_slices} == {
        FIRST: 1,
        SECOND: 1,
        ONE_MISSING: 1,
    }
    assert report.missing("post-contrast") == (BOTH_MISSING, ONE_MISSING)
    assert report.single_repeats == ()
    assert report.duplicates == ()


def test_slices_that_two_patients_share_are_named(patients: Path) -> None:
    shutil.copy(patients / FIRST / f"{FIRST}_3.tif", patients / SECOND / f"{SECOND}_1.tif")
    shutil.copy(patients / FIRST / f"{FIRST}_1.tif", patients / FIRST / f"{FIRST}_2.tif")
    report = check(patients)
    assert report.duplicates == ((f"{FIRST}_3", f"{SECOND}_1"),)
    assert f"{FIRST}_3 = {SECOND}_1" in report.to_text()


def test_many_of_a_kind_are_counted_and_the_first_ten_named(pristine: Path) -> None:
    groups = tuple((f"a_{number}", f"b_{number}") for number in range(23))
    report = dataclasses.replace(check(pristine), duplicates=groups)
    assert "23 slices shared by several patients: a_0 = b_0, " in report.to_text()
    assert "a_9 = b_9 and 13 more" in report.to_text()
    assert report.to_json()["duplicates"] == [list(group) for group in groups]


def test_a_person_who_was_examined_twice_is_told(patients: Path) -> None:
    again = FIRST.replace("20000101", "20010101")
    for path in sorted((patients / FIRST).iterdir()):
        path.rename(path.with_name(path.name.replace(FIRST, again)))
    (patients / FIRST).rename(patients / again)
    shutil.copytree(patients / SECOND, patients / FIRST)
    for path in sorted((patients / FIRST).iterdir()):
        path.rename(path.with_name(path.name.replace(SECOND, FIRST)))
    report = check(patients)
    assert report.persons_with_several == {"TCGA_P1_0001": (FIRST, again)}
    value = report.to_json()
    assert value["n_persons"] == len(report.persons) == 12
    assert value["persons_with_several"] == ["TCGA_P1_0001"]
    assert json.loads(json.dumps(value))["persons"][0] == {"id": "TCGA_P1_0001", "examinations": [FIRST, again]}
    assert "12 persons, 1 with several examinations: TCGA_P1_0001 (2)" in report.to_text()


def test_results_of_an_earlier_run_are_left_out_and_told(patients: Path) -> None:
    before = check(patients).digest
    results = patients / "predictions"
    results.mkdir()
    shutil.copy(patients / FIRST / f"{FIRST}_1_mask.tif", results)
    (results / "predictions.json").write_text("{}")
    report = check(patients)
    assert report.digest == before
    assert len(report.left_out) == 1
    assert report.left_out[0].startswith(f"left out: {results} holds masks without images")
    assert report.left_out[0] in report.to_text()


def test_own_names_are_checked_cached_and_told_apart(patients: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    for number, name in enumerate((FIRST, SECOND)):
        (own / f"case {number}").mkdir(parents=True)
        for path in sorted((patients / name).iterdir()):
            shutil.copy(path, own / f"case {number}" / path.name.replace(f"{name}_", "slice_"))
    report = check(own)
    assert [patient.id for patient in report.patients] == ["case 0", "case 1"]
    assert [site.site for site in report.sites] == [""]
    loaded = load_dataset(own, cache=tmp_path / "cache")
    assert loaded.digest == report.digest
    keys = [ref.key for ref in loaded.slices]
    assert keys[0] == "case 0/slice_1"
    assert len(set(keys)) == len(keys)


def test_a_faulty_set_gives_no_report_but_every_fault(patients: Path) -> None:
    (patients / FIRST / f"{FIRST}_1_mask.tif").unlink()
    truncated = patients / SECOND / f"{SECOND}_2.tif"
    truncated.write_bytes(truncated.read_bytes()[:1000])
    with pytest.raises(DatasetError) as caught:
        check(patients)
    text = str(caught.value)
    assert f"{FIRST}_1.tif" in text
    assert str(truncated) in text


def test_json_holds_the_promised_keys_and_survives_the_way_out(pristine: Path) -> None:
    report = check(pristine)
    value = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert list(value) == [
        "data",
        "digest",
        "size",
        "n_patients",
        "n_slices",
        "n_tumour_slices",
        "burden",
        "sites",
        "patients",
        "n_persons",
        "persons",
        "persons_with_several",
        "missing_sequences",
        "repeated_slices",
        "duplicates",
        "left_out",
    ]
    assert value["n_patients"] == len(value["patients"]) == 12
    assert set(value["patients"][0]["intensity"]) == {"pre-contrast", "FLAIR", "post-contrast"}
    burdens = [patient["burden"] for patient in value["patients"]]
    assert value["burden"] == {
        "mean": pytest.approx(np.mean(burdens)),
        "median": pytest.approx(np.median(burdens)),
        "min": min(burdens),
        "max": max(burdens),
    }
    assert value["missing_sequences"] == {
        "pre-contrast": [BOTH_MISSING],
        "post-contrast": [BOTH_MISSING, ONE_MISSING],
    }


def test_the_table_names_every_patient_in_full(tmp_path: Path) -> None:
    root = write_phantom(tmp_path / "set", patients=2, slices=(1, 1), side=32)
    long = "TCGA_P1_" + "0123456789" * 8 + "_20000101"
    for path in sorted((root / FIRST).iterdir()):
        path.rename(path.with_name(path.name.replace(FIRST, long)))
    (root / FIRST).rename(root / long)
    lines = check(root).to_text().splitlines()
    assert sum(line.startswith(f"{long}  P1") for line in lines) == 1
    assert sum(line.startswith(f"{SECOND} ") for line in lines) == 1


@pytest.mark.real
def test_what_is_known_of_the_real_set(real_patients: Path) -> None:
    """Of the 110 published patients pre-contrast is missing in 6 and post-contrast in 10; a part cannot hold more."""
    report = check(real_patients)
    _, slices = find_slices(real_patients)
    assert report.n_slices == len(slices) <= 3929
    assert report.size == (256, 256)
    assert report.n_tumour_slices <= 1373
    assert report.duplicates == ()
    assert all(patient.tumour_pixels for patient in report.patients)
    assert {site.site for site in report.sites} <= {"CS", "DU", "EZ", "FG", "HT"}
    pre, post = set(report.missing("pre-contrast")), set(report.missing("post-contrast"))
    assert pre <= PRE_MISSING
    assert post <= POST_MISSING
    if len(report.patients) >= 94:
        assert (pre, post) == (PRE_MISSING, POST_MISSING)
        assert len(report.single_repeats) >= 7


PRE_MISSING = {
    "TCGA_DU_7013_19860523",
    "TCGA_FG_A60K_20040224",
    "TCGA_HT_7877_19980917",
    "TCGA_HT_8105_19980826",
    "TCGA_HT_A616_19991226",
    "TCGA_HT_A61B_19991127",
}
POST_MISSING = PRE_MISSING | {
    "TCGA_DU_6407_19860514",
    "TCGA_DU_7301_19911112",
    "TCGA_DU_8165_19970205",
    "TCGA_FG_7634_20000128",
}
