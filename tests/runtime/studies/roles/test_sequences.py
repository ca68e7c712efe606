"""Headers after the habits of five makers: FLAIR, T1, or neither, as a radiographer would say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brainseg_runtime.studies.roles.contrast import has_agent
from brainseg_runtime.studies.roles.sequences import what_is
from brainseg_runtime.studies.roles.wording import contrast_named
from brainseg_runtime.studies.series import SeriesHeader
from tests.runtime.studies.made_headers import FIRST, SECOND, THIRD, Made

FLAIR_TIMES = SeriesHeader(
    modality="MR", scanning_sequence=("SE", "IR"), repetition_ms=9000, echo_ms=90, inversion_ms=2500
)


@pytest.mark.parametrize(
    "made", [*FIRST, *SECOND, *THIRD], ids=lambda made: f"{made.header.manufacturer}-{made.header.description}"
)
def test_a_header_is_what_a_radiographer_says(made: Made) -> None:
    found = what_is(made.header)
    if found.kind == "t1":
        assert made.truth in ("t1", "pre", "post")
        told = contrast_named(made.header.description) or ("post" if has_agent(made.header) else "t1")
        assert told == made.truth
    else:
        assert found.kind == made.truth


def test_there_are_headers_enough_of_each_maker() -> None:
    assert len(SECOND) >= 60
    assert len({made.header.manufacturer for made in SECOND}) == 5


def test_tags_decide_without_a_description() -> None:
    without = [made for made in (*FIRST, *SECOND) if made.truth == "flair" and made.header.inversion_ms]
    assert len(without) > 15
    for made in without:
        assert what_is(replace(made.header, description="", protocol="")).kind == "flair"


def test_the_description_decides_without_tags() -> None:
    for made in (*FIRST, *SECOND):
        if made.truth == "flair" and "flair" in made.header.description.lower():
            assert what_is(SeriesHeader(description=made.header.description)).kind == "flair"


def test_geometry_words_of_an_examination_say_nothing_of_a_series() -> None:
    """GE's ProtocolName is that of the whole examination."""
    header = SeriesHeader(modality="MR", description="Ax T2 frFSE", protocol="BRAIN FLAIR T1 W WO")
    assert what_is(header).kind == "other"


@pytest.mark.parametrize(
    ("description", "times", "possible"),
    [
        ("AX FLAIR", (500.0, 10.0, None), "flair"),
        ("T1 SE AX", (9000.0, 90.0, 2500.0), "flair"),
        ("T1 SE AX", (5000.0, 100.0, None), "t1"),
        ("AX FLAIR", (4000.0, 40.0, 150.0), "flair"),
    ],
)
def test_contradictions_are_not_used_but_told(
    description: str, times: tuple[float, float, float | None], possible: str
) -> None:
    sequence = ("SE",) if times[2] is None else ("SE", "IR")
    found = what_is(SeriesHeader(
        modality="MR", description=description, scanning_sequence=sequence,
        repetition_ms=times[0], echo_ms=times[1], inversion_ms=times[2],
    ))  # fmt: skip
    assert (found.kind, found.possible) == ("other", possible)
    assert "contradiction" in found.reason


@pytest.mark.parametrize("inversion", [0.0, -1.0, float("nan"), 1.79e308])
def test_an_absurd_inversion_time_is_none(inversion: float) -> None:
    assert what_is(replace(FLAIR_TIMES, description="FLAIR", inversion_ms=inversion)).kind == "flair"
    assert what_is(replace(FLAIR_TIMES, inversion_ms=inversion)).possible == "flair"


def test_fat_suppression_is_told() -> None:
    assert what_is(replace(FLAIR_TIMES, scan_options=("IR", "FS"))).fat_suppressed
    assert what_is(replace(FLAIR_TIMES, description="FLAIR SPIR")).fat_suppressed
    assert not what_is(FLAIR_TIMES).fat_suppressed


@pytest.mark.parametrize(
    "image_type",
    [("DERIVED", "PRIMARY", "MPR"), ("DERIVED", "SECONDARY"), ("ORIGINAL", "SECONDARY"),
     ("ORIGINAL", "PRIMARY", "P", "ND"), ("ORIGINAL", "PRIMARY", "LOCALIZER"),
     ("DERIVED", "PRIMARY", "PROJECTION IMAGE", "M_SE")],
)  # fmt: skip
def test_derived_images_are_left_out(image_type: tuple[str, ...]) -> None:
    for lossy in (False, True):
        found = what_is(replace(FLAIR_TIMES, description="AX FLAIR", image_type=image_type, lossy=lossy))
        assert found.kind == "other"
        assert "ImageType" in found.reason


def test_images_that_are_derived_by_lossy_compression_alone_are_taken() -> None:
    derived = replace(FLAIR_TIMES, image_type=("DERIVED", "PRIMARY", "M", "ND"))
    assert what_is(derived).kind == "other"
    assert what_is(replace(derived, lossy=True)).kind == "flair"
