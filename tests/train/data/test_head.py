"""Head and brain are found in drawn heads whose parts are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brainseg_train.data.head import brain_mask, depth_in, head_mask
from tests.train.drawn_heads import draw_head, overlap

SCALPS = {"bright": (220, 120, 220), "fat-suppressed": (120, 40, 120), "very bright on FLAIR": (220, 250, 220)}


@pytest.mark.parametrize("scalp", SCALPS.values(), ids=SCALPS)
@pytest.mark.parametrize("angle", [0.0, 17.0])
def test_head_and_brain_are_those_drawn(scalp: tuple[int, int, int], angle: float) -> None:
    drawn = draw_head(scalp=scalp, angle=angle)
    head = head_mask(drawn.image)
    assert overlap(head, drawn.head) > 0.95
    assert overlap(brain_mask(drawn.image, head, depth_in(head)), drawn.brain) > 0.93


def test_a_speck_beside_the_head_is_not_part_of_it() -> None:
    drawn = draw_head()
    drawn.image[2:6, 2:6] = 200
    assert not head_mask(drawn.image)[:8, :8].any()


def test_a_stripped_head_is_all_brain_but_for_its_outline() -> None:
    drawn = draw_head()
    stripped = drawn.image * drawn.brain[..., None].astype(np.uint8)
    head = head_mask(stripped)
    brain = brain_mask(stripped, head, depth_in(head))
    assert overlap(brain, drawn.brain) > 0.9


def test_a_black_slice_has_neither() -> None:
    black = np.zeros((128, 128, 3), np.uint8)
    head = head_mask(black)
    assert not head.any()
    assert not brain_mask(black, head, depth_in(head)).any()


def test_depth_is_the_distance_to_the_nearest_pixel_outside() -> None:
    mask = np.zeros((9, 12), np.bool_)
    mask[1:8, 0:9] = True  # touches the left edge, beyond which is outside
    outside = np.argwhere(~np.pad(mask, 1))
    brute = [[np.sqrt(((outside - (r + 1, c + 1)) ** 2).sum(1)).min() for c in range(12)] for r in range(9)]
    assert np.allclose(depth_in(mask), brute)


@settings(max_examples=25, deadline=None)
@given(arrays(np.uint8, (32, 32, 3), elements=st.integers(0, 255), fill=st.just(0)))
def test_brain_lies_in_the_head_whatever_the_pixels(image: np.ndarray) -> None:
    head = head_mask(image)
    brain = brain_mask(image, head, depth_in(head))
    assert not (brain & ~head).any()
