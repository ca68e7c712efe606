"""Descriptions in four languages: what they name, and words that look alike but mean something else."""

from __future__ import annotations

import pytest

from brainseg_runtime.studies.roles.wording import (
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
    "T1 AX C-", "T1 NC", "T1 oKM", "T1 o. KM", "T1 v. KM", "T1_tra_ohneKM", "T1 AX IV-", "T1 AX IV -", "T1 ss gado",
    "T1 S/CIV", "T1 S/GD", "T1 s/contraste", "T1 -C", "T1 C(-)", "T1 Gd(-) tra", "T1 non-gad", "T1 nonGd", "T1 NON CON",
    "T1 KM neg", "T1 before Gd", "T1 sem contraste", "T1 senza mdc", "T1 woGd", "T1 GAD-", "T1 PRE GD w/o FS",
    "T1 sans injection de gadolinium", "T1 pregad", "T1 GD- TRA",
)  # fmt: skip
POST = (
    "AX T1 POST", "T1 +C", "COR T1 C+", "T1C", "T1CE", "t1_ce_ax", "T1 Gd", "T1 w/ contrast", "T1 w/c", "T1 mit KM",
    "t1_tse +KM", "T1 nach KM-Gabe", "T1 KM", "T1 GADO", "3D T1 APRES GADO", "T1 INJ", "T1 CON CONTRASTE", "T1 +CIV",
    "T1 C/C", "post-op T1 +C", "T1 SE AX +", "T1 double dose gad", "sub-1_ce-gadolinium_T1w", "AX T1 FS +GD",
    "T1 mKM", "T1 m. KM", "T1 n. KM", "T1 nach i.v. KM", "T1 IV+", "T1 C(+)", "T1 (+)", "T1 CON CTE", "T1W_FFE+C",
    "T1w+c", "T1 POST GAD W/O FS", "T1 post without fatsat", "T1 KM ohne FS", "T1 GADO SANS FATSAT",
    "T1 CON CONTRASTE SIN SAT", "T1 +C W/O FAT SAT", "T1 C+ pre-op", "T1 SE tra - KM",
)  # fmt: skip
NEITHER = (
    "AX T1", "T1 SE post-op", "T1 pre op navigation", "T1 post RT", "AX T1 AC-PC", "T1 PRESAT", "AX T1 POST FOSSA",
    "T1 W/WO", "T1 with and without", "T1 mit und ohne KM", "T1 con y sin contraste", "T1 pre/post", "T1 posterior",
    "T1 high contrast", "sub-post1_T1w", "MPRAGE w/ GRAPPA",
    "T1 +/- KM", "T1 C-/C+", "T1 -/+ Gd", "T1 Gd nativ", "T1 GD PRE GK", "MPRAGE iso 1.0+", "T1 sat+", "T1 w/o FS",
    "T1 tra 3mm + MPR",
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
    "mDIXON T1W GD F", "FAT: AX LAVA-Flex", "OutPhase: AX LAVA-Flex", "t1_vibe_dixon_tra_opp", "AX T1 IAC",
])  # fmt: skip
def test_what_is_never_used_is_told(text: str) -> None:
    assert why_left_out(text) is not None


@pytest.mark.parametrize("text", [
    "3D FLAIR isotropic", "T1 FLOW COMP", "T1 double dose GAD", "FLAIR orbitomeatal", "FLAIR DRIVE", "T1 SAG MIDLINE",
    "T1 spin echo", "sub-01_FLAIR", "T1 SE subject 4", "FLAIR resampled",
    "mDIXON T1W GD W", "t1_tse_dixon_tra_KM_W", "AX FLAIR BRAIN/IAC", "AX T1 BRAIN + ORBITS", "t2 flair reporting",
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
