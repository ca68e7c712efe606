"""NIfTI headers against nibabel: where voxels lie, types, scaling; what is refused before a voxel is read.

Covers `nifti_fields` and `nifti_grid` too.
"""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from brainseg_runtime.errors import BrainsegError, GeometryError, StudyError
from brainseg_runtime.studies.nifti.header import MAX_VOXELS, parse_header

LPS = np.diag([-1.0, -1.0, 1.0])


def header(
    affine: NDArray[np.float64], *, shape: tuple[int, ...] = (4, 5, 6), sform: int = 1, qform: int = 1, version: int = 1
) -> nibabel.Nifti1Header:
    """A header by nibabel."""
    kind = nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image
    made: nibabel.Nifti1Header = kind(np.zeros(shape, np.int16), affine).header  # type: ignore[no-untyped-call]
    made.set_sform(affine, sform)
    made.set_qform(affine, qform)
    made["vox_offset"] = 352 if version == 1 else 544
    return made


def packed(made: nibabel.Nifti1Header) -> bytes:
    """Its bytes, as in a file of one."""
    if made.sizeof_hdr == 348:
        made["magic"] = b"n+1"
    return bytes(made.binaryblock)


def some_affine(seed: int, *, flipped: bool = False) -> NDArray[np.float64]:
    """A rotated affine with three spacings."""
    rng = np.random.default_rng(seed)
    steps = Rotation.random(random_state=seed).as_matrix() @ np.diag(rng.uniform(0.4, 6.0, 3))
    affine = np.eye(4)
    affine[:3, :3] = steps @ np.diag([-1.0 if flipped else 1.0, 1.0, 1.0])
    affine[:3, 3] = rng.uniform(-200, 200, 3)
    return affine


@given(
    st.integers(0, 10_000), st.booleans(), st.sampled_from([(1, 0), (0, 1), (1, 1), (2, 1)]), st.sampled_from([1, 2])
)
@settings(max_examples=40, deadline=None)
def test_positions_are_those_of_nibabel(seed: int, flipped: bool, codes: tuple[int, int], version: int) -> None:
    affine = some_affine(seed, flipped=flipped)
    made = header(affine, sform=codes[0], qform=codes[1], version=version)
    grid = parse_header(packed(made), "a.nii").grid
    expected = made.get_best_affine()
    ijk = np.array([[0, 0, 0], [3, 4, 5], [1, 0, 2]])
    xyz = (ijk @ expected[:3, :3].T + expected[:3, 3]) @ LPS
    np.testing.assert_allclose(grid.positions(ijk[:, ::-1]), xyz, atol=1e-3)
    assert grid.shape == (6, 5, 4)


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(order: str) -> None:
    made = header(some_affine(3))
    swapped = made.as_byteswapped(order)
    read = parse_header(packed(swapped), "a.nii")
    assert read.grid.same_as(parse_header(packed(made), "a.nii").grid)
    assert read.dtype.newbyteorder("=") == np.int16
    assert (read.dtype.byteorder in "=|<") is (order == "<")


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("meter", 1000), ("micron", 0.001), ("unknown", 1)])
def test_units_of_length(unit: str, factor: float) -> None:
    affine = np.diag([1 / factor, 1 / factor, 2 / factor, 1])
    made = header(affine)
    made.set_xyzt_units(unit, "sec")
    assert parse_header(packed(made), "a").grid.spacing == pytest.approx((2.0, 1.0, 1.0))


def test_without_orientation_it_is_said() -> None:
    read = parse_header(packed(header(np.diag([1.0, 1.0, 3.0, 1.0]), sform=0, qform=0)), "a.nii")
    assert not read.oriented
    assert read.notes == ("a.nii states no orientation, so left and right are a guess",)
    assert read.grid.spacing == (3.0, 1.0, 1.0)


@pytest.mark.parametrize("turned", [np.diag([-1.0, 1, 1, 1]), np.diag([-1.0, -1, 1, 1]), np.eye(4)[[1, 0, 2, 3]]])
def test_two_orientations_that_swap_sides_are_refused(turned: NDArray[np.float64]) -> None:
    made = header(np.diag([1.0, 1.0, 3.0, 1.0]))
    made.set_sform(turned @ np.diag([1.0, 1.0, 3.0, 1.0]), 1)
    with pytest.raises(GeometryError, match="two orientations"):
        parse_header(packed(made), "a.nii")


