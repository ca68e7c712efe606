"""Splits share nothing, are alike, and are the same everywhere, for any set of patients."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from brainseg_runtime.images import Patient
from brainseg_train.data.dataset import DataSet, load_dataset
from brainseg_train.data.leakage import check_leakage, shared_pixels
from brainseg_train.data.persons import PersonRule
from brainseg_train.data.slices import SliceRef
from brainseg_train.data.split import SUBSETS, Split
from brainseg_train.data.splitting import RARE_SITE, make_folds, make_split
from brainseg_train.errors import LeakageError, SplitError
from brainseg_train.phantom.patients import write_phantom

PATIENT_SLICES = 3


RECORDED = {"validation": [3, 7, 14], "test": [6, 13, 16]}
RECORDED_DIGEST = "1e0050547ea6eb0cefdd28cd710c50bdec402e1bbcd23f887d48f8b9a4d7f3c7"


@dataclass(frozen=True)
class Source:
    """Patients without files: sites, burdens and the pixels of three slices each, given as numbers (0 is blank)."""

    patients: tuple[Patient, ...]
    burden: NDArray[np.float64]
    pixels: tuple[int, ...]
    digest: str = "0" * 64

    @cached_property
    def slices(self) -> tuple[SliceRef, ...]:
        return tuple(
            SliceRef(
                patient=index, number=number, image=Path(patient.id, f"{patient.id}_{number}.tif"), mask=Path("none")
            )
            for index, patient in enumerate(self.patients)
            for number in range(1, PATIENT_SLICES + 1)
        )

    @cached_property
    def image_digests(self) -> NDArray[np.uint8]:
        rows = [hashlib.sha256(str(pixels).encode()).digest() for pixels in self.pixels]
        return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(-1, 32)

    @cached_property
    def blank(self) -> NDArray[np.bool_]:
        return np.array([pixels == 0 for pixels in self.pixels])


def make_source(sites: list[str], burdens: list[float] | None = None, pixels: list[int] | None = None) -> Source:
    count = len(sites)
    return Source(
        patients=tuple(
            Patient(id=f"TCGA_{site}_{index:04d}_20000101", site=site, slices=()) for index, site in enumerate(sites)
        ),
        burden=np.array(burdens if burdens is not None else np.linspace(0.001, 0.05, count)),
        pixels=tuple(pixels if pixels is not None else range(1, count * PATIENT_SLICES + 1)),
    )


SITES = ["CS"] * 14 + ["DU"] * 38 + ["EZ"] + ["FG"] * 12 + ["HT"] * 29
"""As in the 94 patients at hand."""


@st.composite
def sources(draw: st.DrawFn, *, fewest: int = 3, sharing: bool = False) -> Source:
    sites = draw(st.lists(st.sampled_from(["A", "B", "C", "D"]), min_size=fewest, max_size=60))
    seed = draw(st.integers(0, 2**32 - 1))
    burdens = np.random.default_rng(seed).lognormal(-5, 1, len(sites)).tolist()
    pixels = list(range(1, len(sites) * PATIENT_SLICES + 1))
    if sharing:  # at most four patients fall together into others, so that three stay apart
        for row in draw(st.lists(st.integers(0, len(pixels) - 1), max_size=4)):
            pixels[row] = draw(st.sampled_from([0, 1, 10, 20]))
    return make_source(sites, burdens, pixels)


@settings(max_examples=50)
@given(source=sources(), seed=st.integers(-(2**40), 2**40))
def test_every_patient_is_in_exactly_one_part(source: Source, seed: int) -> None:
    split = make_split(source, seed)
    listed = [name for part in SUBSETS for name in split.subset(part)]
    assert sorted(listed) == sorted(patient.id for patient in source.patients)
    rows = np.concatenate([split.indices(source, part) for part in SUBSETS])
    assert sorted(rows.tolist()) == list(range(len(source.slices)))


@settings(max_examples=50)
@given(source=sources(), seed=st.integers(0, 99))
def test_fifteen_percent_each_are_held_out(source: Source, seed: int) -> None:
    split = make_split(source, seed)
    expected = max(1, round(0.15 * len(source.patients)))
    assert (len(split.test), len(split.validation)) == (expected, expected)


@settings(max_examples=50)
@given(source=sources(), seed=st.integers(0, 99))
def test_without_a_test_part_its_patients_train_and_validation_stays(source: Source, seed: int) -> None:
    whole, kept = make_split(source, seed, test=False), make_split(source, seed)
    assert whole.test == ()
    assert whole.validation == kept.validation
    assert set(whole.train) == {*kept.train, *kept.test}
    assert whole.digest != kept.digest


@settings(max_examples=50)
@given(source=sources(fewest=20), seed=st.integers(0, 99))
def test_every_site_has_its_share_of_each_part_to_within_two_patients(source: Source, seed: int) -> None:
    counts = Counter(patient.site for patient in source.patients)
    pooled = {site: site if counts[site] >= RARE_SITE else "rare" for site in counts}
    site_of = {patient.id: pooled[patient.site] for patient in source.patients}
    totals = Counter(site_of.values())
    split = make_split(source, seed)
    for part in ("validation", "test"):
        got = Counter(site_of[name] for name in split.subset(part))
        for site, total in totals.items():
            assert abs(got[site] - total * len(split.subset(part)) / len(source.patients)) <= 2.0


@given(burdens=st.lists(st.floats(0, 0.1), min_size=14, max_size=60, unique=True), seed=st.integers(0, 99))
def test_held_out_burdens_are_spread_over_the_whole_range(burdens: list[float], seed: int) -> None:
    """With one site, each run of neighbours in burden gives one patient to either part."""
    source = make_source(["A"] * len(burdens), burdens)
    split = make_split(source, seed)
    burden_of = {patient.id: burden for patient, burden in zip(source.patients, burdens, strict=True)}
    runs = np.array_split(np.sort(burdens), len(split.test))
    for part in ("validation", "test"):
        held_out = sorted(burden_of[name] for name in split.subset(part))
        assert all(run[0] <= burden <= run[-1] for run, burden in zip(runs, held_out, strict=True))


@settings(max_examples=50)
@given(source=sources(fewest=8, sharing=True), seed=st.integers(0, 99))
def test_no_identical_pixels_lie_in_two_parts(source: Source, seed: int) -> None:
    split = make_split(source, seed)
    part_of = {name: part for part in SUBSETS for name in split.subset(part)}
    parts = [part_of[source.patients[ref.patient].id] for ref in source.slices]
    for first, second in combinations(range(len(parts)), 2):
        if source.pixels[first] == source.pixels[second] != 0:
            assert parts[first] == parts[second]
    check_leakage(split, source)


@settings(max_examples=50)
@given(source=sources(fewest=8, sharing=True), seed=st.integers(0, 99))
def test_the_same_seed_gives_the_same_split(source: Source, seed: int) -> None:
    first = make_split(source, seed)
    assert make_split(source, seed) == first
    assert make_split(source, seed).digest == first.digest


def test_another_seed_gives_another_split() -> None:
    source = make_source(SITES)
    assert len({make_split(source, seed).test for seed in range(20)}) == 20


def test_every_patient_is_drawn_for_test_about_as_often() -> None:
    source = make_source(SITES)
    drawn = Counter(name for seed in range(200) for name in make_split(source, seed).test)
    share = np.array([drawn[patient.id] for patient in source.patients]) / 200
    assert len(drawn) == len(SITES)
    assert np.abs(share - 14 / 94).max() < 0.11  # more than four standard deviations of 200 draws


def test_the_split_is_the_same_on_every_platform_and_in_every_version() -> None:
    """Recorded once: a change here changes what every recorded result was measured on."""
    split = make_split(make_source(["A"] * 10 + ["B"] * 10), seed=7)
    numbers = {part: [int(name.split("_")[2]) for name in split.subset(part)] for part in ("validation", "test")}
    assert numbers == RECORDED
    assert split.digest == RECORDED_DIGEST


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_parts_are_as_even_as_stratified_drawing_makes_them() -> None:
    """Against scikit-learn's classes of site and half of burden, and against drawing without any regard."""
    rng = np.random.default_rng(0)
    burdens = rng.lognormal(-5, 1, len(SITES))
    source = make_source(SITES, burdens.tolist())
    position = {patient.id: index for index, patient in enumerate(source.patients)}
    classes = [f"{site} {burden > np.median(burdens)}" for site, burden in zip(SITES, burdens, strict=True)]

    def unevenness(test: NDArray[np.intp]) -> tuple[float, float]:
        drawn = [SITES[index] for index in test]
        site = sum(abs(SITES.count(name) / len(SITES) - drawn.count(name) / len(drawn)) for name in set(SITES))
        return site, abs(float(np.log(burdens[test]).mean() - np.log(burdens).mean()))

    ours, stratified, blind = [], [], []
    for seed in range(30):
        ours.append(unevenness(np.array([position[name] for name in make_split(source, seed).test])))
        folds = StratifiedGroupKFold(n_splits=7, shuffle=True, random_state=seed)
        stratified.append(unevenness(next(iter(folds.split(np.zeros(94), classes, groups=np.arange(94))))[1]))
        blind.append(unevenness(np.random.default_rng(seed).choice(94, 14, replace=False)))
    (site, burden), (their_site, their_burden) = np.mean(ours, axis=0), np.mean(stratified, axis=0)
    blind_site, blind_burden = np.mean(blind, axis=0)
    assert burden < 0.6 * their_burden
    assert burden < 0.4 * blind_burden
    assert site < 0.5 * blind_site
    assert site < their_site + 1 / 14  # less than one patient of the 14 apart


