"""Headers of brain studies after the habits of five makers, each with what a radiographer would say it is.

`FIRST` was written beside the rules; `SECOND` afterwards, by a list of protocols, and was not used to write them. The
times, tags and image types are those that the makers' scanners write; descriptions are typed at hospitals in English,
German, French and Spanish.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from brainseg_runtime.studies.series import SeriesHeader


class Made(NamedTuple):
    """A header and what it is: "flair", "pre" or "post" (a T1, with what its words and agent say), "t1" or "other"."""

    truth: str
    header: SeriesHeader


def h(  # noqa: PLR0913 - a header has many tags
    truth: str,
    maker: str,
    description: str,
    sequence: str = "",
    times: tuple[float | None, float | None, float | None] = (None, None, None),
    image_type: str = "ORIGINAL\\PRIMARY",
    *,
    variant: str = "",
    options: str = "",
    name: str = "",
    agent: str = "",
    protocol: str = "",
    modality: str = "MR",
    b: float | None = None,
) -> Made:
    """A header in short; times are TR, TE and TI in ms, values of several are parted by a backslash."""

    def parts(text: str) -> tuple[str, ...]:
        return tuple(text.split("\\")) if text else ()

    header = SeriesHeader(
        modality=modality, manufacturer=maker, description=description, protocol=protocol, sequence_name=name,
        scanning_sequence=parts(sequence), sequence_variant=parts(variant), scan_options=parts(options),
        image_type=parts(image_type), repetition_ms=times[0], echo_ms=times[1], inversion_ms=times[2], agent=agent,
        diffusion_b=b,
    )  # fmt: skip
    return Made(truth, header)


GE, SIEMENS, PHILIPS, CANON, HITACHI = "GE MEDICAL SYSTEMS", "SIEMENS", "Philips", "CANON_MEC", "Hitachi Medical Corp."
GE_2D = "ORIGINAL\\PRIMARY\\OTHER"
SIE = "ORIGINAL\\PRIMARY\\M\\ND\\NORM"
PH_SE, PH_IR, PH_FFE = (f"ORIGINAL\\PRIMARY\\M_{each}\\M\\{each}" for each in ("SE", "IR", "FFE"))

FIRST: Sequence[Made] = (
    h("flair", GE, "Ax T2 FLAIR", "SE\\IR", (8802, 121.6, 2200), GE_2D, variant="SK", options="FAST_GEMS\\SAT_GEMS"),
    h("flair", GE, "Ax T2 FLAIR PROPELLER FS", "RM", (9000, 118, None), GE_2D, variant="NONE", options="FS\\PROP_GEMS"),
    h("flair", GE, "Sag CUBE T2 FLAIR", "SE\\IR", (6002, 128, 1650), GE_2D, variant="SK", options="FAST_GEMS"),
    h("t1", GE, "Sag T1 FLAIR", "SE\\IR", (2250, 24, 860), GE_2D, variant="SK", protocol="BRAIN W WO CONTRAST"),
    h("post", GE, "AX T1 +C", "SE", (533, 9.4, None), GE_2D, agent="GADAVIST", protocol="BRAIN W WO CONTRAST"),
    h("pre", GE, "AX T1 PRE", "SE", (533, 9.4, None), GE_2D, protocol="BRAIN W WO CONTRAST"),
    h("post", GE, "Ax 3D BRAVO +C", "GR", (8.2, 3.2, 450), GE_2D, variant="SS\\SP\\SK", agent="10CC GADOVIST"),
    h("other", GE, "3-pl loc", "GR", (4.9, 1.4, None), GE_2D),
    h("other", GE, "Ax DWI B1000", "EP\\SE", (8000, 80, None), GE_2D),
    h("other", GE, "Apparent Diffusion Coefficient (mm2/s)", "EP\\SE", (8000, 80, None), "DERIVED\\PRIMARY\\ADC"),
    h("other", GE, "AX SWAN", "GR", (38, 23, None), GE_2D),
    h("other", GE, "Ax T2 frFSE", "SE", (4500, 102, None), GE_2D),
    h("other", GE, "ASSET calibration", "GR", (150, 2.1, None), GE_2D),
    h("other", GE, "SUB AX T1", "SE", (533, 9.4, None), "DERIVED\\SECONDARY\\SUBTRACT"),
    h("flair", SIEMENS, "t2_tirm_tra_dark-fluid", "SE\\IR", (9000, 81, 2500), SIE, variant="SK\\SP", name="*tir2d1"),
    h("flair", SIEMENS, "t2_tirm_tra_dark-fluid_fs", "SE\\IR", (8000, 81, 2370), SIE, options="IR\\FS", name="*tir2d1"),
    h("flair", SIEMENS, "t2_spc_da-fl_sag_p2_iso", "SE\\IR", (5000, 388, 1800), SIE, name="*spcir_192ns"),
    h("pre", SIEMENS, "t1_se_tra nativ", "SE", (480, 12, None), SIE, name="*se2d1"),
    h("post", SIEMENS, "t1_se_tra KM", "SE", (480, 12, None), SIE, name="*se2d1"),
    h("t1", SIEMENS, "t1_mprage_sag_p2_iso", "GR\\IR", (1900, 2.5, 900), SIE, variant="SK\\SP\\MP", name="*tfl3d1"),
    h("post", SIEMENS, "t1_mpr_ns_sag_iso post", "GR\\IR", (1900, 2.5, 900), SIE, variant="SK\\SP\\MP", name="*tfl3d1"),
    h("other", SIEMENS, "t1_mprage_MPR_tra", "GR\\IR", (1900, 2.5, 900), "DERIVED\\PRIMARY\\MPR\\NORM"),
    h("other", SIEMENS, "ep2d_diff_3scan_trace_ADC", "EP", (6200, 100, None), "DERIVED\\PRIMARY\\DIFFUSION\\ADC\\ND"),
    h("other", SIEMENS, "localizer", "GR", (8.6, 4, None), SIE),
    h("other", SIEMENS, "mIP_Images(SW)", "GR", (27, 20, None), "ORIGINAL\\PRIMARY\\MINIP\\ND"),
    h("other", SIEMENS, "PhoenixZIPReport", modality="SR"),
    h("other", SIEMENS, "t2_tirm_cor_fs", "SE\\IR", (4000, 40, 150), SIE, name="*tir2d1_9"),
    h("other", SIEMENS, "t1_se_tra_SUB", "SE", (480, 12, None), "DERIVED\\PRIMARY\\M\\SUB\\ND"),
    h("flair", PHILIPS, "FLAIR_longTR SENSE", "IR", (11000, 125, 2800), PH_IR, variant="SK", b=0),
    h("flair", PHILIPS, "3D_Brain_VIEW_FLAIR", "IR", (4800, 340, 1650), PH_SE, variant="SK", b=0),
    h("t1", PHILIPS, "sT1W_3D_TFE", "GR", (8.1, 3.7, None), PH_FFE, variant="MP", b=0),
    h("post", PHILIPS, "T1W_SE GADO", "SE", (500, 12, None), PH_SE, b=0),
    h("pre", PHILIPS, "AX T1 SANS INJ", "SE", (500, 12, None), PH_SE),
    h("other", PHILIPS, "Survey", "GR", (11, 4.6, None), PH_FFE),
    h("other", PHILIPS, "DWI_SSh", "SE", (3500, 80, None), PH_SE, b=1000),
    h("other", PHILIPS, "sVenBOLD", "GR", (15, 21, None), PH_FFE),
    h("other", PHILIPS, "T2W_TSE", "SE", (3000, 80, None), PH_SE, b=0),
    h("flair", CANON, "FLAIR AX", "SE\\IR", (10000, 105, 2500), "ORIGINAL\\PRIMARY\\OTHER"),
    h("post", CANON, "T1 SE AX Gd", "SE", (500, 15, None), "ORIGINAL\\PRIMARY\\OTHER"),
    h("other", CANON, "FSBB", "GR", (29, 20, None)),
    h("flair", HITACHI, "FLAIR TRA", "IR", (9000, 105, 2000)),
    h("pre", HITACHI, "T1 SE TRA ohne KM", "SE", (450, 20, None)),
)  # fmt: skip

SECOND: Sequence[Made] = (
    # GE, English
    h("flair", GE, "AX FLAIR", "SE\\IR", (10002, 149.6, 2250), GE_2D, variant="SK"),
    h("flair", GE, "AXIAL T2 FLAIR FATSAT +C", "SE\\IR", (9502, 125, 2474), GE_2D, options="FS", agent="MULTIHANCE"),
    h("flair", GE, "Sag 3D T2 FLAIR AIRx", "SE\\IR", (7002, 115.6, 1850), GE_2D, protocol="BRAIN TUMOR W/WO"),
    h("flair", GE, "FLAIR BRAIN LAB", "RM", (8500, 110, 0), GE_2D),
    h("pre", GE, "AX T1 FSE W/O", "SE", (650, 11, None), GE_2D),
    h("post", GE, "AX T1 POST FS", "SE", (683, 12.5, None), GE_2D, agent="Dotarem"),
    h("post", GE, "COR T1 C+", "SE", (600, 14, None), GE_2D),
    h("post", GE, "T1 W/ CONTRAST", "SE", (600, 14, None), GE_2D),
    h("post", GE, "Ax FSPGR 3D POST", "GR", (7.6, 3.1, 400), GE_2D, variant="SS\\SP\\SK"),
    h("t1", GE, "SAG T1 MEMP", "SE", (450, 9, None), GE_2D),
    h("t1", GE, "Ax T1 FLAIR", "SE\\IR", (2699, 21.7, 1040), GE_2D, variant="SK"),
    h("t1", GE, "Sag FLAIR T1", "SE\\IR", (2500, 10, 930), GE_2D, variant="SK"),
    h("post", GE, "Ax CUBE T1 C+", "SE", (602, 16, None), GE_2D),
    h("other", GE, "AX T2*GRE", "GR", (625, 15, None), GE_2D),
    h("other", GE, "eADC (10^-6 mm2/s)", "EP\\SE", (8000, 84, None), "DERIVED\\SECONDARY"),
    h("other", GE, "COR T2 FLAIR Reformat", "SE\\IR", (6002, 128, 1650), "DERIVED\\SECONDARY\\REFORMATTED\\AVERAGE"),
    h("other", GE, "Processed Images", "GR", (1500, 30, None), "DERIVED\\SECONDARY\\OTHER"),
    h("other", GE, "Ax DSC PERF", "EP\\GR", (1500, 30, None), GE_2D, agent="GADAVIST"),
    h("other", GE, "3D ASL (non-contrast)", "RM", (4850, 10.5, 2025), GE_2D),
    h("other", GE, "MAGiC T2 FLAIR", "SE", (9000, 90, 2500), "DERIVED\\PRIMARY\\SYNTHETIC"),
    h("other", GE, "3D TOF MRA", "GR", (23, 2.7, None), GE_2D),
    h("other", GE, "Ax FIESTA", "GR", (5.4, 2.2, None), GE_2D),
    # Siemens, German, English and Spanish
    h("flair", SIEMENS, "t2_tirm_tra_320_p2", "SE\\IR", (8500, 95, 2440), SIE, name="*tir2d1_18"),
    h("flair", SIEMENS, "FLAIR tra KM", "SE\\IR", (9000, 87, 2500), SIE, name="*tir2d1_16"),
    h("flair", SIEMENS, "t2_blade_dark-fluid_tra", "SE\\IR", (9000, 117, 2500), SIE, name="*tirB2d1_25"),
    h("flair", SIEMENS, "T2 Dark Fluid SPACE sag", "SE\\IR", (7000, 394, 2050), SIE, name="*spcir_242"),
    h("flair", SIEMENS, "Ax FLAIR", "", (9000, 91, 2500), "ORIGINAL\\PRIMARY\\FLUID_ATTENUATED\\NONE"),
    h("pre", SIEMENS, "T1 TSE tra vor KM", "SE", (700, 9.4, None), SIE),
    h("post", SIEMENS, "T1 TSE tra nach KM-Gabe", "SE", (700, 9.4, None), SIE),
    h("post", SIEMENS, "t1_tse_tra_fs +KM", "SE", (700, 9.4, None), SIE, options="FS"),
    h("post", SIEMENS, "t1_fl2d_tra_GD", "GR", (250, 2.5, None), SIE, name="*fl2d1"),
    h("pre", SIEMENS, "t1_fl2d_tra_sin contraste", "GR", (250, 2.5, None), SIE, name="*fl2d1"),
    h("post", SIEMENS, "T1 VIBE TRA CON CONTRASTE", "GR", (6.5, 2.4, None), SIE, name="*fl3d1"),
    h("post", SIEMENS, "t1_space_sag_p2_iso_post", "SE", (700, 11, None), SIE, name="*spc_40ns"),
    h("t1", SIEMENS, "T1 MPRAGE post-op", "GR\\IR", (2000, 2.9, 900), SIE, name="*tfl3d1_ns"),
    h("t1", SIEMENS, "MPRAGE ADNI", "GR\\IR", (2300, 2.98, 900), SIE, name="*tfl3d1_ns"),
    h("post", SIEMENS, "T1 mprage tra KM MPR", "GR\\IR", (2000, 2.9, 900), SIE, name="*tfl3d1_ns"),
    h("other", SIEMENS, "T1 mprage KM MPR cor", "GR\\IR", (2000, 2.9, 900), "DERIVED\\SECONDARY\\MPR\\CSA MPR\\NORM"),
    h("other", SIEMENS, "T1_Subtraktion", "SE", (700, 9, None), "DERIVED\\PRIMARY\\M\\SUB\\ND\\NORM"),
    h("other", SIEMENS, "AAHead_Scout", "GR", (3.1, 1.4, None), SIE),
    h("other", SIEMENS, "t2_fl2d_tra_hemo", "GR", (620, 20, None), SIE, name="*fl2d1"),
    h("other", SIEMENS, "Pha_Images", "GR", (27, 20, None), "ORIGINAL\\PRIMARY\\P\\ND"),
    h("other", SIEMENS, "t1_mp2rage_sag_INV1", "GR\\IR", (5000, 2.98, 700), SIE, name="*tfl3d1_ns"),
    h("other", SIEMENS, "t1_mp2rage_sag_UNI_Images", "GR\\IR", (5000, 2.98, None), "DERIVED\\PRIMARY\\M\\ND\\UNI"),
    h("other", SIEMENS, "t2_tse_tra", "SE", (5000, 99, None), SIE, name="*tse2d1_17"),
    h("other", SIEMENS, "ep2d_perf KM", "EP\\GR", (1600, 30, None), SIE),
    h("other", SIEMENS, "Perfusion_Weighted relCBV", "EP", (1600, 30, None), "DERIVED\\PRIMARY\\PERFUSION\\RELCBV"),
    h("other", SIEMENS, "t1_tse_sag_HWS", "SE", (650, 10, None), SIE),
    h("other", SIEMENS, "T1 cor Hypophyse KM dyn", "SE", (450, 12, None), SIE),
    h("other", SIEMENS, "t2_space_DIR_sag", "SE\\IR", (7500, 318, 3000), SIE),
    # Philips, French and English
    h("flair", PHILIPS, "AX FLAIR T2", "IR", (11000, 140, 2800), PH_IR),
    h("flair", PHILIPS, "FLAIR 3D SAG FATSAT", "IR", (4800, 300, 1660), PH_SE, options="FS"),
    h("flair", PHILIPS, "eT2W_FLAIR_SPIR", "IR", (9000, 100, 2500), PH_IR),
    h("flair", PHILIPS, "COUPES FLAIR AX", "IR", (10000, 120, 2800), PH_IR, b=0),
    h("pre", PHILIPS, "3D T1 AVANT INJECTION", "GR", (7.9, 3.6, None), PH_FFE, variant="MP"),
    h("post", PHILIPS, "3D T1 APRES GADO", "GR", (7.9, 3.6, None), PH_FFE, variant="MP"),
    h("post", PHILIPS, "T1 SE AX INJ", "SE", (550, 15, None), PH_SE),
    h("post", PHILIPS, "T1W_FFE+C", "GR", (225, 2.3, None), PH_FFE),
    h("pre", PHILIPS, "T1W_TSE sin CIV", "SE", (600, 10, None), PH_SE),
    h("t1", PHILIPS, "T1W_IR_TSE", "IR", (2000, 20, 400), PH_IR),
    h("post", PHILIPS, "BlackBlood T1 SPACE-like VISTA gd", "SE", (500, 28, None), PH_SE),
    h("other", PHILIPS, "REPERAGE 3 PLANS", "GR", (11, 4.6, None), PH_FFE),
    h("other", PHILIPS, "SOUSTRACTION T1", "SE", (550, 15, None), "DERIVED\\SECONDARY\\OTHER"),
    h("other", PHILIPS, "MPR AX T1 GADO", "GR", (7.9, 3.6, None), "DERIVED\\SECONDARY\\MPR"),
    h("other", PHILIPS, "dReg - DWI", "SE", (4000, 85, None), PH_SE, b=1000),
    h("other", PHILIPS, "T2 EG AX", "GR", (700, 23, None), PH_FFE),
    h("other", PHILIPS, "STIR_longTE", "IR", (4000, 60, 180), PH_IR),
    h("other", PHILIPS, "SWIp", "GR", (31, 7.2, None), PH_FFE),
    h("other", PHILIPS, "IR_TSE real", "IR", (4500, 15, 400), "ORIGINAL\\PRIMARY\\R_IR\\R\\IR"),
    # Canon and Toshiba, Spanish and English
    h("flair", CANON, "T2 FLAIR AXIAL", "SE\\IR", (8000, 105, 2300), "ORIGINAL\\PRIMARY\\OTHER"),
    h("flair", CANON, "FLAIR COR FATSAT", "SE\\IR", (9000, 100, 2500), "ORIGINAL\\PRIMARY\\OTHER", options="FS"),
    h("post", CANON, "T1 AXIAL C/CONTRASTE", "SE", (550, 10, None), "ORIGINAL\\PRIMARY\\OTHER"),
    h("pre", CANON, "T1 AXIAL S/C", "SE", (550, 10, None), "ORIGINAL\\PRIMARY\\OTHER"),
    h("post", CANON, "T1 SAG +CIV", "SE", (550, 10, None), "ORIGINAL\\PRIMARY\\OTHER"),
    h("t1", CANON, "3D MPRAGE", "GR\\IR", (6.2, 2.7, 900), "ORIGINAL\\PRIMARY\\OTHER"),
    h("other", CANON, "DIFUSION", "SE\\EP", (6000, 90, None), "ORIGINAL\\PRIMARY\\OTHER"),
    h("other", CANON, "LOCALIZADOR", "GR", (8, 4, None), "ORIGINAL\\PRIMARY\\OTHER"),
    h("other", CANON, "RESTA T1", "SE", (550, 10, None), "DERIVED\\SECONDARY"),
    # Hitachi, mostly open magnets of 0.3 to 1.2 T
    h("flair", HITACHI, "AX FLAIR", "IR", (8500, 100, 1900)),
    h("flair", HITACHI, "FIR FLAIR", "SE", (8000, 116, None)),
    h("post", HITACHI, "T1 AX + GD", "SE", (390, 15, None)),
    h("t1", HITACHI, "T1 RSSG 3D", "GR", (21, 4.6, None)),
    h("other", HITACHI, "BSI AX", "GR", (49, 40, None)),
    h("other", HITACHI, "T2 FSE AX", "SE", (4500, 120, None)),
    h("other", HITACHI, "SCANOGRAM", "GR", (30, 7, None)),
)  # fmt: skip
