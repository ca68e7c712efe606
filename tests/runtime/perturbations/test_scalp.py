"""The scalp dimmed, brightened and removed; the brain is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from brainseg_runtime.errors import ArgumentError
from brainseg_runtime.perturbations.scalp import scale_scalp, strip
from tests.runtime.perturbations.drawn_head import drawn_head


def test_stripping_leaves_the_brain_and_nothing_else() -> None:
    drawn = drawn_head()
    got = strip(drawn.slice, drawn.brain)
    assert np.array_equal(got.image, np.where(drawn.brain[..., None], drawn.slice.image, 0))
    assert got.mask is drawn.slice.mask


@pytest.mark.parametrize("factors", [(1.0, 0.2, 1.0), (0.2, 0.2, 0.2), (1.2, 1.2, 1.2), (0.0, 0.0, 0.0)])
def test_the_scalp_is_scaled_and_the_brain_is_not(factors: tuple[float, float, float]) -> None:
    drawn = drawn_head()
    got = scale_scalp(drawn.slice, factors, drawn.brain).image
    inside, outside = (
        ndimage.binary_erosion(drawn.brain, iterations=4),
        ~ndimage.binary_dilation(drawn.brain, iterations=4),
    )
    assert np.array_equal(got[inside], drawn.slice.image[inside])
    expected = np.clip(np.rint(drawn.slice.image * np.array(factors)), 0, 255)
    assert np.abs(got[outside] - expected[outside]).max() <= 1


def test_a_factor_of_one_changes_nothing() -> None:
    drawn = drawn_head()
    assert np.array_equal(scale_scalp(drawn.slice, 1.0, drawn.brain).image, drawn.slice.image)


def test_negative_factors_and_foreign_brains_are_refused() -> None:
    drawn = drawn_head()
    with pytest.raises(ArgumentError, match="factor"):
        scale_scalp(drawn.slice, -0.1, drawn.brain)
    with pytest.raises(ArgumentError, match="does not cover"):
        strip(drawn.slice, drawn.brain[:-1])
