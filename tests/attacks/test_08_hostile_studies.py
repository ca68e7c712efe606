"""Attack 8: studies that are damaged, that lie about their sizes, or that lead elsewhere.

In the suite 2,000 seeded mutants of DICOM, NIfTI and zip files; with `-m slow` 40,000. Each must give a study or an
error of ours, in bounded time and memory, and nothing may appear outside the folder for results.
"""

from __future__ import annotations

import gzip
import io
import os
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from brainseg_runtime.errors import BrainsegError
from tests.attacks.victim import bounded_memory, mutant
from tests.studies_made import faults
from tests.studies_made.enhanced import write_enhanced
from tests.studies_made.nifti import write_nifti
from tests.studies_made.series import Edit, made_slice, save, write_series
from tests.studies_made.shapes import axial_grid, made_head
from tests.studies_made.syntaxes import transcode
from tests.studies_made.tags import FLAIR

pytest.importorskip("pydicom")
pytest.importorskip("SimpleITK")

from brainseg_runtime.studies.reading import find_studies

MUTANTS = 2_000
SLOW_MUTANTS = 40_000
SECONDS = 2.0
"""Most processor time that one attempt may take; a whole one takes some ten milliseconds."""
GRID = axial_grid((3, 40, 48), spacing=(5.0, 4.5, 4.0))
VOXELS = made_head(GRID).flair
BOMB_BYTES = 1 << 30
"""What a bomb would unpack to."""

Files = dict[str, bytes]


def of_series(folder: Path, syntax: str = "explicit") -> Files:
    paths = write_series(folder, VOXELS, GRID)
    if syntax != "explicit":
        transcode(paths, syntax)
    return {path.name: path.read_bytes() for path in paths}


def of_zip(files: Files) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


