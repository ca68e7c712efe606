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
    data = np.frombuffer(segment + bytes(3), np.uint8).astype(np.uint32)
    total, at, made = 8 * len(segment), 0, 0
    while made < need:
        # No more codes than could be needed: each stands for a byte or more.
        count = min(int(np.searchsorted(starts, total - at, side="right")) - 1, _RUN, need - made + 1)
        if count <= 0:
            return made
        codes = _codes(data, at + starts[:count], widths[:count], old=old)
        if not at and codes[0] != _CLEAR:  # every writer begins with it, and libtiff's table is empty until then
            return None
        stops = np.flatnonzero((codes == _CLEAR) | (codes == _END))
        end = int(stops[0]) if stops.size else count
        strings = codes[:end] - _FIRST
        # A code may name any entry made before it, and the one that it is itself about to make.
        if end and (codes[0] >= _CLEAR or (strings > np.arange(-1, end - 1)).any()):
            return None
        made += _decoded_length(strings.tolist(), need - made)
        if not stops.size:
            return made if made >= need or count < _RUN else None
        if codes[end] == _END:
            return made
        at += int(starts[end + 1])
    return made


def _codes(
    data: NDArray[np.uint32], positions: NDArray[np.int64], widths: NDArray[np.int64], *, old: bool
) -> NDArray[np.int64]:
    """The codes at bit positions; each lies within three bytes."""
    first, shift = positions >> 3, positions & 7
    one, two, three = data[first], data[first + 1], data[first + 2]
    mask = (1 << widths) - 1
    bits = (three << 16) | (two << 8) | one if old else (one << 16) | (two << 8) | three
    codes: NDArray[np.int64] = (bits >> (shift if old else 24 - shift - widths)) & mask
    return codes


def _decoded_length(strings: list[int], enough: int) -> int:
    """Sum of the lengths of the strings that codes stand for; below 0 is a single byte."""
    lengths: list[int] = []
    total = 0
    for entry in strings:
        # Entry k is the string of code k and one byte more.
        length = 1 if entry < 0 else lengths[entry] + 1
        lengths.append(length)
        total += length
        if total >= enough:
            break
    return total


def _table(change: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Widths of the codes after a clear code, and the bits at which they start; a width ends `change` entries early."""
    entries = _FIRST + np.maximum(0, np.arange(_RUN) - 1)
    widths = np.select([entries < (1 << bits) - change for bits in (9, 10, 11)], [9, 10, 11], 12)
    return widths, np.concatenate([[0], np.cumsum(widths)])


_NEW: Final = _table(1)
_OLD: Final = _table(0)
