"""A data set's folder: what is found in it, and that everything wrong with it is told at once."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.errors import DatasetError, InputError
from brainseg_runtime.images import dataset as patients
from brainseg_runtime.images.dataset import person_of, scan_dataset, site_of
from brainseg_runtime.prediction.inputs import collect

ANNA, BERT = "TCGA_CS_4941_19960909", "TCGA_DU_5849_19950405"


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two patients of 12 and 2 slices, and what may lie about."""
    root = tmp_path / "set"
    for patient, slices in ((BERT, 2), (ANNA, 12)):
        for n in range(1, slices + 1):
            touch(root / patient / f"{patient}_{n}.tif", root / patient / f"{patient}_{n}_mask.tif")
    touch(root / "README.md", root / "data.csv", root / ".DS_Store", root / ".cache" / "x")
    touch(root / ANNA / "._x.tif", root / ANNA / "Thumbs.db", root / BERT / "desktop.ini")
    return root


def problems(root: Path) -> list[str]:
    """What is wrong, paths cut to the root."""
    with pytest.raises(DatasetError) as caught:
        scan_dataset(root)
    return [problem.replace(f"{root}{os.sep}", "").replace(os.sep, "/") for problem in caught.value.problems]


def test_patients_come_by_name_and_slices_by_number(data: Path) -> None:
    anna, bert = scan_dataset(data)
    assert (anna.id, anna.site, bert.id, bert.site) == (ANNA, "CS", BERT, "DU")
    assert [one.number for one in anna.slices] == list(range(1, 13))
    for one in anna.slices:
        assert one.image == data / ANNA / f"{ANNA}_{one.number}.tif"
        assert one.mask == data / ANNA / f"{ANNA}_{one.number}_mask.tif"


def test_a_root_given_as_text_is_a_root(data: Path) -> None:
    assert scan_dataset(str(data)) == scan_dataset(data)


def test_everything_wrong_is_told_at_once_and_by_name(data: Path) -> None:
    (data / ANNA / f"{ANNA}_3_mask.tif").unlink()
    (data / ANNA / f"{ANNA}_5.tif").unlink()
    (data / ANNA / f"{ANNA}_7.tif").unlink()
    (data / ANNA / f"{ANNA}_7_mask.tif").unlink()
    (data / ANNA / f"{ANNA}_8.tif").unlink()
    (data / ANNA / f"{ANNA}_8_mask.tif").unlink()
    touch(data / BERT / "notes.txt", data / BERT / f"{BERT}_01.tif", data / BERT / f"{ANNA}_3.tif")
    (data / BERT / f"{BERT}_3.tif").mkdir()
    (data / "TCGA_FG_0001_20000101").mkdir()
    touch(data / "old stuff" / "a.tif")
    assert sorted(problems(data)) == [
        f"{ANNA} lacks slices: 5, 7 to 8",
        f"{ANNA}/{ANNA}_3.tif has no mask",
        f"{ANNA}/{ANNA}_5_mask.tif is a mask without an image",
        f"{BERT}/{ANNA}_3.tif does not follow the naming of the other slices: {BERT}_<n>",
        f"{BERT}/{ANNA}_3.tif has no mask",
        f"{BERT}/{BERT}_01.tif has no mask",
        f"{BERT}/{BERT}_1.tif has the same number as another slice ({BERT}_01.tif)",
        f"{BERT}/{BERT}_3.tif holds no slice",
        "TCGA_FG_0001_20000101 holds no slice",
        "old stuff/a.tif has no mask",
    ]


def test_the_error_reads_as_a_list_that_says_how_many(data: Path) -> None:
    (data / "x").mkdir()
    (data / "y").mkdir()
    with pytest.raises(DatasetError) as caught:
        scan_dataset(data)
    headline, *lines = str(caught.value).splitlines()
    assert "2 problems" in headline
    assert [line.split(" holds ")[0] for line in lines] == [f"  - {data / 'x'}", f"  - {data / 'y'}"]


def test_a_set_without_masks_is_one_line_and_every_patient_is_on_record(data: Path) -> None:
    for number in range(40):
        touch(*(data / f"p{number}" / f"p{number}_{n}.tif" for n in (1, 2, 3)))
    with pytest.raises(DatasetError) as caught:
        scan_dataset(data)
    assert len(str(caught.value).splitlines()) == 2
    assert "40 × has images but no mask" in str(caught.value)
    assert len(caught.value.problems) == 40


