"""Slices read ahead: the same slices, in order, no more of them than was asked for, and no thread left behind."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.errors import ImageError
from brainseg_runtime.images.reading import read_ahead, read_pair


def readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("brainseg-reader")]


@given(st.lists(st.integers()), st.integers(1, 5), st.integers(1, 3))
def test_items_come_in_order_and_whole(items: list[int], depth: int, threads: int) -> None:
    assert list(read_ahead(items, lambda n: n + 1, depth=depth, threads=threads)) == [n + 1 for n in items]
    assert readers() == []


def test_items_are_read_before_they_are_asked_for_but_no_more_than_allowed() -> None:
    made: list[int] = []
    reached = threading.Event()

    def read(n: int) -> int:
        made.append(n)
        if n == 4:
            reached.set()
        return n

    ahead = read_ahead(range(100), read, depth=4)
    assert next(ahead) == 0
    assert reached.wait(30)  # the four that wait beyond the one in hand
    assert made == [0, 1, 2, 3, 4]
    ahead.close()
    assert made == [0, 1, 2, 3, 4]
    assert readers() == []


def test_a_slow_item_does_not_change_the_order() -> None:
    second_is_read = threading.Event()

    def read(n: int) -> int:
        if n == 0:
            assert second_is_read.wait(30)
        else:
            second_is_read.set()
        return n

    assert list(read_ahead([0, 1, 2], read, depth=3, threads=2)) == [0, 1, 2]


def test_a_fault_comes_where_its_item_would_have_come() -> None:
    def read(n: int) -> int:
        if n == 3:
            raise ImageError("the third is broken")
        return n

    ahead = read_ahead([1, 2, 3, 4], read, depth=8)
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(ImageError, match="third"):
        next(ahead)
    assert readers() == []


def test_what_is_wrong_with_a_pair_names_the_file_and_its_kind(tmp_path: Path) -> None:
    image, mask = tmp_path / "a_1.tif", tmp_path / "a_1_mask.tif"
    tifffile.imwrite(image, np.full((24, 16, 3), 90, np.uint8), photometric="rgb")
    tifffile.imwrite(mask, np.zeros((16, 24), np.uint8), photometric="minisblack")
    (wrong,) = read_pair(image, mask).problems
    assert (wrong.where, wrong.kind) == (str(mask), "is not of its image's size")
    assert str(wrong).endswith("expected 24×16 pixels; got 16×24")
    image.write_bytes(b"no image")
    read = read_pair(image, mask)
    assert read.image is None
    assert read.mask is not None
    assert [problem.where for problem in read.problems] == [str(image)]
    assert str(image) not in read.problems[0].kind, "the same words for every file of the kind"
