"""Other projects' own test images: never other pixels than the peers see, and nearly all that they read alike.

The files are looked for in the folder that BRAINSEG_TIFF_CORPUS names (such as Pillow's sources, unpacked), and in the
project's data folder; neither is part of the repository.
"""

from __future__ import annotations

import csv
import hashlib
import os
from pathlib import Path

import pytest

from brainseg_runtime.contract import DEFAULT_LIMITS
from brainseg_runtime.errors import ImageError
from brainseg_runtime.images.formats import read_raster
from tests.runtime.images.peers import table, tiffs_in, verdict

pytest.importorskip("imagecodecs", reason="tifffile needs imagecodecs from PyPI to be a peer")

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "tiff"
SOURCES = os.environ.get("BRAINSEG_TIFF_CORPUS", "")


def folders() -> list[Path]:
    """Where there are TIFFs."""
    return [folder for folder in (DATA, *map(Path, filter(None, SOURCES.split(os.pathsep)))) if folder.is_dir()]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("folder", folders() or [None], ids=str)
def test_what_the_peers_read_alike_is_read_to_the_same_pixels(folder: Path | None) -> None:
    if folder is None:
        pytest.skip("needs other projects' images: BRAINSEG_TIFF_CORPUS names the unpacked sources of Pillow")
    verdicts = [verdict(path) for path in tiffs_in([folder])]
    assert verdicts
    alike = [each for each in verdicts if each.alike and "pages" not in each.outcome]
    assert [each for each in alike if each.outcome == "different"] == []
    assert sum(each.outcome == "read" for each in alike) >= 0.95 * len(alike), table(verdicts)


@pytest.mark.skipif(not (DATA / "index.csv").is_file(), reason="needs the project's data folder")
def test_the_pixels_that_were_recorded_are_read() -> None:
    """The digests were taken elsewhere, so that the libraries installed here are not the only oracle."""
    with (DATA / "index.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if list(row.values())[-1]]
    refused = []
    for row in rows:
        try:
            raster = read_raster((DATA / row["file"]).read_bytes(), row["file"], DEFAULT_LIMITS)
        except ImageError as error:
            refused.append(error.what)
            continue
        assert hashlib.sha256(raster.pixels.tobytes()).hexdigest() == list(row.values())[-1], row["file"]
    assert len(rows) - len(refused) >= 30
    assert all("pages" in what for what in refused)