@pytest.mark.parametrize(
    ("patient", "names"),
    [
        ("patient007", ["patient007_1.tif", "patient007_2.tif"]),
        ("Frau Müller", ["Frau Müller_1.tif", "Frau Müller_2.tif"]),
        ("X_Y_1_20000101", ["X_Y_1_20000101_1.tiff", "X_Y_1_20000101_2.TIFF"]),
        ("X_Y_1_20000101", ["X_Y_1_20000101_1.TIF", "x_y_1_20000101_2.tif"]),
        ("X_Y_1_20000101", ["X_Y_1_20000101_001.tif", "X_Y_1_20000101_002.tif"]),
        ("X_Y_1_20000101", ["X_Y_1_20000101_0.tif", "X_Y_1_20000101_1.tif"]),
        ("X_Y_1_20000101", ["1.tif", "2.tif"]),
        ("X_Y_1_20000101", ["slice-1.tif", "slice-2.tif"]),
        ("X_Y_1_20000101", ["base.tif", "vertex.tif"]),
    ],
)
def test_every_command_finds_the_same_slices_in_the_same_order(tmp_path: Path, patient: str, names: list[str]) -> None:
    folder = tmp_path / "set" / patient
    touch(*(folder / name for name in names))
    touch(*(folder / f"{Path(name).stem}_mask{Path(name).suffix}" for name in names))
    (found,) = scan_dataset(tmp_path / "set")
    assert found.id == patient
    assert [one.image.name for one in found.slices] == names
    assert [one.mask.stem for one in found.slices if one.mask] == [f"{Path(name).stem}_mask" for name in names]
    assert [item.path for item in collect([tmp_path / "set"], tmp_path / "out").items] == [
        one.image for one in found.slices
    ]
    assert [one.number for one in found.slices] in ([0, 1], [1, 2])


def test_a_mask_may_differ_from_its_image_in_case(tmp_path: Path) -> None:
    touch(tmp_path / "p" / "p_1.tif", tmp_path / "p" / "P_1_MASK.TIFF")
    ((one,),) = (patient.slices for patient in scan_dataset(tmp_path))
    assert one.mask == tmp_path / "p" / "P_1_MASK.TIFF"


