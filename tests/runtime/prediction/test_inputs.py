"""What `predict` takes as slices, and what it refuses before anything is written."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.errors import InputError
from brainseg_runtime.prediction.inputs import collect, in_ranges, missing_numbers


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set of two patients, as the public one lays them out, and what lies about in one."""
    root = tmp_path / "data"
    touch(root / "README.md", root / "data.csv", root / ".DS_Store", root / "b" / "._b_1.tif")
    for number in (10, 2, 1):
        touch(root / "b" / f"b_{number}.tif", root / "b" / f"b_{number}_mask.tif")
    touch(root / "a" / "a_1.tif")
    return root


def names(*inputs: Path, out: Path = Path("elsewhere")) -> list[str]:
    return [item.name for item in collect(inputs, out).items]


def test_a_data_set_gives_patients_by_name_and_slices_by_number(data: Path) -> None:
    assert names(data) == ["a_1", "b_1", "b_2", "b_10"]


def test_a_patient_folder_gives_its_images_without_masks(data: Path) -> None:
    items = collect([data / "b"], Path("elsewhere")).items
    assert [(item.name, item.number, item.patient) for item in items] == [
        ("b_1", 1, data / "b"),
        ("b_2", 2, data / "b"),
        ("b_10", 10, data / "b"),
    ]


def test_files_named_by_a_shell_belong_to_their_patient_and_masks_are_passed_over(data: Path) -> None:
    given = sorted((data / "b").glob("b_*.tif"))
    items = collect(given, Path("elsewhere")).items
    assert {item.name for item in items} == {"b_1", "b_2", "b_10"}
    assert {item.patient for item in items} == {data / "b"}


def test_a_file_of_its_own_has_no_patient(tmp_path: Path) -> None:
    touch(tmp_path / "scan.TIFF")
    (item,) = collect([tmp_path / "scan.TIFF"], tmp_path / "out").items
    assert (item.name, item.patient, item.number) == ("scan", None, None)


def test_a_slice_given_twice_is_taken_once(data: Path) -> None:
    assert names(data / "b" / "b_2.tif", data / "b", data / ".." / "data" / "b") == ["b_2", "b_1", "b_10"]


@pytest.mark.parametrize("other", ["x_1.tif", "X_1.tif", "x_1.tiff"])
def test_slices_that_would_write_the_same_file_are_refused(tmp_path: Path, other: str) -> None:
    touch(tmp_path / "one" / "x_1.tif", tmp_path / "two" / other)
    with pytest.raises(InputError, match="same files") as caught:
        collect([tmp_path / "one", tmp_path / "two"], tmp_path / "out")
    assert str(tmp_path / "one" / "x_1.tif") in str(caught.value)


@pytest.mark.parametrize("out", ["data", "data/b", "data/results", "data/b/results"])
def test_results_never_go_among_the_inputs(data: Path, out: str) -> None:
    with pytest.raises(InputError, match="among the inputs"):
        collect([data], data.parent / out)


def test_results_never_go_beside_a_named_image(data: Path) -> None:
    with pytest.raises(InputError, match="among the inputs"):
        collect([data / "b" / "b_1.tif"], data / "b")


@pytest.mark.parametrize(("given", "out"), [("b/b_1.tif", "b"), ("b", "b"), ("b", "b/masks"), ("", "b")])
def test_the_folder_that_is_proposed_instead_is_taken(data: Path, given: str, out: str) -> None:
    with pytest.raises(InputError) as caught:
        collect([data / given], data / out)
    _, _, proposed = str(caught.value).partition("such as ")
    assert collect([data / given], Path(proposed)).items


@pytest.mark.parametrize(
    ("make", "given", "says"),
    [
        ([], "absent.tif", "does not exist"),
        (["notes.txt"], "notes.txt", "not a TIFF"),
        (["empty/readme.md"], "empty", "holds no image"),
        (["p/p_1_mask.tif"], "p", "holds no image"),
    ],
)
def test_an_input_that_gives_nothing_is_named(tmp_path: Path, make: list[str], given: str, says: str) -> None:
    touch(*(tmp_path / name for name in make))
    with pytest.raises(InputError, match=says) as caught:
        collect([tmp_path / given], tmp_path / "out")
    assert given in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="making links needs a privilege on Windows")
def test_a_folder_that_links_to_itself_ends(tmp_path: Path) -> None:
    touch(tmp_path / "data" / "a" / "a_1.tif")
    (tmp_path / "data" / "a" / "again").symlink_to(tmp_path / "data", target_is_directory=True)
    assert names(tmp_path / "data") == ["a_1"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0)
    with pytest.raises(InputError, match="closed"):
        collect([folder], tmp_path / "out")


def test_gaps_in_a_volume_are_found() -> None:
    assert missing_numbers([3, 1, 6, None]) == (2, 4, 5)
    assert missing_numbers([None]) == ()
    assert missing_numbers([1, 10**9]) == ()


@given(st.sets(st.integers(0, 60)))
def test_ranges_hold_each_number_once(numbers: set[int]) -> None:
    told: list[int] = []
    for text in in_ranges(numbers):
        first, _, last = text.partition(" to ")
        told += range(int(first), int(last or first) + 1)
    assert told == sorted(numbers)
