"""LZW data prepared for libtiff, which decodes it, so that libtiff prints nothing and missing pixels are noticed.

libtiff writes to standard error when data is damaged or ends early. So the codes are followed here up to the last
possible one, and a tail is appended: a clear code, and one byte repeated as often as the segment can hold. Whole data
never reaches its tail. If the picture itself ends with the tail's byte, it is decoded again with another one.

The width of a code depends only on its number since the last clear code, so a run of codes is cut out in a few array
operations; nothing is decompressed here. Decision 22 says why libtiff is not called on the data as it is.

Source: TIFF revision 6.0, section 13; libtiff's note on the least-significant-bit-first form of before 1992.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

_CLEAR, _END, _FIRST = 256, 257, 258
_RUN: Final = 4096 - _FIRST + 1  # codes until a table of 12-bit codes is full: the first adds no entry
_FEWEST: Final = 128
"""Codes of a run, on average over a segment; writers clear their table after hundreds or thousands."""
_RUNS: Final = 1000  # however short they are


def is_old_style(segment: bytes) -> bool:
    """Whether codes begin in the lowest bit, as before 1992; the clear code at the start shows it."""
    return len(segment) > 1 and segment[0] == 0 and segment[1] & 1 == 1


def with_tail(segment: bytes, need: int, byte: int) -> bytes | None:
    """A segment's codes, followed by a tail.

    Args:
        segment: One strip's or tile's data.
        need: Bytes that are wanted of it, at least 1.
        byte: What the tail decodes to, `need` times or more.

    Returns:
        Data in which every code is possible. It decodes to what the segment stands for, up to its end or its first
        impossible code, and then to the tail. None where no code is possible at all.
    """
    end = _followed(segment, need)
    if not end:
        return None
    # A clear code of every width reads the same whatever width the reader is at: the tail begins with one of its own.
    position, width = end
    old = is_old_style(segment)
    tail, bits = _tail(need, byte, old)
    whole, rest = divmod(position, 8)
    if old:
        kept = int.from_bytes(segment[whole : whole + 1]) & ((1 << rest) - 1)
        value = kept | _CLEAR << rest | tail << (rest + width)
        return segment[:whole] + value.to_bytes((rest + width + bits + 7) // 8, "little")
    kept = int.from_bytes(segment[whole : whole + 1]) >> (8 - rest)
    value = ((kept << width | _CLEAR) << bits) | tail
    size = rest + width + bits
    return segment[:whole] + (value << -size % 8).to_bytes((size + 7) // 8, "big")


def _followed(segment: bytes, need: int) -> tuple[int, int] | None:
    """The bit behind the last code that is possible, and the width of the code that would begin there."""
    old = is_old_style(segment)
    widths, starts = _OLD if old else _NEW
    # Three bytes from each place on; a code of 12 bits lies within them wherever it begins.
    data = np.frombuffer(segment + bytes(2), np.uint8).astype(np.int32)
    parts = data[:-2], data[1:-1], data[2:]
    low, middle, high = parts if old else parts[::-1]
    words = low | (middle << 8) | (high << 16)
    total, at, left = 8 * len(segment), 0, need
    for _ in range(_RUNS + need // _FEWEST):
        # No more codes than could be needed: each stands for a byte or more.
        count = min(int(np.searchsorted(starts, total - at, side="right")) - 1, _RUN, left + 1)
        if count <= 0:
            break
        positions, width = starts[:count] + at, widths[:count]
        shift = positions & 7
        codes = (words[positions >> 3] >> (shift if old else 24 - shift - width)) & ((1 << width) - 1)
        if not at and codes[0] != _CLEAR:  # every writer begins with it, and libtiff's table is empty until then
            return None
        # A code may name any entry made before it, and the one that it is itself about to make; the first, none.
        stops = (codes & ~1) == _CLEAR
        stops |= codes - _FIRST > _LATEST[:count]
        end = int(stops.argmax()) if stops.any() else min(count, _RUN - 1)
        if end == count or codes[end] != _CLEAR:
            return at + int(starts[end]), int(widths[end])
        left -= end
        at += int(starts[end + 1])
    return (at, int(widths[0])) if at else None


@lru_cache(maxsize=16)
def _tail(need: int, byte: int, old: bool) -> tuple[int, int]:
    """The codes of a byte, `need` times over, behind a clear code: as a number, and how many bits it has.

    Each code but the first names the entry that it is itself about to make, one byte longer than the one before.
    """
    count = 1
    while count * (count + 1) // 2 < need and count < _RUN - 1:
        count += 1
    widths = (_OLD if old else _NEW)[0]
    codes = itertools.chain((byte,), range(_FIRST, _FIRST + count - 1), (_END,))
    value = bits = 0
    for code, width in zip(codes, widths.tolist(), strict=False):
        value = value | code << bits if old else value << width | code
        bits += width
    return value, bits


def _table(change: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Widths of the codes after a clear code, and the bits at which they start; a width ends `change` entries early."""
    entries = _FIRST + np.maximum(0, np.arange(_RUN) - 1)
    widths = np.select([entries < (1 << bits) - change for bits in (9, 10, 11)], [9, 10, 11], 12).astype(np.int32)
    return widths, np.concatenate([[0], np.cumsum(widths)]).astype(np.int32)


_NEW: Final = _table(1)
_OLD: Final = _table(0)
_LATEST: Final = np.arange(-1, _RUN, dtype=np.int32)
