"""What a file's name says of a slice."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.images.names import belongs, natural_order, slice_name, slice_number


@pytest.mark.parametrize(
    ("name", "role", "stem"),
    [
        ("x_1.tif", "image", "x_1"),
        ("x_1_mask.tif", "mask", "x_1"),
        ("x_1_MASK.TIFF", "mask", "x_1"),
        ("x_1_probability.tif", "result", "x_1"),
        ("x_1_Overlay.png", "result", "x_1"),
        ("unmasked_1.tif", "image", "unmasked_1"),
    ],
)
def test_the_role_is_read_off_the_name(name: str, role: str, stem: str) -> None:
    found = slice_name(Path("folder") / name)
    assert (found.role, found.stem) == (role, stem)


@pytest.mark.parametrize(
    ("stem", "folder", "number"),
    [
        ("p_1", "p", 1),
        ("p_001", "p", 1),
        ("p_0", "p", 0),
        ("p_000", "p", 0),
        ("P_12", "p", 12),
        ("007", "p", 7),
        ("scan-3", "p", 3),
        ("scan 4", "p", 4),
        ("scan", "p", None),
        ("scan3", "p", None),
        ("TCGA_CS_4941_19960909", "TCGA_CS_4941_19960909", None),
        ("TCGA_CS_4941_19960909_5", "TCGA_CS_4941_19960909", 5),
        ("patient007", "patient007", None),
        ("patient_1", "patient", 1),
        ("p_999999999", "p", 999999999),
        ("p_0000000000000007", "p", 7),
        ("p_20240131123456", "p", None),
        ("p_\u0661", "p", None),
    ],
)
def test_the_number_is_read_off_the_end(stem: str, folder: str, number: int | None) -> None:
    assert slice_number(stem, folder) == number


@given(st.text(min_size=1, max_size=12), st.integers(0, 10**9 - 1), st.integers(0, 9))
def test_any_patients_slice_has_its_number(folder: str, number: int, zeros: int) -> None:
    assert slice_number(f"{folder}_{'0' * zeros}{number}", folder) == number


def test_a_slice_belongs_to_its_folder_and_not_to_one_whose_name_goes_on() -> None:
    assert belongs("p1_3", "p1")
    assert belongs("P1_3", "p1")
    assert not belongs("p12_3", "p1")
    assert not belongs("q_3", "p1")


def test_names_without_numbers_of_their_own_are_ordered_as_people_count() -> None:
    assert sorted(["slice10", "slice2", "Slice1"], key=natural_order) == ["Slice1", "slice2", "slice10"]
