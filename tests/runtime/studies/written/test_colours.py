"""CIELab against another program's conversion."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from brainseg_runtime.studies.written.colours import cielab


@pytest.mark.parametrize("rgb", [(0, 0, 0), (255, 138, 48), (12, 200, 77), (255, 0, 0), (0, 0, 255)])
def test_values_are_those_of_scikit_image(rgb: tuple[int, int, int]) -> None:
    light, a, b = cielab(rgb)
    lab = rgb2lab(np.array(rgb, np.uint8)[None, None], illuminant="D50")[0, 0]
    found = np.array([light * 100 / 65535, a * 255 / 65535 - 128, b * 255 / 65535 - 128])
    # scikit-image goes to D50 without Bradford's adaptation, which moves saturated blue by a few units.
    np.testing.assert_allclose(found, lab, atol=30 if rgb == (0, 0, 255) else 12)
