"""The same files in another transfer syntax, by writers that are not ours: pydicom's encoders, gdcm, dcmtk."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import pytest

_PYDICOM: Final[Mapping[str, str]] = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "deflated": "1.2.840.10008.1.2.1.99",
    "big-endian": "1.2.840.10008.1.2.2",
    "rle": "1.2.840.10008.1.2.5",
    "jpeg-ls": "1.2.840.10008.1.2.4.80",
    "jpeg-2000": "1.2.840.10008.1.2.4.90",
}
_GDCM: Final[Mapping[str, str]] = {
    "jpeg-lossless": "--jpeg",
    "rle-gdcm": "--rle",
    "jpeg-ls-gdcm": "--jpegls",
    "jpeg-2000-gdcm": "--j2k",
    "implicit-gdcm": "--implicit",
}
_DCMTK: Final[Mapping[str, tuple[str, ...]]] = {
    "jpeg-lossless-dcmtk": ("dcmcjpeg", "+e1"),
    "jpeg-lossless-57-dcmtk": ("dcmcjpeg", "+el"),
    "jpeg-ls-dcmtk": ("dcmcjpls", "+el"),
    "rle-dcmtk": ("dcmcrle",),
    "deflated-dcmtk": ("dcmconv", "+td"),
    "big-endian-dcmtk": ("dcmconv", "+tb"),
    "implicit-dcmtk": ("dcmconv", "+ti"),
    "undefined-lengths-dcmtk": ("dcmconv", "+te", "-e"),
}

SYNTAXES: Final = (*_PYDICOM, *_GDCM, *_DCMTK)
"""All of them lossless."""


def transcode(paths: Iterable[Path], syntax: str) -> None:
    """Rewrite files in another transfer syntax; skips the test if the writer is not installed.

    Args:
        paths: Uncompressed files.
        syntax: One of `SYNTAXES`.
    """
    if syntax in _PYDICOM:
        _by_pydicom(paths, _PYDICOM[syntax])
    elif syntax in _GDCM:
        pytest.importorskip("_gdcm", reason="needs python-gdcm")
        program = shutil.which("gdcmconv", path=Path(sys.executable).parent)
        program = program or pytest.skip("needs python-gdcm's gdcmconv beside Python")
        _by_program(paths, [program, _GDCM[syntax]])
    else:
        name, *options = _DCMTK[syntax]
        program = shutil.which(name) or pytest.skip(f"needs {name}: apt-get install dcmtk")
        _by_program(paths, [program, *options])


def _by_pydicom(paths: Iterable[Path], uid: str) -> None:
    """Rewrites files with pydicom."""
    import pydicom
    from pydicom.uid import UID

    for path in paths:
        dataset = pydicom.dcmread(path)
        if UID(uid).is_encapsulated:
            dataset.compress(uid, generate_instance_uid=False)
        else:
            if uid == "1.2.840.10008.1.2.2" and dataset.BitsAllocated == 16:
                dataset.PixelData = _swapped(dataset.PixelData)
            dataset.file_meta.TransferSyntaxUID = UID(uid)
        implicit = uid == "1.2.840.10008.1.2"
        little = uid != "1.2.840.10008.1.2.2"
        pydicom.dcmwrite(path, dataset, implicit_vr=implicit, little_endian=little, enforce_file_format=True)


def _swapped(data: bytes) -> bytes:
    """16-bit words with their bytes exchanged."""
    swapped = bytearray(len(data))
    swapped[0::2], swapped[1::2] = data[1::2], data[0::2]
    return bytes(swapped)


def _by_program(paths: Iterable[Path], command: list[str]) -> None:
    """Rewrites files with a program that takes an input and an output."""
    for path in paths:
        made = path.with_name(f"{path.name}.new")
        subprocess.run([*command, str(path), str(made)], check=True, capture_output=True, timeout=60)
        made.replace(path)
