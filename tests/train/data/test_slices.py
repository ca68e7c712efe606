"""Every fault that a data set can have, named by its file, and all of them at once."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from brainseg_runtime.errors import DatasetError
from brainseg_train.data.slices import (
    SlicePixels,
    content_digest,
    duplicates_across_patients,
    find_slices,
    read_slices,
    slice_facts,
)
from brainseg_train.phantom.patients import write_phantom

FIRST = "TCGA_P1_0001_20000101"
SECOND = "TCGA_P2_0002_20000101"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom(tmp_path_factory.mktemp("content") / "set", patients=3, seed=1, slices=(3, 3), side=64)


@pytest.fixture
def patients(pristine: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(pristine, tmp_path / "set"))


def read(root: Path) -> None:
    _, slices = find_slices(root)
    read_slices(root, slices)


def slice_file(root: Path, patient: str, number: int, *, mask: bool = False) -> Path:
    return root / patient / f"{patient}_{number}{'_mask' if mask else ''}.tif"


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def fill_with_text(path: Path) -> None:
    path.write_text("no picture at all, but long enough to be taken for one")


def make_sixteen_bit(path: Path) -> None:
    tifffile.imwrite(path, tifffile.imread(path).astype(np.uint16), photometric="rgb")


def make_float(path: Path) -> None:
    tifffile.imwrite(path, tifffile.imread(path).astype(np.float32), photometric="rgb")


def make_grey(path: Path) -> None:
    tifffile.imwrite(path, np.ascontiguousarray(tifffile.imread(path)[..., 0]), photometric="minisblack")


def make_smaller(path: Path) -> None:
    pixels = np.ascontiguousarray(tifffile.imread(path)[:-8])
    tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")


def make_grey_levels(path: Path) -> None:
    pixels = tifffile.imread(path)
    pixels[0, :3] = (0, 128, 255)
    tifffile.imwrite(path, pixels, photometric="minisblack")


def remove(path: Path) -> None:
    path.unlink()


DAMAGE: list[tuple[Callable[[Path], None], bool]] = [
    (truncate, False),
    (empty, False),
    (fill_with_text, False),
    (make_sixteen_bit, False),
    (make_float, False),
    (make_grey, False),
    (make_smaller, False),
    (truncate, True),
    (empty, True),
    (fill_with_text, True),
    (make_smaller, True),
    (make_grey_levels, True),
    (remove, True),
]


@pytest.mark.parametrize(
    ("damage", "mask"), DAMAGE, ids=[f"{damage.__name__}-{'mask' if mask else 'image'}" for damage, mask in DAMAGE]
)
def test_a_damaged_file_is_named(patients: Path, damage: Callable[[Path], None], mask: bool) -> None:
    damaged = slice_file(patients, SECOND, 2, mask=mask)
    damage(damaged)
    with pytest.raises(DatasetError) as caught:
        read(patients)
    named = damaged if damage is not remove else slice_file(patients, SECOND, 2)
    assert any(str(named) in problem for problem in caught.value.problems)


def test_every_problem_names_the_damaged_file_and_no_other(patients: Path) -> None:
    damaged = slice_file(patients, SECOND, 3, mask=True)
    make_grey_levels(damaged)
    with pytest.raises(DatasetError) as caught:
        read(patients)
    assert [str(damaged) in problem for problem in caught.value.problems] == [True]


def test_faults_of_structure_and_of_pixels_are_told_at_once(patients: Path) -> None:
    no_mask = slice_file(patients, FIRST, 1)
    slice_file(patients, FIRST, 1, mask=True).unlink()
    orphan = slice_file(patients, FIRST, 3, mask=True)
    slice_file(patients, FIRST, 3).unlink()
    truncated = slice_file(patients, SECOND, 1)
    truncate(truncated)
    grey = slice_file(patients, SECOND, 2, mask=True)
    make_grey_levels(grey)
    hollow = patients / "TCGA_P9_0009_20000101"
    hollow.mkdir()
    stranger = patients / "notes"
    stranger.mkdir()
    with pytest.raises(DatasetError) as caught:
        read(patients)
    text = str(caught.value)
    assert f"{len(caught.value.problems)} problems" in text
    for path in (no_mask, orphan, truncated, grey, hollow, stranger):
        assert any(str(path) in problem for problem in caught.value.problems), path
        assert str(path) in text


def test_a_gap_in_the_numbering_is_named(patients: Path) -> None:
    for mask in (False, True):
        slice_file(patients, FIRST, 2, mask=mask).unlink()
    with pytest.raises(DatasetError) as caught:
        read(patients)
    assert any(FIRST in problem and "2" in problem for problem in caught.value.problems)


def test_files_beside_the_patients_are_ignored(patients: Path) -> None:
    (patients / "README.md").write_text("about the set")
    (patients / "data.csv").write_text("Patient,age\n")
    read(patients)


@pytest.mark.parametrize("content", ["missing", "empty", "file"])
def test_a_root_that_holds_no_patient_is_an_error(tmp_path: Path, content: str) -> None:
    root = tmp_path / "set"
    if content == "empty":
        root.mkdir()
    elif content == "file":
        root.write_text("no folder")
    with pytest.raises(DatasetError, match="set"):
        read(root)


def test_images_of_another_size_than_the_others_are_named(patients: Path) -> None:
    odd = [slice_file(patients, SECOND, number) for number in (1, 2)]
    for path in odd:
        make_smaller(path)
        make_smaller(path.with_name(f"{path.stem}_mask.tif"))
    with pytest.raises(DatasetError) as caught:
        read(patients)
    assert [path for path in odd if any(str(path) in problem for problem in caught.value.problems)] == odd
    assert len(caught.value.problems) == 2


def test_the_layouts_own_size_is_right_even_where_most_slices_have_another(pristine: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(pristine, tmp_path / "set"))
    native = write_phantom(tmp_path / "native", patients=5, seed=9, slices=(1, 1), side=256)
    shutil.copytree(native / "TCGA_P2_0005_20000101", root / "TCGA_P2_0005_20000101")
    with pytest.raises(DatasetError) as caught:
        read(root)
    assert len(caught.value.problems) == 9
    assert not any("0005" in problem for problem in caught.value.problems)


def test_slices_come_in_order_of_number_not_of_name(tmp_path: Path) -> None:
    root = write_phantom(tmp_path / "set", patients=1, slices=(12, 12), side=32)
    _, slices = find_slices(root)
    assert [ref.number for ref in slices] == list(range(1, 13))
    assert [ref.key for ref in slices][:2] == [f"{FIRST}_1", f"{FIRST}_2"]


def test_pixels_are_visited_in_order_and_as_the_files_have_them(pristine: Path) -> None:
    _, slices = find_slices(pristine)
    seen: list[int] = []

    def visit(index: int, pixels: SlicePixels) -> None:
        seen.append(index)
        np.testing.assert_array_equal(pixels.image, tifffile.imread(slices[index].image))
        np.testing.assert_array_equal(pixels.mask * 255, tifffile.imread(slices[index].mask))

    read_slices(pristine, slices, visit)
    assert seen == list(range(9))


def test_the_digest_is_that_of_names_numbers_and_pixels(pristine: Path) -> None:
    found, slices = find_slices(pristine)
    expected = hashlib.sha256(b"brainseg data set 1\n")
    for ref in slices:
        image, mask = tifffile.imread(ref.image), tifffile.imread(ref.mask) // 255
        image_hex = hashlib.sha256(b"64x64x3\n" + image.tobytes()).hexdigest()
        mask_hex = hashlib.sha256(b"64x64\n" + mask.tobytes()).hexdigest()
        expected.update(f"{ref.image.parent.name} {ref.number} {image_hex} {mask_hex}\n".encode())
    assert content_digest(found, slices, read_slices(pristine, slices)) == expected.hexdigest()


def test_compression_and_place_do_not_change_the_digest_and_a_pixel_does(pristine: Path, patients: Path) -> None:
    def digest(root: Path) -> str:
        found, slices = find_slices(root)
        return content_digest(found, slices, read_slices(root, slices))

    path = slice_file(patients, FIRST, 2)
    pixels = tifffile.imread(path)
    tifffile.imwrite(path, pixels, photometric="rgb", compression="zlib")
    assert digest(patients) == digest(pristine)
    pixels[5, 7, 1] ^= 1
    tifffile.imwrite(path, pixels, photometric="rgb")
    assert digest(patients) != digest(pristine)


def test_facts_of_a_slice_worked_out_by_hand() -> None:
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    image[..., 0] = [[1, 2], [3, 4]]
    image[..., 1] = [[10, 10], [10, 30]]
    image[..., 2] = [[10, 10], [10, 30]]
    facts = slice_facts(SlicePixels(image=image, mask=np.array([[0, 1], [1, 1]], dtype=np.uint8)))
    assert (facts.size, facts.tumour_pixels, facts.blank) == ((2, 2), 3, False)
    assert (facts.low, facts.high, facts.mean) == ((1, 10, 10), (4, 30, 30), (2.5, 15.0, 15.0))
    assert (facts.pre_repeats_flair, facts.post_repeats_flair) == (False, True)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_blank_slice_repeats_no_sequence(value: int) -> None:
    image = np.full((4, 4, 3), value, dtype=np.uint8)
    facts = slice_facts(SlicePixels(image=image, mask=np.zeros((4, 4), dtype=np.uint8)))
    assert facts.blank
    assert not facts.pre_repeats_flair
    assert not facts.post_repeats_flair


def test_duplicates_count_across_patients_only_and_blank_slices_never(pristine: Path) -> None:
    _, slices = find_slices(pristine)  # three patients of three slices
    digests = [b"a", b"b", b"b", b"a", b"blank", b"c", b"blank", b"d", b"a"]
    blank = [digest == b"blank" for digest in digests]
    assert duplicates_across_patients(slices, digests, blank) == ((0, 3, 8),)
