"""LZW data with a tail behind it decodes to the data and then to the tail, whatever it is and wherever it is cut."""

from __future__ import annotations

import time

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.images.tiff.lzw import is_old_style, with_tail
from tests.runtime.images.made_tiffs import lzw, old_lzw

TAIL = 0xA5


@st.composite
def data(draw: st.DrawFn) -> bytes:
    """Bytes of few or many values, in runs or not, of up to several tables' length."""
    size, values, run = draw(st.integers(1, 30_000)), draw(st.integers(1, 256)), draw(st.integers(1, 50))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    return bytes(np.repeat(random.integers(0, values, size // run + 1, dtype=np.uint8), run)[:size].tobytes())


def tailed(packed: bytes, need: int) -> bytes:
    """What the data with its tail decodes to, by a decoder that fails on impossible codes."""
    made = with_tail(packed, need, TAIL)
    assert made is not None
    return bytes(imagecodecs.lzw_decode(made, out=4 * need + 100_000))


@given(data(), st.integers(0, 5000))
def test_whole_data_is_followed_by_the_tail_and_nothing_else(plain: bytes, more: int) -> None:
    packed = lzw(plain)
    need = len(plain) + more
    found = tailed(packed, need + 1)
    assert found.startswith(plain)
    assert len(found) > need
    assert set(found[len(plain) :]) == {TAIL}
    assert not is_old_style(packed)


@given(data(), st.floats(0, 1))
def test_enough_of_the_data_is_kept_when_less_is_wanted(plain: bytes, share: float) -> None:
    need = max(1, int(share * len(plain)))
    assert tailed(lzw(plain), need)[:need] == plain[:need]


@given(data(), st.floats(0, 1, exclude_max=True))
def test_cut_data_is_a_part_of_it_and_then_the_tail(plain: bytes, where: float) -> None:
    packed = lzw(plain)
    cut = packed[: 2 + int(where * (len(packed) - 3))]
    found = tailed(cut, len(plain))
    end = len(found.rstrip(bytes([TAIL])))
    assert found[:end] == plain[:end]
    assert len(found) >= len(plain)
    assert found[len(plain) - 1] == TAIL or end == len(plain)


@given(data(), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=8))
def test_damaged_data_becomes_data_that_a_strict_decoder_takes(plain: bytes, flips: list[tuple[float, int]]) -> None:
    packed = bytearray(lzw(plain))
    for where, change in flips:
        packed[int(where * len(packed))] ^= change
    made = with_tail(bytes(packed), len(plain), TAIL)
    if made is not None and not is_old_style(made):
        assert len(imagecodecs.lzw_decode(made, out=4 * len(plain) + 100_000)) >= len(plain)


@pytest.mark.parametrize("size", [1, 254, 255, 256, 1000])
def test_the_form_of_before_1992_gets_a_tail_too(size: int) -> None:
    plain = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8).tobytes()
    packed = old_lzw(plain)
    assert is_old_style(packed)
    found = tailed(packed, size + 700)
    assert found[:size] == plain
    assert len(found) >= size + 700
    assert set(found[size:]) == {TAIL}
    if size > 1:
        assert set(tailed(packed[:-3], size + 700)[size:]) == {TAIL}


@pytest.mark.parametrize(
    "segment", [b"\0\0\0", b"\x40\x10\x08", b"", b"\x80"], ids=["no clear code", "other", "nothing", "half a code"]
)
def test_data_without_a_possible_code_is_told(segment: bytes) -> None:
    assert with_tail(segment, 10, TAIL) is None


def test_an_impossible_code_is_where_the_tail_begins() -> None:
    assert set(tailed(b"\x80\x7f\xff", 10)) == {TAIL}


def test_clear_codes_without_end_are_given_up() -> None:
    clear = int("100000000" * 8, 2).to_bytes(9, "big")
    begun = time.process_time()
    found = with_tail(clear * 200_000, 4096, TAIL)
    assert found is not None
    assert time.process_time() - begun < 10  # 0.1 s where it was written; 1.6 million codes one by one take minutes
