"""DICOM folders in the browser: what can be read, left out, chosen and decoded is what the runtime reads."""

from __future__ import annotations

import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import UID

from tests.studies_made.enhanced import write_enhanced
from tests.studies_made.series import Stored, write_series, write_study
from tests.studies_made.shapes import axial_grid, made_head
from tests.studies_made.syntaxes import SYNTAXES, transcode
from tests.studies_made.tags import FLAIR, POST, PRE
from tests.studies_made.uids import made_uid
from tests.web.core.core_page import CorePage, folder
from tests.web.core.same_reading import read_alike

GRID: Final = axial_grid((6, 64, 64), spacing=(12.0, 3.6, 3.6))
HEAD: Final = made_head(GRID)
VOLUMES: Final = {"pre": HEAD.pre, "flair": HEAD.flair, "post": HEAD.post}
DECODED: Final = {
    name for name in SYNTAXES if not name.startswith(("jpeg-ls", "jpeg-2000"))
}  # fmt: skip
"""Syntaxes that the page decodes."""


def study(where: Path, **options: Stored) -> Path:
    return write_study(where / "study", VOLUMES, GRID, **options)  # type: ignore[arg-type]


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def pixels_cut(path: Path) -> Path:
    cut(path, path.stat().st_size - 100)
    return path


def header_cut(path: Path) -> None:
    cut(path, 400)


def no_image(path: Path) -> Path:
    """A report in an image's place."""
    dataset = pydicom.dcmread(path)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.88.11")
    dataset.save_as(path)
    return path


def beside(where: Path) -> None:
    """What media and exports hold beside images."""
    (where / "README.txt").write_text("Open me")
    (where / "empty").write_bytes(b"")
    (where / "report.pdf").write_bytes(b"%PDF-1.4\n" + bytes(1000))
    (where / "VIEWER.EXE").write_bytes(b"MZ" + bytes(500))
    (where / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    shutil.copy(str(get_testdata_file("DICOMDIR", download=False)), where / "DICOMDIR")


def copied(where: Path) -> Path:
    return shutil.copytree(where / "flair", where / "again/flair")


def relabelled(where: Path, **values: object) -> Path:
    for path in sorted((where / "post").iterdir()):
        dataset = pydicom.dcmread(path)
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        dataset.save_as(path)
    return where


FOLDERS: Final[dict[str, Callable[[Path], object]]] = {
    "nothing wrong": Path.is_dir,
    "a header is cut": lambda where: header_cut(where / "post/IM0006.dcm"),
    "a header in the middle is cut": lambda where: header_cut(where / "post/IM0003.dcm"),
    "a header of FLAIR in the middle is cut": lambda where: header_cut(where / "flair/IM0003.dcm"),
    "pixels of a T1 are cut": lambda where: pixels_cut(where / "post/IM0006.dcm"),
    "pixels of FLAIR are cut": lambda where: pixels_cut(where / "flair/IM0001.dcm"),
    "a report in a T1": lambda where: no_image(where / "post/IM0006.dcm"),
    "a series of reports": lambda where: [no_image(path) for path in (where / "post").iterdir()],
    "other files": beside,
    "FLAIR twice": copied,
    "a damaged copy": lambda where: (copied(where), pixels_cut(where / "again/flair/IM0002.dcm")),
    "another patient": lambda where: relabelled(where, PatientID="OTHER"),
    "another study": lambda where: relabelled(where, StudyInstanceUID=made_uid("another")),
    "another study without images": lambda where: (
        relabelled(where, StudyInstanceUID=made_uid("another")),
        [no_image(each) for each in (where / "post").iterdir()]
    ),
    "no UIDs": lambda where: relabelled(where, SeriesInstanceUID=""),
    "an animal": lambda where: relabelled(where, AnatomicalOrientationType="QUADRUPED"),
    "colours": lambda where: relabelled(where, PhotometricInterpretation="RGB"),
    "huge": lambda where: relabelled(where, Rows=65535, Columns=65535),
    "no rows": lambda where: relabelled(where, Rows=0),
    "many frames": lambda where: relabelled(where, NumberOfFrames="2147483647"),
    "12 of 16 bits in the middle": lambda where: relabelled(where, BitsStored=12, HighBit=13),
    "more images expected": lambda where: relabelled(where, ImagesInAcquisition=12),
    "a knee": lambda where: [relabelled_one(path, BodyPartExamined="KNEE") for path in (where / "flair").iterdir()],
    "accents": lambda where: relabelled(
        where, SpecificCharacterSet="ISO_IR 192", SeriesDescription="T1 après injection"
    ),
}  # fmt: skip


def relabelled_one(path: Path, **values: object) -> Path:
    dataset = pydicom.dcmread(path)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)
    return path


