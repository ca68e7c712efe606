"""Agreement of two measurements of the same patients, as Bland and Altman describe it.

Source: Bland and Altman, Statistical methods for assessing agreement between two methods of clinical measurement, 1986.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brainseg_runtime.metrics.bootstrap import least_patients

WITHIN = 1.96
"""Standard deviations on either side of the bias between which 95 % of normal differences lie."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Differences, measured minus true, over patients; NaN where undefined.

    Attributes:
        bias: Their mean.
        sd: Their standard deviation, with P - 1; NaN, as the limits are, for fewer patients than an interval needs.
        low: Lower limit of agreement, the bias less 1.96 standard deviations.
        high: Upper limit.
        mean_absolute: Mean size of the differences, whatever their sign.
    """

    bias: float
    sd: float
    low: float
    high: float
    mean_absolute: float

    @classmethod
    def of(cls, differences: Sequence[float]) -> Agreement:
        """Describe the differences of patients, at least one.

        >>> found = Agreement.of([1.0, -1.0, 2.0, 0.0, 3.0, 1.0])
        >>> found.bias, round(found.low, 2), round(found.high, 2)
        (1.0, -1.77, 3.77)
        """
        values = np.asarray(differences, dtype=np.float64)
        bias = float(values.mean())
        sd = float(values.std(ddof=1)) if len(values) >= least_patients() else math.nan
        return cls(
            bias=bias,
            sd=sd,
            low=bias - WITHIN * sd,
            high=bias + WITHIN * sd,
            mean_absolute=float(np.abs(values).mean()),
        )
