"""Attack 7: golden vectors that grow when they are unpacked, or that run code when they are read."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from brainseg_runtime.bundles.golden import decode
from brainseg_runtime.errors import BrainsegError
from tests.attacks.victim import bounded_memory


def npy(shape: tuple[int, ...], kind: str = "|u1", body: bytes = b"") -> bytes:
    """An NPY file whose header says anything."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": kind, "fortran_order": False, "shape": shape})
    return buffer.getvalue() + body


def archive(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries.items():
            file.writestr(name, data)
    return buffer.getvalue()


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


ATTACKS = {
    "a gibibyte of zeros": archive({"000.image.npy": npy((1, 1 << 15, 1 << 15, 1)) + bytes(1 << 20)}),
    "a header of exabytes": archive({"000.image.npy": npy((1 << 20, 1 << 20, 1 << 20, 3))}),
    "a header beyond integers": archive({"000.image.npy": npy((1 << 62, 1 << 62, 1 << 62, 3))}),
    "a name that leads elsewhere": archive({"../000.image.npy": npy((1, 1, 1, 3), body=b"abc")}),
    "another type": archive({"000.image.npy": npy((1, 1, 1, 3), "<f8", bytes(24))}),
    "ten thousand entries": archive({f"{n:05}.image.npy": b"" for n in range(10_000)}),
    "no archive": b"PK\x03\x04" + bytes(100),
    "nothing": b"",
}


@pytest.mark.parametrize("data", ATTACKS.values(), ids=ATTACKS.keys())
def test_no_bomb_is_unpacked(data: bytes) -> None:
    with bounded_memory(), pytest.raises(BrainsegError):
        decode(data)


def test_a_gigabyte_that_compresses_well_is_refused_by_what_it_would_become() -> None:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
        file.open("000.image.npy", "w", force_zip64=True) as entry,
    ):
        for _ in range(320):
            entry.write(bytes(1 << 20))
    with bounded_memory(), pytest.raises(BrainsegError):
        decode(buffer.getvalue())


def test_no_object_is_unpickled(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    data = archive({"000.image.npy": npy((1,), "|O", pickle.dumps(Payload(touched)))})
    with pytest.raises(BrainsegError):
        decode(data)
    assert not touched.exists()
