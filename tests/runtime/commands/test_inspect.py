"""`brainseg inspect`, run as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from brainseg_runtime.studies import read_study
from tests.runtime.command_line import brainseg
from tests.schemas.validation import violations
from tests.studies_made.nifti import write_nifti
from tests.studies_made.series import write_series, write_study
from tests.studies_made.shapes import as_acquired, axial_grid, made_head, turned
from tests.studies_made.tags import BY_ROLE, FLAIR, LOCALISER
from tests.studies_made.uids import made_uid

pytest.importorskip("pydicom")

GRID = axial_grid((5, 40, 48), spacing=(6.0, 4.5, 4.0))
HEAD = made_head(GRID)
VOLUMES = {role: getattr(HEAD, role) for role in BY_ROLE}


def test_it_shows_each_series_its_role_and_why(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", VOLUMES, GRID)
    write_series(study / "localiser", HEAD.pre[:3], GRID, tags=LOCALISER)
    done = brainseg("inspect", study, "--json", tmp_path / "j.json")
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "j.json").read_text(encoding="utf-8"))
    assert not violations("inspection", found)
    assert found["usable"] is True
    (told,) = found["studies"]
    roles = {series["description"]: series["role"] for series in told["series"]}
    assert roles == {"AX FLAIR": "flair", "AX T1": "pre", "AX T1 POST GD": "post", "3-plane localizer": None}
    flair = next(series for series in told["series"] if series["role"] == "flair")
    assert (flair["shape"], flair["spacing_mm"], flair["plane"], flair["files"]) == (
        [5, 40, 48],
        [6, 4.5, 4],
        "axial",
        5,
    )
    assert "AX FLAIR" in done.out
    assert "can be segmented" in done.out


@pytest.mark.parametrize(
    "names", [("x-t2f", "x-t1n", "x-t1c"), ("U_FLAIR", "U_T1", "U_T1c", "U_FLAIR_bias", "U_T1_bias", "U_FLAIR_seg")]
)
def test_nifti_files_have_the_roles_that_predict_gives_them(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        write_nifti(tmp_path / "case" / f"{name}.nii.gz", HEAD.flair.astype("int16"), GRID)
    done = brainseg("inspect", tmp_path / "case", "--json", "-")
    assert done.code == 0, done.err
    (told,) = json.loads(done.out)["studies"]
    roles = {series["role"]: Path(series["uid"]).name for series in told["series"] if series["role"]}
    assert roles == {role: f"{name}.nii.gz" for role, name in zip(("flair", "pre", "post"), names, strict=False)}
    study = read_study(tmp_path / "case")
    assert roles == {role: each.paths[0].name for role, each in study.roles.items()}


def test_two_candidates_are_listed_and_one_can_be_chosen(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", VOLUMES, GRID)
    write_series(study / "again", HEAD.flair, GRID, tags={**FLAIR, "SeriesNumber": 9, "SeriesDescription": "COR FLAIR"})
    done = brainseg("inspect", study)
    assert done.code == 1
    assert "COR FLAIR" in done.out
    assert "could be FLAIR" in done.err
    assert "cannot be segmented as it is" in done.out
    assert brainseg("inspect", study, "--flair", 9).code == 0


def test_one_bad_study_does_not_hide_the_other(tmp_path: Path) -> None:
    write_study(tmp_path / "all" / "good", VOLUMES, GRID)
    bad = {"StudyInstanceUID": made_uid("bad")}
    write_study(tmp_path / "all" / "bad", {"pre": HEAD.pre}, GRID, tags=bad)
    done = brainseg("inspect", tmp_path / "all", "--json", tmp_path / "j.json")
    found = json.loads((tmp_path / "j.json").read_text(encoding="utf-8"))
    assert done.code == 1
    assert sorted(each["usable"] for each in found["studies"]) == [False, True]
    assert not violations("inspection", found)


@pytest.mark.parametrize("plane", ["sagittal", "coronal"])
def test_planes_are_named(tmp_path: Path, plane: str) -> None:
    voxels, grid = as_acquired(HEAD.flair, turned(GRID, degrees=(15, 0, 0)), plane)  # type: ignore[arg-type]
    write_series(tmp_path / "study", voxels, grid)
    done = brainseg("inspect", tmp_path / "study", "--json", "-")
    (told,) = json.loads(done.out)["studies"]
    assert told["series"][0]["plane"].startswith(plane)


def test_files_that_were_not_read_are_named_even_with_quiet(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", VOLUMES, GRID)
    (study / "letter.txt").write_text("dear", encoding="utf-8")
    (study / "cut.dcm").write_bytes(next(study.rglob("*.dcm")).read_bytes()[:400])
    done = brainseg("inspect", study, "--json", tmp_path / "j.json")
    (told,) = json.loads((tmp_path / "j.json").read_text(encoding="utf-8"))["studies"]
    assert "letter.txt" in "".join(told["left_out"])
    assert "cut.dcm" in "".join(told["warnings"])
    assert "left out: letter.txt" in done.out
    assert "cut.dcm" in done.err
    assert "cut.dcm" in brainseg("inspect", study, "--quiet").err


def test_a_folder_without_a_study_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    assert brainseg("inspect", tmp_path).code == 1
