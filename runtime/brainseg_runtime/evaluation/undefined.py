"""What is undefined: NaN in computing, None in records."""

from __future__ import annotations

import math


def defined(score: float) -> float | None:
    """None for NaN."""
    return None if math.isnan(score) else score
