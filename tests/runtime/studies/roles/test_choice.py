"""Roles in whole studies: found rightly, or an error that lists the candidates; never by order."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from brainseg_runtime.errors import GeometryError, RolesError, StudyError
from brainseg_runtime.studies.roles.choice import choose
from brainseg_runtime.studies.series import Series
from tests.runtime.studies.made_series import FLAIR, MPRAGE, T1, made_series


def roles(*series: Series, **by_hand: str | int | Path) -> dict[str, int | None]:
    """Series' numbers by role."""
    choices, _ = choose(series, **by_hand)
    assert [choice.series for choice in choices] == list(series)
    assert all(choice.reason for choice in choices)
    return {choice.role: choice.series.header.number for choice in choices if choice.role}


def test_a_tumour_protocol_in_any_order() -> None:
    study = (
        made_series(T1, 3, at=600), made_series(FLAIR, 4, at=900), made_series(T1, 9, at=2000, description="AX T1 +C"),
        made_series(T1, 1, at=10, description="localizer"),
    )  # fmt: skip
    for order in permutations(study):
        assert roles(*order) == {"flair": 4, "pre": 3, "post": 9}


def test_contrast_by_agent_tag() -> None:
    untimed = made_series(T1, 3, agent="NONE"), made_series(T1, 8, agent="Gadovist")
    timed = made_series(T1, 3, at=100, agent="NONE"), made_series(T1, 8, at=1000, agent="Gadovist")
    for t1s in (untimed, timed):
        assert roles(made_series(FLAIR, 2), *t1s) == {"flair": 2, "pre": 3, "post": 8}


def test_without_times_a_t1_numbered_after_contrast_is_not_guessed() -> None:
    study = made_series(FLAIR, 2), made_series(T1, 9), made_series(T1, 8, description="AX T1 +C")
    with pytest.raises(RolesError, match="series 9"):
        choose(study)


def test_an_agent_entered_for_the_whole_examination_does_not_beat_the_words() -> None:
    agent = "DOTAREM"
    study = (
        made_series(FLAIR, 2, agent=agent), made_series(T1, 3, agent=agent, description="T1 tra nativ"),
        made_series(T1, 8, agent=agent, description="T1 tra KM"),
    )  # fmt: skip
    assert roles(*study) == {"flair": 2, "pre": 3, "post": 8}


def test_contrast_by_time_after_perfusion() -> None:
    bolus = made_series(T1, 6, at=1200, description="ep2d_perf", scanning_sequence=("EP",))
    study = made_series(FLAIR, 2, at=60), bolus, made_series(T1, 3, at=300), made_series(T1, 8, at=1500)
    assert roles(*study) == {"flair": 2, "pre": 3, "post": 8}


def test_times_that_are_all_equal_tell_nothing_and_numbers_do() -> None:
    """As de-identification leaves them."""
    t1s = made_series(T1, 3, at=0), made_series(T1, 8, at=0, agent="Gadovist")
    assert roles(made_series(FLAIR, 2, at=0), *t1s) == {"flair": 2, "pre": 3, "post": 8}


def test_a_t1_after_contrast_is_never_pre() -> None:
    """The agent's tag was forgotten at the last series."""
    study = (
        made_series(FLAIR, 2, at=60), made_series(T1, 7, at=900, agent="Gadovist", description="COR T1"),
        made_series(T1, 8, at=1100),
    )  # fmt: skip
    choices, warnings = choose(study)
    assert "pre" not in {choice.role for choice in choices}
    assert any("no T1 before contrast" in warning for warning in warnings)


def test_two_like_t1s_far_apart_are_told_by_time_with_a_warning() -> None:
    study = made_series(FLAIR, 2, at=60), made_series(T1, 8, at=1500), made_series(T1, 3, at=300)
    choices, warnings = choose(study)
    assert {c.role: c.series.header.number for c in choices} == {"flair": 2, "pre": 3, "post": 8}
    assert any("time alone" in warning for warning in warnings)


@pytest.mark.parametrize("times", [(300, 420), (None, None), (300, None)])
def test_two_like_t1s_that_nothing_tells_apart_are_an_error(times: tuple[float | None, float | None]) -> None:
    study = made_series(FLAIR, 2, at=60), made_series(T1, 3, at=times[0]), made_series(T1, 4, at=times[1])
    with pytest.raises(RolesError, match=r"series 3.*series 4"):
        choose(study)
    assert roles(*study, pre=3, post=4) == {"flair": 2, "pre": 3, "post": 4}
    assert roles(*study, pre=3, post="none") == {"flair": 2, "pre": 3}


@pytest.mark.parametrize("change", [
    {}, {"plane": "coronal", "description": "COR FLAIR"}, {"at": 90_000.0},
    {"description": "AX FLAIR POST", "agent": "Gd"},
])  # fmt: skip
def test_two_flairs_are_an_error_that_lists_them(change: dict[str, object]) -> None:
    study = made_series(FLAIR, 2), made_series(FLAIR, 5, **change), made_series(T1, 3)  # type: ignore[arg-type]
    with pytest.raises(RolesError, match="2 series could be FLAIR") as caught:
        choose(study)
    assert "1.2.3.2" in str(caught.value)
    assert "1.2.3.5" in str(caught.value)
    assert roles(*study, flair=5)["flair"] == 5