@settings(max_examples=50)
@given(source=sources(fewest=8), k=st.integers(3, 8), seed=st.integers(0, 99))
def test_folds_test_every_patient_once_and_share_nothing(source: Source, k: int, seed: int) -> None:
    folds = make_folds(source, k, seed)
    tested = [name for split in folds for name in split.test]
    assert sorted(tested) == sorted(patient.id for patient in source.patients)
    sizes = [len(split.test) for split in folds]
    assert max(sizes) - min(sizes) <= 1
    for index, split in enumerate(folds):
        assert (split.fold, split.folds) == (index, k)
        assert split.validation == folds[(index + 1) % k].test
        assert {*split.train, *split.validation, *split.test} == set(tested)
    assert len({split.digest for split in folds}) == k


@pytest.mark.parametrize("k", [-1, 0, 1, 2, 11])
def test_an_impossible_number_of_folds_is_an_error(k: int) -> None:
    with pytest.raises(SplitError, match="3 to 10"):
        make_folds(make_source(["A"] * 10), k, 0)


@pytest.mark.parametrize("patients", [1, 2])
def test_too_few_patients_are_an_error(patients: int) -> None:
    with pytest.raises(SplitError, match="at least 3"):
        make_split(make_source(["A"] * patients), 0)


def test_patients_who_share_pixels_in_a_chain_stay_together() -> None:
    pixels = list(range(1, 61))
    pixels[5], pixels[17] = 1000, 1000  # patients 1 and 5
    pixels[15], pixels[40] = 2000, 2000  # patients 5 and 13
    source = make_source(["A"] * 20, pixels=pixels)
    assert shared_pixels(source) == ((5, 17), (15, 40))
    chain = {source.patients[index].id for index in (1, 5, 13)}
    for seed in range(20):
        split = make_split(source, seed)
        assert sum(chain <= set(split.subset(part)) for part in SUBSETS) == 1
        assert sum(chain <= set(fold.test) for fold in make_folds(source, 4, seed)) == 1


