"""How many bytes LZW data stands for, without decoding it.

libtiff, which decodes it, writes to standard error when data is damaged or ends early; so it is handed only data that
was followed to its end here. The widths of codes depend on their number since the last clear code alone, so a run of
them is cut out in a few array operations.

Source: TIFF revision 6.0, section 13; libtiff's note on the least-significant-bit-first form of before 1992.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_CLEAR, _END, _FIRST = 256, 257, 258
_RUN: Final = 4096 - _FIRST + 1  # codes until a table of 12-bit codes is full: the first adds no entry


def is_old_style(segment: bytes) -> bool:
    """Whether codes begin in the lowest bit, as writers had it before 1992; told by the clear code in front."""
    return len(segment) > 1 and segment[0] == 0 and segment[1] & 1 == 1


def lzw_length(segment: bytes, need: int) -> int | None:
    """Bytes that a segment decodes to.

    Args:
        segment: One strip's or tile's data.
        need: It is followed until that many bytes are certain.

    Returns:
        At least `need` if they are all there, the number that is there if fewer, None if a code is impossible.
    """
    old = is_old_style(segment)
    widths, starts = _OLD if old else _NEW
    # Three bytes from each place on; a code of 12 bits lies within them wherever it begins.
    data = np.frombuffer(segment + bytes(2), np.uint8).astype(np.int32)
    parts = data[:-2], data[1:-1], data[2:]
    low, middle, high = parts if old else parts[::-1]
    words = low | (middle << 8) | (high << 16)
    total, at, made = 8 * len(segment), 0, 0
    while made < need:
        # No more codes than could be needed: each stands for a byte or more.
        count = min(int(np.searchsorted(starts, total - at, side="right")) - 1, _RUN, need - made + 1)
        if count <= 0:
            return made
        positions, width = starts[:count] + np.int32(at), widths[:count]
        shift = positions & 7
        codes = (words[positions >> 3] >> (shift if old else 24 - shift - width)) & ((1 << width) - 1)
        if not at and codes[0] != _CLEAR:  # every writer begins with it, and libtiff's table is empty until then
            return None
        stops = np.flatnonzero((codes & ~1) == _CLEAR)
        end = int(stops[0]) if stops.size else count
        strings = codes[:end] - _FIRST
        # A code may name any entry made before it, and the one that it is itself about to make.
        if end and (codes[0] >= _CLEAR or (strings > _LATEST[:end]).any()):
            return None
        made += _decoded_length(strings)
        if not stops.size:
            return made if made >= need or count < _RUN else None
        if codes[end] == _END:
            return made
        at += int(starts[end + 1])
    return made


def _decoded_length(strings: NDArray[np.int32]) -> int:
    """Sum of the lengths of the strings that codes stand for; below 0 is a single byte.

    Entry k is the string of code k and one byte more, so a string's length is the number of steps back to a single
    byte. They are counted for all codes at once, each round going twice as far.
    """
    count = strings.size
    steps = np.append(strings >= 0, False).astype(np.int32)
    back = np.append(np.where(strings >= 0, strings, count), count)
    while (back[:count] != count).any():
        steps += steps[back]
        back = back[back]
    return count + int(steps.sum(dtype=np.int64))


def _table(change: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Widths of the codes after a clear code, and the bits at which they start; a width ends `change` entries early."""
    entries = _FIRST + np.maximum(0, np.arange(_RUN) - 1)
    widths = np.select([entries < (1 << bits) - change for bits in (9, 10, 11)], [9, 10, 11], 12).astype(np.int32)
    return widths, np.concatenate([[0], np.cumsum(widths)]).astype(np.int32)


_NEW: Final = _table(1)
_OLD: Final = _table(0)
_LATEST: Final = np.arange(-1, _RUN, dtype=np.int32)