@pytest.mark.parametrize("what", FOLDERS)
def test_a_folder_is_read_as_the_runtime_reads_it(core: CorePage, tmp_path: Path, what: str) -> None:
    where = study(tmp_path)
    FOLDERS[what](where)
    read_alike(core, where)


def test_a_faulty_series_is_never_used_without_a_word(core: CorePage, tmp_path: Path) -> None:
    where = study(tmp_path)
    pixels_cut(where / "post/IM0006.dcm")
    answer = read_alike(core, where)
    assert {"series-faulty", "sequence-missing"} <= {each["code"] for each in answer["warnings"]}
    by_hand = {each["description"]: each["uid"] for each in answer["series"]}
    assert read_alike(core, where, post=by_hand["AX T1 POST GD"])["fault"] == "dicom-damaged"


def test_copies_do_not_count_as_images(core: CorePage, tmp_path: Path) -> None:
    where = write_study(tmp_path / "study", VOLUMES, GRID, tags={"ImagesInAcquisition": 12})
    copied(where)
    codes = {each["code"] for each in read_alike(core, where)["warnings"]}
    assert {"duplicate-slices", "images-expected"} <= codes


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_every_syntax_gives_the_runtimes_images_or_its_code(
    core: CorePage, tmp_path: Path, syntax: str, signed: bool
) -> None:
    where = study(tmp_path, stored=Stored(signed=signed))
    transcode(sorted(where.rglob("*.dcm")), syntax)
    if syntax in DECODED:
        read_alike(core, where)
    else:
        answer = core.ask("open", files=folder(where))
        assert answer["fault"] == "dicom-syntax"
        assert {each["fault"] for each in answer["series"]} == {"dicom-syntax"}


@pytest.mark.parametrize("syntax", ["rle", "jpeg-lossless", "deflated", "explicit", "rle-dcmtk", "jpeg-lossless-dcmtk"])
def test_frames_of_an_enhanced_object_are_decoded(core: CorePage, tmp_path: Path, syntax: str) -> None:
    (tmp_path / "study").mkdir()
    write_enhanced(tmp_path / "study/flair.dcm", HEAD.flair, GRID, tags=FLAIR)
    transcode([tmp_path / "study/flair.dcm"], syntax)
    read_alike(core, tmp_path / "study")