@pytest.fixture(scope="module")
def victims(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    """Whole studies by name; each can be read."""
    home = tmp_path_factory.mktemp("whole")
    syntaxes = ("explicit", "implicit", "big-endian", "deflated", "rle", "jpeg-ls", "jpeg-2000", "jpeg-lossless")
    made = {syntax: of_series(home / syntax, syntax) for syntax in syntaxes}
    made["enhanced"] = {"e.dcm": write_enhanced(home / "e.dcm", VOXELS, GRID).read_bytes()}
    made["nifti"] = {"a_flair.nii": write_nifti(home / "a_flair.nii", VOXELS, GRID).read_bytes()}
    made["nifti-gz"] = {"a_flair.nii.gz": write_nifti(home / "a_flair.nii.gz", VOXELS, GRID).read_bytes()}
    made["zip"] = {"study.zip": of_zip(made["explicit"])}
    return made


def attempt(folder: Path) -> tuple[int, tuple[str, ...]] | None:
    """Slices and warnings of the study if it is read, None if it is refused."""
    began = time.process_time()
    try:
        (found,) = find_studies([folder])
        study = found.read()
        volume = study.flair.load()
    except BrainsegError:
        return None
    except ValueError as error:
        if "unpack" not in str(error):  # no study, or a mutant with a UID of its own
            raise
        return None
    finally:
        assert time.process_time() - began < SECONDS, "hung"
    assert np.isfinite(volume.voxels).all()
    assert volume.voxels.shape == volume.grid.shape
    return len(volume.voxels), study.warnings


def put(folder: Path, files: Files) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def attack(victims: dict[str, Files], folder: Path, count: int, seed: int) -> None:
    """Change one file in one way, read, and put it back."""
    rng = np.random.default_rng(seed)
    for name, files in victims.items():
        put(folder / name, files)
        whole = attempt(folder / name)
        assert whole is not None, name
        assert whole[0] == 3
    names = sorted(victims)
    with bounded_memory():
        for number in range(count):
            name = names[number % len(names)]
            files = victims[name]
            target = sorted(files)[int(rng.integers(len(files)))]
            path = folder / name / target
            # Half of the changes go to the header, where they matter most.
            head = 2200 if rng.integers(2) else len(files[target])
            path.write_bytes(mutant(rng, files[target][:head]) + files[target][head:])
            told = attempt(folder / name)
            # A slice less, because its file cannot be read any more, is never left unsaid.
            assert told is None or told[0] == 3 or told[1], f"{name}, mutant {number}"
            path.write_bytes(files[target])


def test_a_damaged_study_is_read_or_refused(victims: dict[str, Files], tmp_path: Path) -> None:
    attack(victims, tmp_path, MUTANTS, seed=0)


@pytest.mark.slow
def test_many_damaged_studies_are_read_or_refused(victims: dict[str, Files], tmp_path: Path) -> None:
    attack(victims, tmp_path, SLOW_MUTANTS, seed=1)


def deep(levels: int) -> Edit:
    """A sequence in a sequence in a sequence."""

    def edit(_: int, dataset: Dataset) -> Dataset:
        inner = Dataset()
        for _level in range(levels):
            outer = Dataset()
            outer.RequestAttributesSequence = Items([inner])
            inner = outer
        dataset.RequestAttributesSequence = Items([inner])
        return dataset

    return edit


def lying(**values: object) -> Edit:
    return faults.changed(**values)


LIES: dict[str, Edit] = {
    "sequences 100 deep": deep(100),
    "rows beyond the data": lying(Rows=65535),
    "an image of 65535 × 65535": lying(Rows=65535, Columns=65535),
    "no rows": lying(Rows=0),
    "a billion frames": lying(NumberOfFrames=10**9),
    "no frames": lying(NumberOfFrames=0),
    "three samples": lying(SamplesPerPixel=3),
    "33 bits": lying(BitsAllocated=33),
    "no bits": lying(BitsAllocated=0, BitsStored=0),
    "more bits stored than allocated": lying(BitsStored=40),
    "a palette": lying(PhotometricInterpretation="PALETTE COLOR"),
    "spacing of zero": lying(PixelSpacing=["0", "0"]),
    "negative spacing": lying(PixelSpacing=["-1", "1"]),
    "spacing that is not finite": lying(PixelSpacing=["1e400", "1"]),
    "one spacing": lying(PixelSpacing="1"),
    "orientation of zeros": lying(ImageOrientationPatient=["0"] * 6),
    "orientation of five numbers": lying(ImageOrientationPatient=["1", "0", "0", "0", "1"]),
    "axes that are not at right angles": lying(ImageOrientationPatient=["1", "0", "0", "1", "1", "0"]),
    "positions far away": lying(ImagePositionPatient=["1e30", "0", "0"]),
    "slope of zero": lying(RescaleSlope="0", RescaleIntercept="0"),
    "slope without end": lying(RescaleSlope="1e308", RescaleIntercept="1e308"),
    "no pixels": lying(PixelData=None),
    "an empty UID": lying(SeriesInstanceUID=""),
    "a UID that is a path": lying(StudyInstanceUID="../../../../tmp/evil"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_header_that_lies_is_refused_or_harmless(tmp_path: Path, name: str) -> None:
    write_series(tmp_path / "study", VOXELS, GRID, edit=LIES[name])
    with bounded_memory():
        told = attempt(tmp_path / "study")
    harmless = {"sequences 100 deep", "a UID that is a path", "more bits stored than allocated", "an empty UID"}
    assert told is None or name in harmless


def test_the_name_of_a_study_is_never_a_path(tmp_path: Path) -> None:
    write_series(tmp_path / "study", VOXELS, GRID, edit=lying(StudyInstanceUID="../../../../tmp/evil"))
    for found in find_studies([tmp_path / "study"]):
        assert Path(found.name).name == found.name
        assert found.name.strip(".")


def element(tag: tuple[int, int], vr: bytes, length: int, value: bytes = b"") -> bytes:
    """An explicit element with a length that need not be its own."""
    return struct.pack("<HH", *tag) + vr + b"\0\0" + struct.pack("<I", length) + value


@pytest.mark.parametrize("length", [0xFFFFFFFE, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("place", ["before", "after"])
def test_a_length_without_end_is_refused(tmp_path: Path, length: int, place: str) -> None:
    data = write_series(tmp_path / "whole", VOXELS[:1], GRID)[0].read_bytes()
    at = data.index(struct.pack("<HH", 0x0020, 0x000D)) if place == "before" else len(data)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "a.dcm").write_bytes(data[:at] + element((0x0019, 0x1010), b"OB", length) + data[at:])
    with bounded_memory():
        attempt(tmp_path / "study")


def nifti_header(**changes: tuple[str, int, tuple[float, ...]]) -> bytes:
    """A NIfTI file's bytes with other values at an offset: name to (format, offset, values)."""
    made = io.BytesIO()
    import nibabel

    image = nibabel.Nifti1Image(VOXELS.astype("<i2").transpose(2, 1, 0), np.diag([4.0, 4.5, 5.0, 1.0]))
    made.write(image.to_bytes())
    data = bytearray(made.getvalue())
    for form, offset, values in changes.values():
        struct.pack_into(form, data, offset, *values)
    return bytes(data)


NIFTI_LIES: dict[str, dict[str, tuple[str, int, tuple[float, ...]]]] = {
    "dimensions without end": {"dim": ("<8h", 40, (3, 32767, 32767, 32767, 1, 1, 1, 1))},
    "negative dimensions": {"dim": ("<8h", 40, (3, -1, 40, 3, 1, 1, 1, 1))},
    "no dimensions": {"dim": ("<8h", 40, (0, 0, 0, 0, 0, 0, 0, 0))},
    "nine dimensions": {"dim": ("<h", 40, (9,))},
    "an unknown type": {"datatype": ("<h", 70, (77,))},
    "voxels that begin nowhere": {"vox_offset": ("<f", 108, (float("nan"),))},
    "voxels far away": {"vox_offset": ("<f", 108, (1e30,))},
    "voxels inside the header": {"vox_offset": ("<f", 108, (-4.0,))},
    "slope that is not finite": {"scl": ("<2f", 112, (float("inf"), 0.0))},
    "sform of zeros": {"s": ("<12f", 280, (0.0,) * 12), "q": ("<h", 252, (0,))},
    "sform that is not finite": {"s": ("<12f", 280, (float("nan"),) * 12), "q": ("<h", 252, (0,))},
    "spacing of zero": {"p": ("<8f", 76, (1.0,) + (0.0,) * 7), "s": ("<h", 254, (0,)), "q": ("<h", 252, (1,))},
}


@pytest.mark.parametrize("name", NIFTI_LIES)
@pytest.mark.parametrize("packed", [False, True])
def test_a_nifti_header_that_lies_is_refused(tmp_path: Path, name: str, packed: bool) -> None:
    data = nifti_header(**NIFTI_LIES[name])
    path = tmp_path / ("a_flair.nii.gz" if packed else "a_flair.nii")
    path.write_bytes(gzip.compress(data) if packed else data)
    with bounded_memory():
        told = attempt(tmp_path)
    # Software that does not scale writes such slopes, and every reader takes them for none.
    assert told is None or name == "slope that is not finite"


def test_a_gzip_bomb_is_refused(tmp_path: Path) -> None:
    header = nifti_header()[:352]
    with gzip.open(tmp_path / "a_flair.nii.gz", "wb", compresslevel=9) as file:
        file.write(header)
        for _ in range(BOMB_BYTES >> 24):
            file.write(bytes(1 << 24))
    with bounded_memory():
        attempt(tmp_path)


def bomb() -> bytes:
    """A zip whose one member is a thousand times its size."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.dcm", "w") as member:
        member.write(b"\0" * 128 + b"DICM")
        for _ in range(BOMB_BYTES >> 24):
            member.write(bytes(1 << 24))
    return packed.getvalue()


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.zip").write_bytes(bomb())
    before = disk_bytes()
    with bounded_memory():
        assert attempt(tmp_path) is None
    assert disk_bytes() - before < 256 << 20


def test_a_zip_in_a_zip_in_a_zip_is_refused_or_left_out(tmp_path: Path) -> None:
    data = bomb()
    for level in range(20):
        data = of_zip({f"{level}.zip": data})
    (tmp_path / "study.zip").write_bytes(data)
    with bounded_memory():
        assert attempt(tmp_path) is None


def disk_bytes() -> int:
    """Used on the disk of temporary files; 0 where the system does not tell."""
    if not hasattr(os, "statvfs"):
        return 0
    told = os.statvfs(Path(os.environ.get("TMPDIR", "/tmp")))  # noqa: S108 - only measured
    return (told.f_blocks - told.f_bfree) * told.f_frsize


TRICKS: dict[str, Callable[[zipfile.ZipFile, bytes], object]] = {
    "parent folders": lambda archive, data: archive.writestr("../../../evil.dcm", data),
    "an absolute path": lambda archive, data: archive.writestr("/evil.dcm", data),
    "a drive": lambda archive, data: archive.writestr("C:\\evil.dcm", data),
    "backslashes": lambda archive, data: archive.writestr("..\\..\\evil.dcm", data),
    "a stream": lambda archive, data: archive.writestr("a.dcm:evil", data),
    "a long name": lambda archive, data: archive.writestr("e" * 60_000, data),
}


@pytest.mark.parametrize("name", TRICKS)
def test_names_in_a_zip_lead_nowhere(tmp_path: Path, name: str) -> None:
    data = write_series(tmp_path / "whole", VOXELS[:1], GRID)[0].read_bytes()
    home = tmp_path / "a" / "b" / "c"
    home.mkdir(parents=True)
    with zipfile.ZipFile(home / "study.zip", "w") as archive:
        TRICKS[name](archive, data)
    before = set(tmp_path.rglob("*"))
    attempt(home)
    assert set(tmp_path.rglob("*")) == before
    assert not Path("/evil.dcm").exists()


def test_a_link_in_a_zip_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.dcm"
    save(made_slice(VOXELS[0], GRID, 0, tags={**FLAIR, "PatientName": "Secret"}), secret)
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "study.zip", "w") as archive:
        entry = zipfile.ZipInfo("link.dcm")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, str(secret))
    assert attempt(tmp_path / "in") is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_the_folder_does_not_hang(tmp_path: Path) -> None:
    write_series(tmp_path / "study", VOXELS, GRID)
    os.mkfifo(tmp_path / "study" / "pipe")
    os.mkfifo(tmp_path / "study" / "pipe.dcm")
    told = attempt(tmp_path / "study")
    assert told is not None
    assert told[0] == 3


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_circle_of_links_does_not_hang(tmp_path: Path) -> None:
    write_series(tmp_path / "study", VOXELS, GRID)
    (tmp_path / "study" / "again").symlink_to(tmp_path / "study", target_is_directory=True)
    told = attempt(tmp_path / "study")
    assert told is not None
    assert told[0] == 3
