"""The length of LZW data is that of what libtiff's encoder was given, whatever it is and wherever it is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.images.lzw import is_old_style, lzw_length
from tests.runtime.images.made_tiffs import lzw, old_lzw


@st.composite
def data(draw: st.DrawFn) -> bytes:
    """Bytes of few or many values, in runs or not, of up to several tables' length."""
    size, values, run = draw(st.integers(1, 30_000)), draw(st.integers(1, 256)), draw(st.integers(1, 50))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    return bytes(np.repeat(random.integers(0, values, size // run + 1, dtype=np.uint8), run)[:size].tobytes())


@given(data())
def test_the_length_is_that_of_the_data(plain: bytes) -> None:
    packed = lzw(plain)
    assert lzw_length(packed, len(plain) + 1) == len(plain)
    assert (lzw_length(packed, len(plain)) or 0) >= len(plain)
    assert not is_old_style(packed)


@given(data(), st.floats(0, 1, exclude_max=True))
def test_cut_data_is_shorter_and_never_longer(plain: bytes, where: float) -> None:
    packed = lzw(plain)
    length = lzw_length(packed[: int(where * (len(packed) - 1))], len(plain))
    assert length is None or length <= len(plain)
    assert (lzw_length(packed[: len(packed) // 2], len(plain)) or 0) < len(plain) or len(plain) < 4


@pytest.mark.parametrize("size", [1, 254, 255, 256, 1000])
def test_the_form_of_before_1992_is_followed_too(size: int) -> None:
    plain = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8).tobytes()
    assert is_old_style(old_lzw(plain))
    assert lzw_length(old_lzw(plain), size + 1) == size


@pytest.mark.parametrize(
    "segment", [b"\x80\x7f\xff", b"\0\0\0", b"\x40\x10\x08"], ids=["a code not yet made", "no clear code", "other"]
)
def test_impossible_codes_are_told(segment: bytes) -> None:
    assert lzw_length(segment, 10) is None


def test_nothing_is_no_data() -> None:
    assert lzw_length(b"", 1) == 0
    assert lzw_length(b"\x80", 1) == 0