@pytest.mark.parametrize("syntax", ["rle", "jpeg-lossless", "deflated"])
def test_damaged_compressed_pixels_are_faults_of_both(core: CorePage, tmp_path: Path, syntax: str) -> None:
    where = write_series(tmp_path / "study/flair", HEAD.flair, GRID)[0].parent
    transcode(sorted(where.iterdir()), syntax)
    path = where / "IM0004.dcm"
    for size in (path.stat().st_size // 2, path.stat().st_size - 40):
        whole = path.read_bytes()
        cut(path, size)
        answer = core.ask("open", files=folder(tmp_path / "study"))
        assert answer.get("fault", "").startswith(("dicom-", "geometry")), answer
        path.write_bytes(whole)


LIKE: Final = {
    "a coarser one": {"pre2": ({**PRE, "SeriesNumber": 9}, axial_grid((3, 32, 32), spacing=(24.0, 7.2, 7.2)))},
    "a sagittal one": {"post2": ({**POST, "SeriesNumber": 9, "SeriesDescription": "SAG T1 POST"}, GRID)},
    "one with fat suppressed": {"post2": ({**POST, "SeriesNumber": 9, "SeriesDescription": "AX T1 POST FS"}, GRID)},
    "a later repetition": {"pre2": ({**PRE, "SeriesNumber": 9, "AcquisitionTime": "102500"}, GRID)},
    "a gradient echo": {"pre2": ({**PRE, "SeriesNumber": 9, "ScanningSequence": ["GR", "IR"], "EchoTime": 3.0}, GRID)},
    "two FLAIRs": {"flair2": ({**FLAIR, "SeriesNumber": 9}, GRID)},
}  # fmt: skip
"""More series than roles, by what is different."""


@pytest.mark.parametrize("what", LIKE)
def test_of_several_like_series_the_runtimes_is_taken(core: CorePage, tmp_path: Path, what: str) -> None:
    where = study(tmp_path)
    for name, (tags, grid) in LIKE[what].items():
        write_series(where / name, made_head(grid).flair if "flair" in name else made_head(grid).pre, grid, tags=tags)
    answer = read_alike(core, where)
    assert len(answer["series"]) == 4
    if what == "two FLAIRs":
        assert answer["fault"] == "roles-several"


def test_two_like_t1s_are_told_apart_by_time_with_a_word(core: CorePage, tmp_path: Path) -> None:
    unnamed = {"SeriesDescription": "AX T1", "ContrastBolusAgent": None}
    by_role = {
        "flair": FLAIR, "pre": {**PRE, **unnamed}, "post": {**POST, **unnamed, "AcquisitionTime": "110000"}
    }  # fmt: skip
    where = write_study(tmp_path / "study", VOLUMES, GRID, by_role=by_role)
    assert "role-by-time" in {each["code"] for each in read_alike(core, where)["warnings"]}


def test_series_are_chosen_by_hand(core: CorePage, tmp_path: Path) -> None:
    where = study(tmp_path)
    write_series(where / "flair2", HEAD.flair[:, ::-1], GRID, tags={**FLAIR, "SeriesNumber": 9})
    answer = read_alike(core, where)
    assert answer["fault"] == "roles-several"
    uid = {each["number"]: each["uid"] for each in answer["series"]}
    for number in (FLAIR["SeriesNumber"], 9):
        roles = {each.get("role"): each["uid"] for each in read_alike(core, where, flair=uid[number])["series"]}
        assert roles["flair"] == uid[number]
    first, pre, post = (uid[each["SeriesNumber"]] for each in (FLAIR, PRE, POST))
    read_alike(core, where, flair=first, pre=post, post=pre)
    warned = read_alike(core, where, flair=first, pre="none")["warnings"]
    assert "sequence-missing" in {each["code"] for each in warned}
    assert read_alike(core, where, flair=first, pre=first)["fault"] == "roles-twice"
    assert read_alike(core, where, flair="1.2.3")["fault"] == "roles-unknown"


def test_a_study_compressed_with_loss_is_read_though_it_says_derived(core: CorePage, tmp_path: Path) -> None:
    """Both dcmtk and gdcm write so when they compress with loss, and so do archives."""
    derived = {"ImageType": ["DERIVED", "PRIMARY", "M", "ND"], "LossyImageCompression": "01"}
    where = write_study(
        tmp_path / "study", VOLUMES, GRID, by_role={"flair": {**FLAIR, **derived}, "pre": PRE, "post": POST}
    )
    codes = {each["code"] for each in read_alike(core, where)["warnings"]}
    assert "lossy-compression" in codes
    assert "sequence-missing" not in codes


def test_a_mosaic_is_refused(core: CorePage, tmp_path: Path) -> None:
    where = write_study(tmp_path / "study", VOLUMES, GRID)
    mosaic = {**FLAIR, "SeriesNumber": 9, "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]}
    write_series(where / "mosaic", HEAD.flair[:1], GRID, tags=mosaic)
    uid = {each["number"]: each["uid"] for each in read_alike(core, where)["series"]}
    assert read_alike(core, where, flair=uid[9])["fault"] == "dicom-kind"


def test_another_modality_is_refused_by_hand(core: CorePage, tmp_path: Path) -> None:
    where = study(tmp_path)
    write_series(where / "ct", HEAD.flair, GRID, tags={**FLAIR, "SeriesNumber": 9, "Modality": "CT"})
    uid = {each["number"]: each["uid"] for each in read_alike(core, where)["series"]}
    for role in ("flair", "pre", "post"):
        assert read_alike(core, where, **{role: uid[9]})["fault"] == "series-modality"


def test_the_list_of_series_names_no_patient(core: CorePage, tmp_path: Path) -> None:
    answer = core.ask("open", files=folder(study(tmp_path)))
    assert "Made^Patient" not in str(answer)
    assert "MADE-0001" not in str(answer)
    flair = next(each for each in answer["series"] if each.get("role") == "flair")
    assert (flair["count"], flair["rows"], flair["columns"]) == GRID.shape
    assert flair["spacing"] == pytest.approx(GRID.spacing)
    assert flair["time"] == (10 * 60 + 20) * 60


def nested(depth: int, defined: bool) -> bytes:
    """Sequences within sequences, private, with or without stated lengths."""
    inner = b""
    for _ in range(depth):
        item = struct.pack("<HHI", 0xFFFE, 0xE000, len(inner) if defined else 0xFFFFFFFF) + inner
        item += b"" if defined else struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
        head = struct.pack("<HH2sHI", 0x0009, 0x1001, b"SQ", 0, len(item) if defined else 0xFFFFFFFF)
        inner = head + item + (b"" if defined else struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))
    return inner


@pytest.mark.parametrize("depth", [3, 30, 20_000])
@pytest.mark.parametrize("defined", [False, True], ids=["undefined", "defined"])
def test_sequences_within_sequences_end(core: CorePage, tmp_path: Path, depth: int, defined: bool) -> None:
    paths = write_series(tmp_path / "study/flair", HEAD.flair, GRID)
    whole = paths[5].read_bytes()
    at = whole.index(struct.pack("<HH", 0x0010, 0x0010))
    paths[5].write_bytes(whole[:at] + nested(depth, defined) + whole[at:])
    read_alike(core, tmp_path / "study")


@pytest.mark.parametrize("seed", range(12))
def test_mutants_are_read_as_the_runtime_reads_them(core: CorePage, tmp_path: Path, seed: int) -> None:
    """Bytes of headers flipped, files cut: both read the same, or both refuse; nothing hangs."""
    chance = random.Random(seed)  # noqa: S311 - the same mutants each time
    where = study(tmp_path)
    for path in chance.sample(sorted(where.rglob("*.dcm")), 4):
        data = bytearray(path.read_bytes())
        for _ in range(3):
            data[chance.randrange(132, 2000)] = chance.randrange(256)
        path.write_bytes(data)
    read_alike(core, where)


def test_files_without_preamble_are_found(core: CorePage, tmp_path: Path) -> None:
    where = study(tmp_path)
    for path in where.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        bare = pydicom.Dataset({element.tag: element for element in dataset})
        bare.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False)
    read_alike(core, where)