def test_identical_pixels_in_two_parts_are_an_error_that_names_both_slices() -> None:
    pixels = list(range(1, 31))
    source = make_source(["A"] * 10)
    split = make_split(source, 0)
    there, here = (
        next(i for i, patient in enumerate(source.patients) if patient.id in split.subset(part))
        for part in ("train", "test")
    )
    pixels[3 * there], pixels[3 * here + 2] = 500, 500
    leaking = make_source(["A"] * 10, pixels=pixels)
    with pytest.raises(LeakageError) as caught:
        check_leakage(split, leaking)
    assert f"{source.patients[there].id}_1 (train)" in str(caught.value)
    assert f"{source.patients[here].id}_3 (test)" in str(caught.value)


def test_equal_blank_slices_are_no_leak() -> None:
    pixels = [0 if row % 3 == 0 else row for row in range(30)]
    source = make_source(["A"] * 10, pixels=pixels)
    assert shared_pixels(source) == ()
    check_leakage(make_split(source, 0), source)


def test_a_patient_in_two_parts_is_an_error_that_names_the_patient() -> None:
    split = make_split(make_source(["A"] * 10), 0)
    with pytest.raises(LeakageError, match=split.test[0]):
        dataclasses.replace(split, train=(*split.train, split.test[0]))


def test_a_split_that_does_not_cover_its_set_is_an_error() -> None:
    source = make_source(["A"] * 10)
    split = make_split(source, 0)
    with pytest.raises(SplitError, match=split.train[0]):
        check_leakage(dataclasses.replace(split, train=split.train[1:]), source)
    with pytest.raises(SplitError, match="stranger"):
        check_leakage(dataclasses.replace(split, train=(*split.train, "stranger")), source)


