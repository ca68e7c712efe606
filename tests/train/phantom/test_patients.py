"""The phantom: the same bytes from the same seed, the promised layout, and neither trivial nor hopeless to segment."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.interpolate import BSpline

from brainseg_train.config import TrainConfig, preset
from brainseg_train.data.check import check
from brainseg_train.data.dataset import load_dataset
from brainseg_train.data.splitting import make_split
from brainseg_train.errors import PhantomError
from brainseg_train.models import NAMES
from brainseg_train.phantom.anatomy import smooth_field
from brainseg_train.phantom.patients import MARK, PhantomPatient, make_patient, write_phantom
from brainseg_train.runs.fit import fit

FLAIR = 1


@pytest.fixture(scope="module")
def patients() -> list[PhantomPatient]:
    return [make_patient(index, 0, slices=(12, 20), side=128) for index in range(24)]


def files(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    first = write_phantom(tmp_path / "a", patients=3, seed=7, slices=(2, 4), side=64)
    again = write_phantom(tmp_path / "b", patients=3, seed=7, slices=(2, 4), side=64)
    assert files(first) == files(again)


def test_another_process_with_other_threads_gives_the_same_bytes() -> None:
    code = (
        "import hashlib; from brainseg_train.phantom.patients import make_patient; "
        "p = make_patient(3, 11, slices=(4, 4)); "
        "print(hashlib.sha256(p.images.tobytes() + p.masks.tobytes()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "PYTHONHASHSEED": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for threads in ("1", "2")
    }
    patient = make_patient(3, 11, slices=(4, 4))
    assert digests == {hashlib.sha256(patient.images.tobytes() + patient.masks.tobytes()).hexdigest()}


def test_a_larger_phantom_begins_with_the_smaller_ones_patients(tmp_path: Path) -> None:
    small = files(write_phantom(tmp_path / "small", patients=2, slices=(2, 3), side=32))
    large = files(write_phantom(tmp_path / "large", patients=4, slices=(2, 3), side=32))
    del small[MARK]
    assert small.items() <= large.items()


def test_seeds_and_patients_differ() -> None:
    drawn = [make_patient(index, seed, slices=(4, 4), side=64) for index in (0, 2) for seed in (0, 1)]
    assert len({patient.images.tobytes() for patient in drawn}) == 4
    assert len({patient.masks.tobytes() for patient in drawn}) == 4


def test_the_check_finds_no_fault_and_the_promised_contents(tmp_path: Path) -> None:
    root = write_phantom(tmp_path / "set", patients=2, seed=3)
    report = check(root)
    assert report.size == (256, 256)
    assert report.duplicates == ()
    for patient in report.patients:
        assert 20 <= patient.n_slices <= 40
        assert 0 < patient.n_tumour_slices < patient.n_slices


def test_files_are_as_the_real_ones_are(tmp_path: Path) -> None:
    root = write_phantom(tmp_path / "set", patients=1, slices=(2, 2))
    name = "TCGA_P1_0001_20000101"
    assert sorted(files(root)) == [
        f"{name}/{name}_1.tif",
        f"{name}/{name}_1_mask.tif",
        f"{name}/{name}_2.tif",
        f"{name}/{name}_2_mask.tif",
        MARK,
    ]
    image, mask = (tifffile.imread(root / name / f"{name}_1{end}.tif") for end in ("", "_mask"))
    assert image.shape == (256, 256, 3)
    assert mask.shape == (256, 256)
    assert image.dtype == mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 255}


def test_four_sites_have_their_own_contrast_and_noise(patients: list[PhantomPatient]) -> None:
    """Air is pure noise, so its mean over the full scale grows with a site's noise; contrast shows in the median."""
    by_site: dict[str, list[tuple[float, float]]] = {}
    for patient in patients:
        flair = patient.images[..., FLAIR].astype(float)
        by_site.setdefault(patient.id.split("_")[1], []).append((flair[:, :6, :6].mean(), np.median(flair[flair > 60])))
    assert {site: len(rows) for site, rows in by_site.items()} == {"P1": 10, "P2": 7, "P3": 5, "P4": 2}
    noise = {site: np.mean([row[0] for row in rows]) for site, rows in by_site.items()}
    assert noise["P1"] < noise["P2"] < noise["P4"]
    assert noise["P1"] < noise["P3"]