def test_thousands_of_other_files_are_passed_over(core: CorePage, tmp_path: Path) -> None:
    where = study(tmp_path)
    for index in range(3000):
        (where / f"{index}.tmp").write_bytes(b"x" * (index % 200))
    answer = read_alike(core, where)
    assert answer["seconds"] < 60


FILES: Final = (
    "MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "MR_small_padded.dcm",
    "MR_small_expb.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_truncated.dcm", "CT_small.dcm", "emri_small.dcm",
    "emri_small_RLE.dcm", "emri_small_big_endian.dcm", "image_dfl.dcm", "no_meta.dcm", "rtplan.dcm", "reportsi.dcm",
    "nested_priv_SQ.dcm", "UN_sequence.dcm", "badVR.dcm", "DICOMDIR", "liver_1frame.dcm", "ExplVR_BigEnd.dcm",
    "empty_charset_LEI.dcm", "JPEG2000.dcm", "meta_missing_tsyntax.dcm", "rtdose_rle.dcm", "SC_rgb_rle.dcm",
)  # fmt: skip
"""pydicom's own test files, of many makers."""


@pytest.mark.parametrize("name", FILES)
def test_files_of_other_makers_are_read_or_refused_as_by_the_runtime(core: CorePage, tmp_path: Path, name: str) -> None:
    found = get_testdata_file(name, download=False) or pytest.skip(f"{name} is not installed")
    (tmp_path / "study").mkdir()
    shutil.copy(str(found), tmp_path / "study")
    answer = read_alike(core, tmp_path / "study")
    uids = [each["uid"] for each in answer.get("series", [])]
    for uid in uids:
        read_alike(core, tmp_path / "study", flair=uid)
