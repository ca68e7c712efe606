"""Bins for probabilities that follow the binary form of float32: finest near 0 and 1.

The first `bits` bits of the mantissa give the bin: 2**bits equal bins in every octave [2**-k, 2**-(k - 1)) of a
probability below 1/2, and from 1/2 up the mirror image of the same bins in 1 - probability. Everything below 2**-24,
which is float32's own spacing next to 1, shares the lowest bin; 1/2 and 1 have bins of their own.

Legend: B bins.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.errors import DataError

MAX_BITS: Final = 16
"""Finest bins: three million, 46 MiB for a histogram."""

_MANTISSA: Final = 23  # mantissa bits of float32
_OCTAVES: Final = 23  # of [2**-24, 1/2)
_HALF: Final = 0x3F000000  # float32 1/2 as an integer
_LEAST: Final = _HALF - (_OCTAVES << _MANTISSA)  # float32 2**-24 as an integer
_STEP: Final = 2.0**-24  # float32's spacing from 1/2 to 1


def n_bins(bits: int) -> int:
    """Number of bins of a fineness: 23 octaves on either side of 1/2, and one bin each for 0, 1/2 and 1.

    >>> n_bins(10), n_bins(4)
    (47107, 739)

    Raises:
        DataError: `bits` is not from 0 to 16.
    """
    if not 0 <= bits <= MAX_BITS:
        raise DataError("the number of bits is out of range", expected=f"0 to {MAX_BITS}", got=bits)
    return 2 * (_OCTAVES << bits) + 3


def bin_index(probability: NDArray[np.float32], bits: int) -> NDArray[np.int32]:
    """Bin of each probability.

    Args:
        probability: (n,) float32 in [0, 1]; not checked.
        bits: Fineness, from 0 to 16.

    Returns:
        (n,) int32, rising with the probability.
    """
    distance = np.float32(1.0) - probability  # exact from 1/2 up, and not used below
    np.minimum(distance, probability, out=distance)
    index: NDArray[np.int32] = distance.view(np.int32)
    index >>= np.int32(_MANTISSA - bits)
    index -= np.int32((_LEAST >> (_MANTISSA - bits)) - 1)
    np.maximum(index, 0, out=index)
    upper = np.flatnonzero(probability >= np.float32(0.5))  # few pixels, as a rule
    index[upper] = np.int32(n_bins(bits) - 1) - index[upper]
    return index


@functools.lru_cache(maxsize=4)
def bin_edges(bits: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest float32 that each bin takes.

    Above 1/2 a fine bin can lie between two neighbouring float32 and take none; its lowest is then above its highest.
    Lowest values never fall from bin to bin.

    Args:
        bits: Fineness, from 0 to 16.

    Returns:
        Two (B,) float64 arrays, read-only.
    """
    shift = _MANTISSA - bits
    first = _LEAST + (np.arange(_OCTAVES << bits, dtype=np.int64) << shift)
    low, high = _floats(first), _floats(first + (1 << shift) - 1)
    near, far = 1.0 - np.ceil(low / _STEP) * _STEP, 1.0 - np.floor(high / _STEP) * _STEP
    below_least = float(np.nextafter(np.float32(_STEP), np.float32(0.0)))
    lows = np.concatenate([[0.0], low, [0.5], far[::-1], [1.0]])
    highs = np.concatenate([[below_least], high, [0.5], near[::-1], [1.0]])
    lows.flags.writeable = highs.flags.writeable = False
    return lows, highs


@functools.lru_cache(maxsize=4)
def bins_of_one_value(bits: int) -> NDArray[np.bool_]:
    """(B,) bool, read-only: the bins that take no more than one float32, so that pixels in them are truly tied."""
    low, high = bin_edges(bits)
    single = low >= high
    single.flags.writeable = False
    return single


def coarse_starts(fine: int, bits: int) -> NDArray[np.int64]:
    """Where, among the bins of one fineness, the bins of a coarser one begin.

    Args:
        fine: Fineness of the bins at hand.
        bits: The coarser fineness.

    Returns:
        (n_bins(bits),) int64, rising.

    Raises:
        DataError: `bits` is finer than `fine`.
    """
    if bits > fine:
        raise DataError("bins cannot be made finer", expected=f"at most {fine} bits", got=bits)
    side = np.arange(_OCTAVES << bits, dtype=np.int64) << (fine - bits)
    half = (_OCTAVES << fine) + 1
    return np.concatenate([[0], side + 1, [half], half + 1 + side, [2 * half]])


def _floats(integers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Float32 numbers from their binary form."""
    return integers.astype(np.uint32).view(np.float32).astype(np.float64)