def test_a_split_of_another_data_set_is_refused() -> None:
    split = make_split(make_source(["A"] * 10), 0)
    other = dataclasses.replace(make_source(["A"] * 10), digest="1" * 64)
    with pytest.raises(SplitError, match="another data set"):
        split.indices(other, "test")
    with pytest.raises(SplitError, match="another data set"):
        check_leakage(split, other)


@settings(max_examples=50)
@given(source=sources(), seed=st.integers(0, 99))
def test_a_split_by_slice_shares_no_slice_and_says_that_it_leaks(source: Source, seed: int) -> None:
    split = make_split(source, seed, split_by="slice")
    assert split.leaky
    assert split.to_json()["leaky"] is True
    rows = [set(split.indices(source, part).tolist()) for part in SUBSETS]
    assert sum(map(len, rows)) == len(set.union(*rows)) == len(source.slices)


def test_a_split_by_slice_tears_patients_apart_and_one_by_patient_does_not() -> None:
    source = make_source(["A"] * 20)
    by_slice, by_patient = make_split(source, 0, split_by="slice"), make_split(source, 0)
    assert not by_patient.leaky
    for split, torn in ((by_slice, True), (by_patient, False)):
        homes = [{source.slices[row].patient for row in split.indices(source, part)} for part in SUBSETS]
        assert bool(homes[0] & homes[2]) is torn


def test_an_unknown_way_to_split_is_an_error() -> None:
    split = make_split(make_source(["A"] * 4), 0)
    with pytest.raises(SplitError, match="pixel"):
        dataclasses.replace(split, split_by="pixel")  # type: ignore[arg-type]


@settings(max_examples=20)
@given(source=sources(fewest=5), seed=st.integers(0, 99), by_slice=st.booleans())
def test_a_saved_split_comes_back_the_same(
    source: Source, seed: int, by_slice: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("split") / "split.json"
    for split in (
        make_split(source, seed, split_by="slice" if by_slice else "patient"),
        make_folds(source, 4, seed)[2],
    ):
        split.save(path)
        assert Split.load(path) == split


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 8),
        ("seed", "7"),
        ("seed", True),
        ("split_by", "slice"),
        ("split_by", None),
        ("data_digest", "1" * 64),
        ("fold", 1),
        ("fold", 1.5),
        ("leaky", True),
        ("digest", "0" * 64),
        ("train", "TCGA_A_0000_20000101"),
        ("train", [1, 2]),
        ("test", []),
        ("extra", 1),
    ],
)
def test_a_changed_file_is_refused(tmp_path: Path, key: str, value: object) -> None:
    split = make_split(make_source(["A"] * 10), 7)
    path = tmp_path / "split.json"
    path.write_text(json.dumps({**split.to_json(), key: value}))
    with pytest.raises(SplitError):
        Split.load(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", "\xff"])
def test_a_file_that_is_no_split_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "split.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SplitError):
        Split.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match=r"gone\.json"):
        Split.load(tmp_path / "gone.json")


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    folder = tmp_path_factory.mktemp("split")
    root = write_phantom(folder / "set", patients=8, slices=(2, 3), side=32)
    return load_dataset(root, cache=folder / "cache")


