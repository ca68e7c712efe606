"""Label and codes: what DICOM's strings cannot hold is refused."""

from __future__ import annotations

import pytest

from brainseg_runtime.errors import ArgumentError
from brainseg_runtime.studies.written.settings import Code, SegmentSettings


@pytest.mark.parametrize("label", ["", " x", "x" * 65, "a\\b", "Läsion", "a\nb", "\0"])
def test_a_label_that_does_not_fit_is_refused(label: str) -> None:
    with pytest.raises(ArgumentError, match="the segment's label is wrong"):
        SegmentSettings(label=label)


@pytest.mark.parametrize("text", ["", "1,SCT", ",SCT,Lesion", "1,,Lesion", "1,SCT,", "12345678901234567,SCT,x"])
def test_a_code_that_is_incomplete_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(ArgumentError):
        Code.parse(text)


def test_a_meaning_may_hold_commas() -> None:
    assert Code.parse("1, SCT, Neoplasm, primary").meaning == "Neoplasm, primary"


def test_a_colour_outside_bytes_is_refused() -> None:
    with pytest.raises(ArgumentError, match="colour"):
        SegmentSettings(colour=(0, 0, 256))
