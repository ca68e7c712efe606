"""Values are read from whatever a header holds, and what is no value counts as missing."""

from __future__ import annotations

import io
import struct

import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from brainseg_runtime.studies.dicom.elements import first, items, number, numbers, text, texts, uid, whole, word
from brainseg_runtime.studies.dicom.library import quiet

_DESCRIPTION = 0x0008103E
_ECHO = 0x00180081


def raw(tag: int, representation: bytes, value: bytes, *, charset: bytes = b"") -> Dataset:
    """A parsed dataset of one element."""
    data = b""
    if charset:
        data += struct.pack("<HH2sH", 8, 5, b"CS", len(charset)) + charset
    layout = "<HH2sHI" if representation == b"UN" else "<HH2sH"
    lengths = (0, len(value)) if representation == b"UN" else (len(value),)
    data += struct.pack(layout, tag >> 16, tag & 0xFFFF, representation, *lengths) + value
    with quiet():
        return read_dataset(io.BytesIO(data), False, True)


@pytest.mark.parametrize(
    ("value", "charset", "expected"),
    [
        (b"AX FLAIR \0", b"", "AX FLAIR"),
        (b"\0\0\0\0", b"", ""),
        (b"AX\0FLAIR\x07", b"", "AX FLAIR"),
        (b"Sch\xe4del", b"ISO_IR 100", "Schädel"),
        ("Schädel".encode(), b"ISO_IR 192", "Schädel"),
        (b"Sch\xe4del", b"ISO_IR 999", "Schädel"),
        (b"Sch\xe4del", b"ISO_IR 192", None),
        (b"\x1b$B$^$8$a\x1b(B", b"\\ISO 2022 IR 87", "まじめ"),
        (b"x" * 5000, b"", ""),
    ],
)
def test_text_is_decoded_and_cleaned(value: bytes, charset: bytes, expected: str | None) -> None:
    found = text(raw(_DESCRIPTION, b"LO", value, charset=charset), _DESCRIPTION)
    assert found.isprintable()
    if expected is not None:
        assert found == expected


@pytest.mark.parametrize(
    ("representation", "value", "expected"),
    [
        (b"DS", b"120\0", (120.0,)),
        (b"DS", b" 1.5 \\2e3 ", (1.5, 2000.0)),
        (b"DS", b"0.123456789012345678901", (0.123456789012345678901,)),
        (b"DS", b"1,5", ()),
        (b"DS", b"abc", ()),
        (b"DS", b"nan", ()),
        (b"DS", b"1\\inf", ()),
        (b"DS", b"", ()),
        (b"UN", b"120 ", (120.0,)),
        (b"FD", struct.pack("<2d", 1.5, -2.0), (1.5, -2.0)),
        (b"FD", struct.pack("<d", float("nan")), ()),
        (b"US", struct.pack("<H", 7), (7.0,)),
        (b"IS", b"12.0", (12.0,)),
    ],
)
def test_numbers_are_read_from_text_and_binary(
    representation: bytes, value: bytes, expected: tuple[float, ...]
) -> None:
    assert numbers(raw(_ECHO, representation, value), _ECHO) == expected


def test_missing_elements_have_no_value() -> None:
    dataset = raw(_ECHO, b"DS", b"1.5")
    assert text(dataset, _DESCRIPTION) == ""
    assert texts(dataset, _DESCRIPTION) == ()
    assert numbers(dataset, _DESCRIPTION) == ()
    assert number(dataset, _DESCRIPTION) is None
    assert items(dataset, _DESCRIPTION) == ()
    assert first(dataset, _ECHO) is None
    assert whole(dataset, _ECHO) is None
    assert whole(raw(_ECHO, b"DS", b"2.0"), _ECHO) == 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"1.2.840\0", "1.2.840"), (b"..", ""), (b"1..2", ""), (b"../etc", ""), (b"1." * 40 + b"1", ""), (b"Meyer", "")],
)
def test_uids_are_digits_and_dots_and_never_a_path(value: bytes, expected: str) -> None:
    assert uid(raw(0x0020000D, b"UI", value), 0x0020000D) == expected


@pytest.mark.parametrize(("signed", "expected"), [(True, -2000), (False, 63536)])
def test_padding_has_the_pixels_sign_whatever_the_file_says(signed: bool, expected: int) -> None:
    for representation in (b"US", b"SS"):
        dataset = raw(0x00280120, representation, struct.pack("<h", -2000))
        assert word(dataset, 0x00280120, signed=signed) == expected


def test_a_damaged_sequence_is_empty() -> None:
    data = struct.pack("<HH2sHI", 0x5200, 0x9230, b"SQ", 0, 12) + b"\xfe\xff\x00\xe0\xff\x00\x00\x00abcd"
    dataset = read_dataset(io.BytesIO(data), False, True)
    assert len(items(dataset, 0x52009230)) <= 1
    data = struct.pack("<HH2sHI", 0x5200, 0x9230, b"SQ", 0, 4) + b"junk"
    assert items(read_dataset(io.BytesIO(data), False, True), 0x52009230) == ()
