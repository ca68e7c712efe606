"""Small files that claim or give gigabytes: refused by name or read no further than needed, soon, in little memory."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import shutil
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
import pytest

from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.studies import read_study
from tests.studies_made.nifti import write_nifti
from tests.studies_made.series import write_series
from tests.studies_made.shapes import axial_grid, made_head
from tests.web.core.core_page import CorePage, files, folder
from tests.web.core.test_core_bundles import TINY

GIB: Final = 1 << 30
MIB: Final = 1 << 20
SECONDS: Final = 20
"""Longest answer on a machine under load; each takes one or two seconds when it is idle."""
GROWTH: Final = 700 * MIB
"""Most memory that all processes of the browser may take beyond what they had: far below what the files give."""
GRID: Final = axial_grid((6, 64, 64), spacing=(12.0, 3.6, 3.6))


def descendants(pid: int) -> Iterator[int]:
    """A process' children and theirs."""
    with contextlib.suppress(OSError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            yield child
            yield from descendants(child)


def memory(pid: int, what: str) -> int:
    """Bytes that a process has (VmRSS) or had at its most (VmHWM)."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith(what)).split()[1])
    return 0


def bounded(core: CorePage, do: str = "open", **job: object) -> dict[str, Any]:
    """An answer that came soon and took little memory."""
    root = core._process.pid
    before = {}
    for pid in descendants(root):
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # forget the most so far
        before[pid] = memory(pid, "VmRSS")
    started = time.monotonic()
    answer = core.ask(do, **job)
    seconds = time.monotonic() - started
    growth = sum(max(0, memory(pid, "VmHWM") - before.get(pid, 0)) for pid in descendants(root))
    assert seconds < SECONDS, (seconds, answer)
    assert growth < GROWTH, (growth / MIB, answer)
    return answer


def zeros(count: int, bits: int = 15, before: bytes = b"") -> bytes:
    """Deflated zeros after other bytes: one block that refers to none before it, again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, bits)
    start = packer.compress(before) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(16 * MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * (count // (16 * MIB)) + packer.flush()


def test_a_compressed_volume_is_read_no_further_than_its_header_says(core: CorePage, tmp_path: Path) -> None:
    head = gzip.decompress(write_nifti(tmp_path / "P1_flair.nii.gz", made_head(GRID).flair, GRID).read_bytes())
    data = zeros(4 * GIB, 31, head)
    (tmp_path / "P1_flair.nii.gz").write_bytes(data)
    assert len(data) < 8 * MIB
    assert bounded(core, files=files([tmp_path / "P1_flair.nii.gz"]))["count"] == GRID.shape[0]


def test_bytes_after_a_compressed_volume_are_left(core: CorePage, tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "P1_flair.nii.gz", made_head(GRID).flair, GRID)
    whole = core.ask("open", files=files([path]), save={"pixels": "whole"})
    pixels = core.result("whole").read_bytes()
    for tail in (b"\0", bytes(512), b"\1\2\3", bytes(1 << 18)):
        path.write_bytes(path.read_bytes() + tail)
        assert core.ask("open", files=files([path]), save={"pixels": "padded"})["count"] == whole["count"]
        assert core.result("padded").read_bytes() == pixels


def bgzipped(data: bytes, size: int = 65280) -> bytes:
    """Members that state their size, and an empty one at the end, as bgzip writes them (SAM/BAM specification, 4.1)."""
    members = []
    for at in (*range(0, len(data), size), len(data)):
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        part = data[at : at + size]
        body = packer.compress(part) + packer.flush()
        head = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff\x06\x00BC\x02\x00" + struct.pack("<H", len(body) + 25)
        members.append(head + body + struct.pack("<II", zlib.crc32(part), len(part)))
    return b"".join(members)


def joined(data: bytes, size: int, between: bytes = b"") -> bytes:
    """Members that do not state their size."""
    return between.join(gzip.compress(data[at : at + size]) for at in range(0, len(data), size))


MEMBERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "bgzip": bgzipped,
    "bgzip, small": lambda data: bgzipped(data, 1000),
    "two": lambda data: joined(data, len(data) // 2 + 1),
    "the header and the voxels": lambda data: gzip.compress(data[:352]) + gzip.compress(data[352:]),
    "a first one shorter than the header": lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:]),
    "an empty one first": lambda data: gzip.compress(b"") + gzip.compress(data),
    "forty": lambda data: joined(data, len(data) // 39),
    "zeros between": lambda data: joined(data, len(data) // 3, bytes(512)) + bytes(512),
    "bytes that are none behind": lambda data: bgzipped(data) + b"\1\2\3",
}


@pytest.mark.parametrize("how", MEMBERS)
def test_a_volume_of_several_members_is_read_as_python_reads_it(core: CorePage, tmp_path: Path, how: str) -> None:
    path = write_nifti(tmp_path / "P1_flair.nii.gz", made_head(GRID).flair, GRID)
    core.ask("open", files=files([path]), save={"pixels": "one"})
    data = gzip.decompress(path.read_bytes())
    path.write_bytes(MEMBERS[how](data))
    read_study(path).flair.load()
    assert "fault" not in core.ask("open", files=files([path]), save={"pixels": "members"})
    assert core.result("members").read_bytes() == core.result("one").read_bytes()


def _flipped(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


DAMAGED: Final[dict[str, Callable[[bytes], bytes]]] = {
    "a checksum": lambda data: _flipped(gzip.compress(data), -6),
    "a length": lambda data: _flipped(gzip.compress(data), -2),
    "the first member's checksum": lambda data: _flipped(gzip.compress(data[:999]), -6) + gzip.compress(data[999:]),
    "a checksum of bgzip's": lambda data: _flipped(bgzipped(data), bgzipped(data).index(b"BC", 30) - 18),
    "no checksum": lambda data: gzip.compress(data)[:-8],
    "half a checksum": lambda data: gzip.compress(data)[:-6],
    "a second member that is cut off": lambda data: joined(data, len(data) // 2 + 1)[:-9],
    "a wrong checksum with bytes behind": lambda data: _flipped(gzip.compress(data), -6) + bytes(20),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_checksum_that_does_not_fit_is_a_fault_as_in_python(core: CorePage, tmp_path: Path, what: str) -> None:
    path = write_nifti(tmp_path / "P1_flair.nii.gz", made_head(GRID).flair, GRID)
    path.write_bytes(DAMAGED[what](gzip.decompress(path.read_bytes())))
    with pytest.raises(BrainsegError):
        read_study(path).flair.load()
    assert core.ask("open", files=files([path]))["fault"] == "nifti-damaged"


def test_members_are_read_no_further_than_the_header_says_and_empty_ones_end(core: CorePage, tmp_path: Path) -> None:
    data = gzip.decompress(write_nifti(tmp_path / "x.nii.gz", made_head(GRID).flair, GRID).read_bytes())
    path = tmp_path / "P1_flair.nii.gz"
    path.write_bytes(bgzipped(data) + bgzipped(bytes(65280)) * 20_000)  # 1.2 GiB
    assert bounded(core, files=files([path]))["count"] == GRID.shape[0]
    for empty, count in ((gzip.compress(b""), 100_000), (bgzipped(b""), 20_000)):
        path.write_bytes(empty * count + gzip.compress(data))
        assert bounded(core, files=files([path]))["fault"] == "nifti-damaged"


@pytest.mark.parametrize("shape", [(32767, 32767, 32767), (4096, 4096, 9), (32767, 4097, 1)])
def test_a_volume_that_claims_too_much_is_refused_by_its_header(
    core: CorePage, tmp_path: Path, shape: tuple[int, int, int]
) -> None:
    head = bytearray(
        gzip.decompress(write_nifti(tmp_path / "x.nii.gz", made_head(GRID).flair, GRID).read_bytes())[:352]
    )
    struct.pack_into("<3h", head, 42, *shape)
    data = zeros(GIB, 31, bytes(head))
    (tmp_path / "P1_flair.nii.gz").write_bytes(data)
    assert bounded(core, files=files([tmp_path / "P1_flair.nii.gz"]))["fault"] == "nifti-kind"


def test_headers_of_many_large_files_are_read_without_their_voxels(core: CorePage, tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "P1_flair.nii.gz", made_head(GRID).flair, GRID)
    with path.open("ab") as file:
        file.truncate(512 * MIB)
    small = [write_nifti(tmp_path / f"P1_t{index}x.nii.gz", made_head(GRID).flair, GRID) for index in range(3)]
    assert bounded(core, files=files([path, *small]))["count"] == GRID.shape[0]


def png(height: int, width: int, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_a_png_that_gives_gigabytes_is_read_no_further_than_its_size(core: CorePage, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(256, 256, zeros(4 * GIB)))
    assert bounded(core, files=files([tmp_path / "a.png"]))["height"] == 256


def test_a_png_that_claims_gigabytes_is_refused(core: CorePage, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(60_000, 60_000, zeros(16 * MIB)))
    assert bounded(core, files=files([tmp_path / "a.png"]))["fault"] == "image-size"


def tiff(side: int, method: int, strip: bytes, *, rows: int, share: bool) -> bytes:
    """An RGB TIFF whose strips all are the same bytes, or the one strip of all rows."""
    count = -(-side // rows) if share else 1
    entries = [
        (256, 4, 1, side), (257, 4, 1, side), (258, 3, 3, None), (259, 3, 1, method), (262, 3, 1, 2),
        (273, 4, count, None), (277, 3, 1, 3), (278, 4, 1, rows if share else side), (279, 4, count, None),
    ]  # fmt: skip
    at = 8 + 2 + 12 * len(entries) + 4
    bits, offsets, sizes = at, at + 6, at + 6 + 4 * count
    start = sizes + 4 * count
    where = {258: bits, 273: offsets if count > 1 else start, 279: sizes if count > 1 else len(strip)}
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    body = b"".join(struct.pack("<HHII", tag, kind, n, where.get(tag, value)) for tag, kind, n, value in entries)
    arrays = struct.pack("<3H", 8, 8, 8) + struct.pack(f"<{count}I", *[start] * count)
    return head + body + bytes(4) + arrays + struct.pack(f"<{count}I", *[len(strip)] * count) + strip


PACKED: Final[dict[str, tuple[int, Callable[[], bytes]]]] = {
    "deflate": (8, lambda: zeros(GIB)),
    "lzw": (5, lambda: lzw_of_zeros(400_000)),
    "packbits": (32773, lambda: b"\x81\x00" * (8 * MIB)),
}


def lzw_of_zeros(codes: int) -> bytes:
    """LZW that gives longer and longer runs of zeros: clear, 0, 258, 259, ..."""
    bits, width, following = [(256, 9), (0, 9)], 9, 258
    for _ in range(codes):
        if following >= 4094:
            bits += [(256, width), (0, 9)]
            width, following = 9, 258
        bits.append((following, width))
        following += 1
        width = max(width, (following + 1).bit_length())
    packed = np.concatenate([[(code >> (size - 1 - bit)) & 1 for bit in range(size)] for code, size in bits])
    return np.packbits(packed.astype(np.uint8)).tobytes()


@pytest.mark.parametrize("method", PACKED)
@pytest.mark.parametrize("share", [False, True], ids=["one strip", "shared strips"])
def test_a_tiff_that_gives_gigabytes_is_read_no_further_than_its_size(
    core: CorePage, tmp_path: Path, method: str, share: bool
) -> None:
    code, strip = PACKED[method]
    (tmp_path / "a.tif").write_bytes(tiff(2048, code, strip(), rows=1, share=share))
    answer = bounded(core, files=files([tmp_path / "a.tif"]))
    assert answer.get("height") == 2048 or answer["fault"].startswith("image-"), answer


def test_golden_cases_that_give_gigabytes_are_refused(core: CorePage, tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path / "tiny")
    packed = zeros(2 * GIB, -15)
    with zipfile.ZipFile(io.BytesIO((TINY / "golden.npz").read_bytes())) as archive:
        name = archive.namelist()[0]
    local = (
        struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 8, 0, 0x21, 0, len(packed), 1000, len(name), 0) + name.encode()
    )
    central = (
        struct.pack(
            "<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0, 8, 0, 0x21, 0, len(packed), 1000, len(name), 0, 0, 0, 0, 0, 0
        )
        + name.encode()
    )
    whole = local + packed + central
    whole += struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(central), len(local) + len(packed), 0)
    (tmp_path / "tiny/golden.npz").write_bytes(whole)
    manifest = json.loads((tmp_path / "tiny/manifest.json").read_text())
    manifest["files"]["golden.npz"].update(bytes=len(whole), sha256=hashlib.sha256(whole).hexdigest())
    (tmp_path / "tiny/manifest.json").write_text(json.dumps(manifest))
    answer = bounded(core, "golden", bundle=folder(tmp_path / "tiny"), variant="fp32")
    assert answer["fault"] == "bundle-schema", answer
    assert answer["values"]["where"] == "golden.npz"


def test_deflated_dicom_that_gives_gigabytes_is_left_out(core: CorePage, tmp_path: Path) -> None:
    packed = zeros(GIB, -15)
    for path in write_series(tmp_path / "study/flair", made_head(GRID).flair, GRID):
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID("1.2.840.10008.1.2.1.99")
        buffer = io.BytesIO()
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
        head = buffer.getvalue()[: buffer.getvalue().index(b"1.2.840.10008.1.2.1.99") + 400]
        meta = head[: 144 + 4 + int.from_bytes(head[140:144], "little") - 4]
        path.write_bytes(meta + packed)
    assert bounded(core, files=folder(tmp_path / "study"))["fault"] == "dicom-damaged"


def test_dicom_that_claims_gigabytes_is_a_fault_of_its_series(core: CorePage, tmp_path: Path) -> None:
    for path in write_series(tmp_path / "study/flair", made_head(GRID).flair, GRID):
        dataset = pydicom.dcmread(path)
        dataset.Rows = dataset.Columns = 4096
        dataset.save_as(path)
    assert bounded(core, files=folder(tmp_path / "study"))["fault"] == "dicom-damaged"
