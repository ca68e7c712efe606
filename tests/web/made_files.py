"""What the page's tests open: patients made of disks, damaged pictures, and bundles that must be refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from brainseg_runtime import Segmenter
from tests.studies_made.series import write_series
from tests.studies_made.shapes import axial_grid, made_head
from tests.studies_made.tags import FLAIR, POST, PRE, Tags

TINY = Path(__file__).resolve().parents[1] / "bundles" / "tiny"
SLICES = 12
SIDE = 96
PATIENT = "TCGA_MADE_0001"
"""In the names of files and folders, as a patient's identifier may be; the page must not show it."""


@dataclass(frozen=True)
class Made:
    """Where the files are, and what Python makes of the patient.

    Attributes:
        folder: The files.
        digest: The tiny bundle's.
        voxels: Pixels that Python marks in the patient with fp32.
        largest: The number, from 1, of the slice with most of them.
        mask: (12, 96, 96) uint8, what Python marks.
    """

    folder: Path
    digest: str
    voxels: int
    largest: int
    mask: NDArray[np.uint8]


def made_files(folder: Path) -> Made:
    """Write everything below a folder."""
    slices = patient()
    _write(folder / "patient", slices)
    _write(folder / "unusual", np.stack([slices[..., 1], slices[..., 1], slices[..., 2] // 3], axis=-1))
    _write(folder / "long", np.repeat(np.repeat(np.repeat(slices, 2, axis=0), 2, axis=1), 2, axis=2))
    _write(folder / "two" / "one", slices[:2])
    _write(folder / "two" / "other", slices[:2], "TCGA_MADE_0002")
    (folder / "saved").mkdir()
    _hostile(folder / "hostile", slices[4])
    _unclear(folder / "unclear")
    _bundles(folder / "bundles")
    segmenter = Segmenter.load(TINY, provider="cpu", variant="fp32")
    mask = segmenter.predict_volume(slices).mask
    digest = segmenter.info.provenance.bundle_digest or ""
    areas = mask.sum(axis=(1, 2))
    return Made(folder=folder, digest=digest, voxels=int(areas.sum()), largest=int(areas.argmax()) + 1, mask=mask)


def patient() -> NDArray[np.uint8]:
    """(12, 96, 96, 3) uint8: a grey head with a bright spot on FLAIR that grows and shrinks."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    head = ((rows - 48) / 40) ** 2 + ((columns - 48) / 34) ** 2 < 1
    found = np.zeros((SLICES, SIDE, SIDE, 3), np.uint8)
    for number in range(SLICES):
        found[number][head] = (90, 110, 140)
        radius = 12 - 2 * abs(number - 5)
        if radius > 0:
            found[number][(rows - 40) ** 2 + (columns - 60) ** 2 < radius**2] = (80, 230, 145)
    return found


def _write(folder: Path, slices: NDArray[np.uint8], name: str = PATIENT) -> None:
    folder.mkdir(parents=True)
    for number, image in enumerate(slices, start=1):
        tifffile.imwrite(folder / f"{name}_{number}.tif", image, photometric="rgb")


def _hostile(folder: Path, image: NDArray[np.uint8]) -> None:
    folder.mkdir()
    tifffile.imwrite(folder / "whole.tif", image, photometric="rgb")
    whole = (folder / "whole.tif").read_bytes()
    (folder / "truncated.tif").write_bytes(whole[: len(whole) // 2])
    tifffile.imwrite(folder / "grey.tif", image[..., 0])
    tifffile.imwrite(folder / "tiny.tif", image[:4, :4], photometric="rgb")
    # Says that it is 60,000 pixels a side, and holds a few.
    huge = bytearray(whole)
    for tag in (256, 257):
        at = huge.index(tag.to_bytes(2, "little"), int.from_bytes(huge[4:8], "little"))
        huge[at + 8 : at + 12] = (60_000).to_bytes(4, "little")
    (folder / "huge.tif").write_bytes(huge)
    (folder / "noise.tif").write_bytes(np.random.default_rng(7).integers(0, 256, 5000, np.uint8).tobytes())
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.txt").write_text("no image\n")


def _unclear(folder: Path) -> None:
    """Write a DICOM study with two FLAIRs, of which somebody must choose; one has markup in its description."""
    grid = axial_grid((6, 64, 64), spacing=(12.0, 3.6, 3.6))
    head = made_head(grid)
    patient: Tags = {"PatientName": f"{PATIENT}^MADE", "PatientID": PATIENT}
    again = "AX FLAIR <img src=x onerror=alert(1)>\u202etfel"
    other: Tags = {"SeriesNumber": 6, "SeriesDescription": again, "SpecificCharacterSet": "ISO_IR 192"}
    for name, voxels, tags in (
        ("a", head.flair, FLAIR),
        ("b", head.flair, {**FLAIR, **other}),
        ("c", head.pre, PRE),
        ("d", head.post, POST),
    ):
        write_series(folder / f"{PATIENT}_{name}", voxels, grid, tags={**tags, **patient})


def _bundles(folder: Path) -> None:
    for name in ("tampered", "incomplete", "unlisted", "no-manifest", "not-json", "huge-manifest", "marked-up"):
        shutil.copytree(TINY, folder / name)
    model = folder / "tampered" / "model.onnx"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    (folder / "incomplete" / "model.onnx").unlink()
    (folder / "unlisted" / "extra.onnx").write_bytes(b"extra")
    (folder / "no-manifest" / "manifest.json").unlink()
    (folder / "not-json" / "manifest.json").write_text('{"schema": ')
    (folder / "huge-manifest" / "manifest.json").write_bytes(b" " * (2 << 20))
    _card(
        folder / "marked-up", "# Card\n\n<img src=x onerror=alert(1)> [link](javascript:alert(1)) <script>1</script>\n"
    )


def _card(bundle: Path, text: str) -> None:
    """Give a bundle another card, listed as it is."""
    data = text.encode()
    (bundle / "MODEL_CARD.md").write_bytes(data)
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["MODEL_CARD.md"] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    path.write_text(json.dumps(manifest))


def picture(path: Path) -> None:
    """Write a small PNG, as a study's preview."""
    Image.fromarray(patient()[5]).save(path)