def test_no_flair_is_an_error_that_says_why_of_each() -> None:
    study = made_series(T1, 3), made_series(FLAIR, 5, image_type=("DERIVED", "PRIMARY", "MPR"))
    with pytest.raises(RolesError, match="a reformat by its ImageType"):
        choose(study)
    assert roles(*study, flair=5) == {"flair": 5, "pre": 3}


def test_reformats_subtractions_and_diffusion_are_left_out_with_a_reason() -> None:
    study = (
        made_series(FLAIR, 2), made_series(T1, 3, description="T1 nativ"),
        made_series(T1, 8, description="T1 KM"), made_series(T1, 9, description="T1 SUB"),
        made_series(T1, 10, image_type=("DERIVED", "SECONDARY", "MPR")), made_series(T1, 11, diffusion_b=1000),
    )  # fmt: skip
    choices, _ = choose(study)
    reasons = {choice.series.header.number: choice.reason for choice in choices if choice.role is None}
    assert "subtraction" in reasons[9]
    assert "reformat" in reasons[10]
    assert "b-value" in reasons[11]


def test_of_several_t1s_the_one_like_flair_is_taken() -> None:
    study = (
        made_series(FLAIR, 2), made_series(MPRAGE, 3, plane="sagittal"), made_series(T1, 4),
        made_series(T1, 8, description="COR T1 +C", plane="coronal"), made_series(T1, 9, description="AX T1 +C FS"),
        made_series(T1, 10, description="AX T1 +C"), made_series(T1, 11, description="AX T1 +C", slices=3),
    )  # fmt: skip
    assert roles(*study) == {"flair": 2, "pre": 4, "post": 10}


def test_a_repeated_t1_is_the_later_one() -> None:
    study = made_series(FLAIR, 2), made_series(T1, 3, description="T1 pre"), made_series(T1, 4, description="T1 pre")
    assert roles(*study) == {"flair": 2, "pre": 4}


def test_missing_sequences_are_warned_of() -> None:
    choices, warnings = choose([made_series(FLAIR, 2)])
    assert [choice.role for choice in choices] == ["flair"]
    assert len(warnings) == 2
    assert all("missing sequence" in warning for warning in warnings)


@pytest.mark.parametrize("value", [3, "3", "1.2.3.3", "study/3", Path("study/3/1.dcm")])
def test_by_hand_with_a_number_a_uid_or_a_path(value: str | int | Path) -> None:
    study = made_series(FLAIR, 2), made_series(T1, 3, description="unknown"), made_series(T1, 4, description="T1 pre")
    assert roles(*study, post=value) == {"flair": 2, "pre": 4, "post": 3}


@pytest.mark.parametrize("value", [7, "nothing", Path("elsewhere"), "study"])
def test_a_series_by_hand_that_is_not_one_is_an_error(value: str | int | Path) -> None:
    with pytest.raises(RolesError, match="SeriesInstanceUID"):
        roles(made_series(FLAIR, 2), made_series(T1, 3), flair=value)


@pytest.mark.parametrize("role", ["flair", "pre", "post"])
@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_a_series_by_hand_of_another_modality_is_an_error(role: str, modality: str) -> None:
    study = made_series(FLAIR, 2), made_series(FLAIR, 7, modality=modality)
    with pytest.raises(StudyError, match=f"series 7.* is no MR image; expected modality MR; got {modality}"):
        roles(*study, **{role: 7})


def test_one_series_for_two_roles_is_an_error() -> None:
    with pytest.raises(RolesError, match="another role"):
        roles(made_series(FLAIR, 2), made_series(T1, 3), pre=3, post=3)


def test_a_faulty_flair_is_its_own_fault_and_a_faulty_t1_is_left_out() -> None:
    fault = GeometryError("a gap")
    with pytest.raises(GeometryError, match="a gap"):
        choose([made_series(FLAIR, 2, fault=fault), made_series(T1, 3)])
    choices, warnings = choose([made_series(FLAIR, 2), made_series(T1, 3, fault=fault)])
    assert "faulty" in choices[1].reason
    assert any('series 3 "AX T1" is faulty and left out' in warning for warning in warnings)
    _, quiet = choose([made_series(FLAIR, 2), made_series(T1, 3), made_series(T1, 4, fault=fault, agent="NONE"),
                       made_series(T1, 8, description="AX T1 +C")])  # fmt: skip
    assert not quiet
    assert any("T1 before contrast" in warning for warning in warnings)
    with pytest.raises(GeometryError):
        choose([made_series(FLAIR, 2), made_series(T1, 3, fault=fault)], pre=3)


@pytest.mark.parametrize(
    ("part", "warned"), [("KNEE", True), ("LSPINE", True), ("HEAD", False), ("SCHAEDEL", False), ("", False)]
)
def test_another_body_part_in_the_header_is_warned_of(part: str, *, warned: bool) -> None:
    _, warnings = choose([made_series(FLAIR, 2, body_part=part)])
    assert any(text.startswith("wrong body part") for text in warnings) == warned
