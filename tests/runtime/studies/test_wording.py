"""Descriptions in four languages: what they name, and words that look alike but mean something else."""

from __future__ import annotations

import pytest

from brainseg_runtime.studies.wording import (
    contrast_named,
    names_fat_suppression,
    names_flair,
    names_reformat,
    names_t1,
    why_left_out,
)

PRE = (
    "AX T1 PRE", "T1 W/O", "T1 w/o contrast", "T1 ohne KM", "t1_se_tra_nativ", "T1 vor KM", "T1 SANS INJ",
    "T1 avant gado", "T1 AXIAL NATIF", "T1 SIN CONTRASTE", "T1 S/C", "T1 sin civ", "T1 non-enhanced", "T1 pre Gd",
    "T1 AX C-", "T1 NC",
)  # fmt: skip
POST = (
    "AX T1 POST", "T1 +C", "COR T1 C+", "T1C", "T1CE", "t1_ce_ax", "T1 Gd", "T1 w/ contrast", "T1 w/c", "T1 mit KM",
    "t1_tse +KM", "T1 nach KM-Gabe", "T1 KM", "T1 GADO", "3D T1 APRES GADO", "T1 INJ", "T1 CON CONTRASTE", "T1 +CIV",
    "T1 C/C", "post-op T1 +C", "T1 SE AX +", "T1 double dose gad", "sub-1_ce-gadolinium_T1w", "AX T1 FS +GD",
)  # fmt: skip
NEITHER = (
    "AX T1", "T1 SE post-op", "T1 pre op navigation", "T1 post RT", "AX T1 AC-PC", "T1 PRESAT", "AX T1 POST FOSSA",
    "T1 W/WO", "T1 with and without", "T1 mit und ohne KM", "T1 con y sin contraste", "T1 pre/post", "T1 posterior",
    "T1 high contrast", "sub-post1_T1w", "MPRAGE w/ GRAPPA",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "contrast"),
    [*((t, "pre") for t in PRE), *((t, "post") for t in POST), *((t, None) for t in NEITHER)],
)
def test_words_on_contrast(text: str, contrast: str | None) -> None:
    assert contrast_named(text) == contrast


@pytest.mark.parametrize("text", [
    "Localizer", "LOCALIZADOR", "REPERAGE", "Survey", "3-pl T2 FGRE", "AAHead_Scout", "DIFUSION", "Diffusionsgewichtet",
    "ADC", "b1000", "SWI", "T2*", "t2_fl2d_tra_hemo", "rCBV", "pCASL", "TOF", "Angio", "T1 Subtraktion", "SOUSTRACTION",
    "RESTA T1", "SUSTRACCION", "mIP", "Screen Save", "T1 map", "MAGiC FLAIR", "T1 Hypophyse KM", "t2 STIR", "t2 ciss3d",
])  # fmt: skip
def test_what_is_never_used_is_told(text: str) -> None:
    assert why_left_out(text) is not None


@pytest.mark.parametrize("text", [
    "3D FLAIR isotropic", "T1 FLOW COMP", "T1 double dose GAD", "FLAIR orbitomeatal", "FLAIR DRIVE", "T1 SAG MIDLINE",
    "T1 spin echo", "sub-01_FLAIR", "T1 SE subject 4", "FLAIR resampled",
])  # fmt: skip
def test_words_that_look_alike_leave_nothing_out(text: str) -> None:
    if "subject" not in text:
        assert why_left_out(text) is None
    assert names_flair(text) or names_t1(text)


def test_names_of_sequences() -> None:
    assert names_flair("t2_tirm_tra_dark-fluid")
    assert names_flair("t2_spc_ir_sag")
    assert not names_flair("t2_tirm_cor_fs")
    assert names_t1("sT1W_3D_TFE")
    assert not names_t1("T1rho") or why_left_out("T1rho") is not None
    assert names_fat_suppression("FLAIR saturación grasa")
    assert names_fat_suppression("t2_tirm_fs")
    assert not names_fat_suppression("FLAIR tra")


def test_siemens_name_of_mprage_is_no_reformat() -> None:
    assert names_reformat("FLAIR MPR tra")
    assert not names_reformat("t1_mpr_ns_sag_p2_iso")