def test_noise_is_rician(patients: list[PhantomPatient]) -> None:
    """Where there is no signal the magnitude is Rayleigh-distributed: mean over deviation is sqrt(pi / (4 - pi))."""
    air = np.concatenate([p.images[:, :8, :8, 0].ravel().astype(float) for p in patients if "_P4_" in p.id])
    assert air.mean() / air.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.05)


def test_some_patients_lack_a_sequence_and_flair_stands_in(patients: list[PhantomPatient]) -> None:
    lacks = {
        channel: [bool((p.images[..., channel] == p.images[..., FLAIR]).all()) for p in patients] for channel in (0, 2)
    }
    assert [index for index, lacking in enumerate(lacks[2]) if lacking] == [3, 11, 19]
    assert [index for index, lacking in enumerate(lacks[0]) if lacking] == [11]


def test_tumours_vary_in_size_and_slices_without_tumour_are_common(patients: list[PhantomPatient]) -> None:
    sizes = [int(patient.masks.sum()) for patient in patients]
    assert min(sizes) > 0
    assert max(sizes) > 8 * min(sizes)
    empty = np.concatenate([~patient.masks.any(axis=(1, 2)) for patient in patients])
    assert 0.3 < empty.mean() < 0.8


def test_tumours_are_bright_on_flair_and_some_enhance(patients: list[PhantomPatient]) -> None:
    gain = []
    for patient in patients:
        inside = patient.masks.astype(bool)
        pre, flair, post = np.moveaxis(patient.images.astype(float), -1, 0)
        assert flair[inside].mean() > flair[(flair > 40) & ~inside].mean()
        gain.append(np.quantile((post - pre)[inside], 0.95))
    enhancing = np.mean(np.array(gain) > 80)
    assert 0.2 < enhancing < 0.8


def best_threshold_dice(patients: list[PhantomPatient]) -> float:
    """The pooled Dice of the one FLAIR threshold that does best on these very pixels."""
    counts = np.zeros((2, 256), dtype=np.int64)
    for patient in patients:
        for truth in (0, 1):
            counts[truth] += np.bincount(patient.images[..., FLAIR][patient.masks == truth], minlength=256)
    false_positive, true_positive = (side[::-1].cumsum() for side in counts)
    return float((2 * true_positive / (true_positive + false_positive + counts[1].sum())).max())


def test_no_global_threshold_on_flair_reaches_half(patients: list[PhantomPatient]) -> None:
    assert best_threshold_dice(patients) < 0.5


def test_nor_does_one_where_scalp_and_skull_are_taken_away(patients: list[PhantomPatient]) -> None:
    """What is bright and no tumour lies inside the brain too."""
    side = patients[0].images.shape[1]
    y, x = np.meshgrid(*[(np.arange(side) + 0.5) / side * 2 - 1] * 2, indexing="ij")
    middle = np.hypot(x / 0.5, y / 0.6) < 1
    inner = [dataclasses.replace(p, images=p.images[:, middle], masks=p.masks[:, middle]) for p in patients]
    lookalikes = sum(
        np.count_nonzero((p.masks == 0) & (p.images[..., FLAIR] > np.median(p.images[..., FLAIR][p.masks == 1])))
        for p in inner
    )
    assert lookalikes > 0.1 * sum(int(p.masks.sum()) for p in inner)
    assert best_threshold_dice(inner) < 0.75


