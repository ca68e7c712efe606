"""Golden vectors: read back as written, never trusted about sizes."""

from __future__ import annotations

import contextlib
import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from brainseg_runtime.bundles.golden import Answer, GoldenCase, decode, encode
from brainseg_runtime.contract import Limits
from brainseg_runtime.errors import BrainsegError, BundleSchemaError
from tests.runtime.tiny import TINY

DATA = (TINY / "golden.npz").read_bytes()


def case(shape: tuple[int, int, int] = (1, 4, 5)) -> GoldenCase:
    """A case with one variant."""
    return GoldenCase(
        image=np.arange(np.prod(shape) * 3, dtype=np.uint8).reshape(*shape, 3),
        answers={"fp32": Answer(mask=np.ones(shape, np.uint8), probability=np.full(shape, 0.5, np.float32))},
    )


def archive(arrays: dict[str, NDArray[np.generic] | bytes]) -> bytes:
    """A ZIP of NPY files, as an attacker would make it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, value in arrays.items():
            data = io.BytesIO()
            if isinstance(value, bytes):
                data.write(value)
            else:
                np.save(data, value)
            file.writestr(name, data.getvalue())
    return buffer.getvalue()


def parts(**changed: NDArray[np.generic] | bytes) -> dict[str, NDArray[np.generic] | bytes]:
    """A sound archive's entries, some of them changed."""
    entries: dict[str, NDArray[np.generic] | bytes] = {
        "000.image.npy": np.zeros((1, 2, 2, 3), np.uint8),
        "000.fp32.mask.npy": np.zeros((1, 2, 2), np.uint8),
        "000.fp32.probability.npy": np.zeros((1, 2, 2), np.float32),
    }
    return entries | {name.replace("_", ".") + ".npy": value for name, value in changed.items()}


def test_cases_come_back_in_order() -> None:
    made = [case(), case((2, 3, 7))]
    found = decode(encode(made))
    assert [c.image.shape for c in found] == [(1, 4, 5, 3), (2, 3, 7, 3)]
    for a, b in zip(made, found, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.answers["fp32"].probability, b.answers["fp32"].probability)
        np.testing.assert_array_equal(a.answers["fp32"].mask, b.answers["fp32"].mask)


def test_equal_cases_give_equal_bytes() -> None:
    assert encode([case()]) == encode([case()])


def test_a_sound_archive_is_read() -> None:
    assert len(decode(archive(parts()))) == 1


@pytest.mark.parametrize(
    "entries",
    [
        parts(**{"000_image": np.zeros((1, 2, 2, 3), np.float32)}),
        parts(**{"000_image": np.zeros((2, 2, 3), np.uint8)}),
        parts(**{"000_image": np.asfortranarray(np.zeros((1, 2, 2, 3), np.uint8))}),
        parts(**{"000_fp32_mask": np.zeros((1, 2, 3), np.uint8)}),
        parts(**{"000_fp32_mask": np.array([{"a": 1}])}),
        parts(**{"001_fp32_mask": np.zeros((1, 2, 2), np.uint8)}),
        parts(**{"000_image": b"no array"}),
        parts(evil=np.zeros(1, np.uint8)),
        {"000.image.npy": np.zeros((1, 2, 2, 3), np.uint8)},
        {"../000.image.npy": np.zeros((1, 2, 2, 3), np.uint8)},
    ],
)
def test_what_is_no_golden_vector_is_refused(entries: dict[str, NDArray[np.generic] | bytes]) -> None:
    with pytest.raises(BundleSchemaError):
        decode(archive(entries))


def test_a_header_that_claims_too_much_allocates_nothing() -> None:
    data = io.BytesIO()
    np.lib.format.write_array_header_1_0(data, {"descr": "|u1", "fortran_order": False, "shape": (10**15, 3)})
    with pytest.raises(BundleSchemaError, match="plain uint8"):
        decode(archive(parts(**{"000_image": data.getvalue()})))


def test_a_bomb_is_refused_by_what_it_would_become() -> None:
    bomb = archive(parts(**{"000_image": b"0" * 30_000_000}))
    assert len(bomb) < 100_000
    with pytest.raises(BundleSchemaError, match="bytes"):
        decode(bomb, limits=Limits(max_golden_bytes=1 << 20))


@given(at=st.integers(0, len(DATA) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_gives_cases_or_an_error_of_ours(at: int, bit: int) -> None:
    data = bytearray(DATA)
    data[at] ^= 1 << bit
    with contextlib.suppress(BrainsegError):
        decode(bytes(data))