def test_a_data_set_can_be_split(phantom: DataSet) -> None:
    for split in (make_split(phantom, 0), make_split(phantom, 0, split_by="slice"), *make_folds(phantom, 3, 0)):
        check_leakage(split, phantom)
        assert sum(len(split.indices(phantom, part)) for part in SUBSETS) == len(phantom.slices)


@pytest.mark.real
def test_the_real_patients_are_split_without_leak(real_patients: Path) -> None:
    dataset = load_dataset(real_patients)
    assert shared_pixels(dataset) == ()
    whole = dataset.burden.mean()
    enough = len(dataset.patients) >= 40  # with fewer, a part of one or two patients need not be like the whole
    for split in (make_split(dataset, 0), *make_folds(dataset, 5, 0)):
        check_leakage(split, dataset)
        held_out = dataset.burden[dataset.patient_indices(split.test)]
        assert not enough or 0.6 * whole < held_out.mean() < 1.5 * whole


def with_second_dates(source: Source, chosen: list[int]) -> Source:
    """The source, where some patients are the second examination of the patient before."""
    people = list(source.patients)
    for index in chosen:
        before = people[index - 1].id
        people[index] = dataclasses.replace(people[index - 1], id=f"{before[:-8]}{int(before[-8:]) + 1}")
    return dataclasses.replace(source, patients=tuple(people))


@settings(max_examples=50)
@given(
    source=sources(fewest=12, sharing=True),
    chosen=st.lists(st.integers(1, 11), max_size=5, unique=True),
    seed=st.integers(0, 99),
)
def test_all_folders_of_a_person_lie_in_one_part(source: Source, chosen: list[int], seed: int) -> None:
    source = with_second_dates(source, sorted(chosen))
    made = [make_split(source, seed), make_split(source, seed, test=False), *make_folds(source, 3, seed)]
    for split in made:
        part_of = {name: part for part in SUBSETS for name in split.subset(part)}
        for first, second in combinations(part_of, 2):
            if first[:-9] == second[:-9]:  # all but the date
                assert part_of[first] == part_of[second]
        repeated = Counter(name[:-9] for name in part_of)
        assert {person: len(names) for person, names in split.persons.items()} == {
            person: count for person, count in repeated.items() if count > 1
        }
        assert Split.from_json(json.loads(json.dumps(split.to_json()))) == split


def test_a_person_in_two_parts_is_an_error_that_names_both_folders() -> None:
    source = with_second_dates(make_source(["A"] * 10), [4])
    first, second = source.patients[3].id, source.patients[4].id
    names = [patient.id for patient in source.patients if patient.id not in {first, second}]
    split = Split(
        train=(*names[:6], first), validation=tuple(names[6:]), test=(second,), seed=0, data_digest=source.digest
    )
    with pytest.raises(LeakageError, match=rf"{first} \(train\), {second} \(test\)"):
        check_leakage(split, source)


def test_a_rule_of_one_s_own_says_who_is_one_person() -> None:
    source = make_source(["A"] * 12)
    rule = PersonRule.read(r"_(\d{3})\d_")  # all twelve but for the last two are of number 000
    with pytest.raises(SplitError, match="persons"):
        make_split(source, 0, rule=rule)
    pairs = {patient.id: f"person {index // 2}" for index, patient in enumerate(source.patients)}
    split = make_split(source, 0, rule=PersonRule(text="who.csv", table=pairs))
    part_of = {name: part for part in SUBSETS for name in split.subset(part)}
    for index in range(0, 12, 2):
        assert part_of[source.patients[index].id] == part_of[source.patients[index + 1].id]
    assert split.person_from == "who.csv"
    assert len(split.persons) == 6


def test_splits_of_before_persons_are_read_and_keep_their_digest() -> None:
    split = make_split(make_source(["A"] * 10 + ["B"] * 10), seed=7)
    value = split.to_json()
    for key in ("person_from", "persons", "given"):
        del value[key]
    assert Split.from_json(value) == split
    assert split.digest == RECORDED_DIGEST