def validation_dice(config: TrainConfig, patients: Path, folder: Path, *, rate: float = 2e-3) -> dict[str, float]:
    """What a network reaches on the phantom; the demo's rate unless told."""
    dataset = load_dataset(patients, cache=folder / "cache")
    config = dataclasses.replace(config, schedule="cosine", rate=rate, final_rate=1e-5)
    record = fit(config, dataset, make_split(dataset, 0), folder / "run")
    if record.best is None:
        pytest.fail("no epoch was completed")
    return dict(record.best.validation)


def test_a_small_network_reaches_three_quarters(tmp_path: Path) -> None:
    """Twenty seconds of one core: fewer and smaller patients than the demo's, more and larger steps an epoch."""
    root = write_phantom(tmp_path / "set", patients=24, slices=(20, 24), side=128)
    config = dataclasses.replace(preset("quick", "unet"), width=8, epochs=10, batch=8)
    reached = validation_dice(config, root, tmp_path, rate=4e-3)
    assert reached["dice_pooled"] > 0.75


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_demos_networks_reach_three_quarters(name: str, tmp_path: Path) -> None:
    """A minute of one core for each network."""
    reached = validation_dice(preset("quick", name), write_phantom(tmp_path / "set", patients=30), tmp_path)
    assert reached["dice_pooled"] > 0.75
    assert reached["dice"] > 0.75


def test_a_smooth_field_is_the_b_spline_of_its_coefficients() -> None:
    grid, shape = (3, 4, 5), (7, 9, 11)
    field = smooth_field(np.random.default_rng(3), grid, shape)
    coefficients = np.random.default_rng(3).standard_normal([cells + 3 for cells in grid])
    for axis, (cells, length) in enumerate(zip(grid, shape, strict=True)):
        knots = np.arange(-3, cells + 4)
        positions = (np.arange(length) + 0.5) / length * cells
        coefficients = np.moveaxis(BSpline(knots, np.moveaxis(coefficients, axis, 0), 3)(positions), 0, axis)
    np.testing.assert_allclose(field, coefficients, atol=1e-12)


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write_phantom(tmp_path / "set", patients=3, slices=(1, 1), side=32, on_patient=lambda *done: told.append(done))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_an_older_phantom_is_replaced_whole(tmp_path: Path) -> None:
    write_phantom(tmp_path / "set", patients=3, slices=(1, 1), side=32)
    write_phantom(tmp_path / "set", patients=1, slices=(1, 1), side=32)
    assert len([path for path in (tmp_path / "set").iterdir() if path.is_dir()]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("inside", [True, False])
def test_nothing_but_a_phantom_is_replaced(tmp_path: Path, inside: bool) -> None:
    target = tmp_path / "set"
    if inside:
        target.mkdir()
        (target / "thesis.txt").write_text("ten years of work")
    else:
        target.write_text("ten years of work")
    with pytest.raises(PhantomError, match="set"):
        write_phantom(target, patients=1, slices=(1, 1), side=32)
    assert (target / "thesis.txt" if inside else target).read_text() == "ten years of work"


def test_a_failure_halfway_leaves_the_older_phantom_untouched(tmp_path: Path) -> None:
    root = write_phantom(tmp_path / "set", patients=2, slices=(1, 1), side=32)
    before = files(root)

    def fail(done: int, _: int) -> None:
        raise KeyboardInterrupt(done)

    with pytest.raises(KeyboardInterrupt):
        write_phantom(root, patients=8, seed=1, slices=(1, 1), side=32, on_patient=fail)
    assert files(root) == before
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"patients": 0},
        {"patients": 10_000},
        {"patients": 1, "seed": -1},
        {"patients": 1, "slices": (0, 3)},
        {"patients": 1, "slices": (4, 3)},
        {"patients": 1, "side": 33},
        {"patients": 1, "side": 16},
        {"patients": 1, "side": 4096},
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_written(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(PhantomError):
        write_phantom(tmp_path / "set", **wrong)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