def test_a_small_disagreement_is_told_and_the_sform_counts() -> None:
    made = header(np.eye(4))
    moved = np.eye(4)
    moved[:3, 3] = 0, 3, 4
    made.set_sform(moved, 2)
    read = parse_header(packed(made), "a.nii")
    assert "5.0 mm" in read.notes[0]
    np.testing.assert_allclose(read.grid.origin, [0, -3, 4])


def test_shear_and_two_spacings_are_refused() -> None:
    sheared = np.eye(4)
    sheared[0, 1] = 0.05
    with pytest.raises(GeometryError, match="right angles"):
        parse_header(packed(header(sheared, qform=0)), "a.nii")
    made = header(np.eye(4), qform=0)
    made["pixdim"][1:4] = 1, 1, 3
    with pytest.raises(GeometryError, match="two spacings"):
        parse_header(packed(made), "a.nii")


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 1e9])
def test_an_impossible_matrix_is_refused(value: float) -> None:
    made = header(np.eye(4), qform=0)
    made["srow_x"][0] = value
    with pytest.raises(GeometryError):
        parse_header(packed(made), "a.nii")


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("datatype", 128, "RGB"), ("datatype", 32, "complex"), ("datatype", 9999, "9999"),
        ("bitpix", 32, "contradicts"),
        ("vox_offset", 20, "places"), ("vox_offset", 1e30, "places"), ("vox_offset", np.nan, "places"),
        ("dim", [4, 4, 5, 6, 30, 1, 1, 1], "several volumes"),
        ("dim", [3, 30000, 30000, 30000, 1, 1, 1, 1], "too large"),
        ("dim", [3, 4, -5, 6, 1, 1, 1, 1], "impossible"), ("dim", [0] * 8, "impossible"),
        ("dim", [300] * 8, "impossible"),
        ("scl_inter", np.nan, "scaling"),
    ],
)  # fmt: skip
def test_what_is_no_grey_volume_is_refused(field: str, value: object, told: str) -> None:
    made = header(np.eye(4))
    made["scl_slope"] = 2.0
    made["scl_inter"] = 0.0
    made[field] = value
    with pytest.raises(StudyError, match=told):
        parse_header(packed(made), "a.nii")


def test_a_single_slice_and_trailing_ones_are_taken() -> None:
    flat = header(np.eye(4))
    flat["dim"] = [2, 4, 5, 0, 0, 0, 0, 0]
    assert parse_header(packed(flat), "a").grid.shape == (1, 5, 4)
    deep = header(np.eye(4))
    deep["dim"] = [5, 4, 5, 6, 1, 1, 0, 0]
    assert parse_header(packed(deep), "a").grid.shape == (6, 5, 4)


def test_pairs_and_analyze_are_refused_with_a_remedy() -> None:
    made = header(np.eye(4))
    made["magic"] = b"ni1"
    with pytest.raises(StudyError, match="dcm2niix"):
        parse_header(bytes(made.binaryblock), "a.hdr")
    with pytest.raises(StudyError, match="Analyze"):
        parse_header(bytes(nibabel.AnalyzeHeader().binaryblock), "a.hdr")


@given(st.binary(max_size=600))
@settings(max_examples=60, deadline=None)
def test_any_bytes_give_a_header_or_an_error(data: bytes) -> None:
    with pytest.raises(BrainsegError):
        parse_header(data, "a")


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_damaged_header_gives_a_sensible_grid_or_an_error(data: st.DataObject) -> None:
    block = bytearray(packed(header(some_affine(5))))
    for _ in range(data.draw(st.integers(1, 4))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    try:
        grid = parse_header(bytes(block), "a").grid
    except BrainsegError:
        return
    assert np.prod(grid.shape) <= MAX_VOXELS
    assert np.isfinite(grid.corners()).all()
    assert 0.05 <= min(grid.spacing) <= max(grid.spacing) <= 50