def test_one_patients_folder_is_a_set_of_one(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (patient,) = scan_dataset(data / ANNA)
    assert patient.id == ANNA
    assert len(patient.slices) == 12
    monkeypatch.chdir(data / ANNA)
    assert scan_dataset(".")[0].id == ANNA


def test_the_archive_that_holds_the_set_twice_is_told_in_one_line(data: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    first, second = archive / "kaggle_3m", archive / "lgg-mri-segmentation" / "kaggle_3m"
    shutil.copytree(data, first)
    shutil.copytree(data, second)
    assert [patient.id for patient in scan_dataset(first)] == [ANNA, BERT]
    with pytest.raises(DatasetError) as caught:
        scan_dataset(archive)
    (told,) = caught.value.problems
    assert told == f"{first} and {second} hold the same 2 patients: {ANNA} and 1 more"
    assert caught.value.remedy == f"give one of the two, such as {first}"
    with pytest.raises(InputError) as refused:
        collect([archive], tmp_path / "out")
    assert told in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_set_inside_itself_is_told_and_the_proposed_folder_is_taken(data: Path) -> None:
    shutil.copytree(data, data.parent / "copy")
    (data.parent / "copy").rename(data / data.name)
    with pytest.raises(DatasetError, match="hold the same 2 patients") as caught:
        scan_dataset(data)
    assert caught.value.remedy is not None
    assert caught.value.remedy.startswith(f"give {data / data.name}, ")
    assert len(scan_dataset(data / data.name)) == 2


def test_two_sites_patients_of_one_name_are_told(tmp_path: Path) -> None:
    touch(*(tmp_path / site / "p1" / f"p1_1{kind}" for site in "ab" for kind in (".tif", "_mask.tif")))
    assert problems(tmp_path) == ["a/p1 and b/p1 hold one patient twice: p1"]


def test_numbering_must_begin_at_zero_or_one_and_a_huge_number_costs_nothing(data: Path) -> None:
    for kind in (".tif", "_mask.tif"):
        (data / BERT / f"{BERT}_1{kind}").unlink()
        touch(data / BERT / f"{BERT}_999999999{kind}")
    assert problems(data) == [f"{BERT} lacks slices: 1, 3 to 999999998"]


def test_masks_may_be_optional_or_left_aside(data: Path) -> None:
    (data / ANNA / f"{ANNA}_3_mask.tif").unlink()
    optional = scan_dataset(data, masks="optional")[0].slices
    assert [one.number for one in optional if one.mask is None] == [3]
    assert all(one.mask is None for patient in scan_dataset(data, masks="absent") for one in patient.slices)
    touch(data / ANNA / f"{ANNA}_13_mask.tif")
    assert len(scan_dataset(data, masks="absent")) == 2
    with pytest.raises(DatasetError, match="mask without an image"):
        scan_dataset(data, masks="optional")


def test_a_root_that_is_missing_a_file_or_empty_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path / "file", tmp_path / "empty" / "README.md")
    for name, message in (("gone", "does not exist"), ("file", "not a folder"), ("empty", "no patient folder")):
        with pytest.raises(DatasetError, match=message) as caught:
            scan_dataset(tmp_path / name)
        assert name == "empty" or caught.value.remedy == "give a folder of patients' folders, or one patient's folder"


def test_a_root_above_the_set_gives_the_set(data: Path) -> None:
    assert scan_dataset(data.parent) == scan_dataset(data)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_links_to_folders_and_files_are_followed_and_links_to_nothing_are_problems(data: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / ANNA).symlink_to(data / ANNA)
    (linked / BERT).mkdir()
    for path in (data / BERT).glob("TCGA*"):
        (linked / BERT / path.name).symlink_to(path)
    assert [len(patient.slices) for patient in scan_dataset(linked)] == [12, 2]
    (linked / "TCGA_XX_1_20000101").symlink_to("nowhere")
    (data / BERT / f"{BERT}_2.tif").unlink()
    assert sorted(problems(linked)) == [
        f"{BERT}/{BERT}_2.tif is a broken link",
        f"{BERT}/{BERT}_2_mask.tif is a mask without an image",
        "TCGA_XX_1_20000101 is a broken link",
    ]


def test_a_folder_that_cannot_be_listed_is_a_problem(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Path.iterdir

    def deny(path: Path) -> object:
        if path.name == ANNA:
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", deny)
    assert problems(data) == [f"{ANNA} cannot be listed: Permission denied"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_a_name_that_would_upset_a_terminal_is_told_escaped(data: Path) -> None:
    (data / "red\x1b[31m\nalert").mkdir()
    assert problems(data) == ["red\\x1b[31m\\nalert holds no slice"]


@given(st.sets(st.integers(1, 40), min_size=1))
def test_gaps_are_the_numbers_that_are_missing(numbers: set[int]) -> None:
    missing: set[int] = set()
    for gap in patients._gaps(numbers):
        first, *last = map(int, gap.split(" to "))
        missing |= set(range(first, (last or [first])[0] + 1))
    assert missing == set(range(1, max(numbers))) - numbers


@pytest.mark.parametrize(
    ("name", "site"), [(ANNA, "CS"), ("PHANTOM_S1_0001_20200101", "S1"), ("someone", ""), ("", "")]
)
def test_the_site_is_the_second_part_of_the_name(name: str, site: str) -> None:
    assert site_of(name) == site


@pytest.mark.parametrize(
    ("name", "person"),
    [
        (ANNA, "TCGA_CS_4941"),
        ("PHANTOM_S1_0001_20200101", "PHANTOM_S1_0001"),
        ("someone_19960909", "someone_19960909"),
        ("", ""),
    ],
)
def test_a_person_is_the_name_without_the_date(name: str, person: str) -> None:
    assert person_of(name) == person


@pytest.mark.real
def test_the_real_set_is_found_whole(real_patients: Path) -> None:
    found = scan_dataset(real_patients)
    folders = sorted(path.name for path in real_patients.iterdir() if path.is_dir())
    assert [patient.id for patient in found] == folders
    for patient in found:
        assert 2 * len(patient.slices) == len(list((real_patients / patient.id).glob("*.tif")))
