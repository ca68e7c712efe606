"""A file's slices say where they lie; what is no grey image of a kind that is read says so, and names no patient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from brainseg_runtime.errors import StudyError
from brainseg_runtime.studies.dicom.slices import read_slices
from tests.runtime.studies.dicom.made import GRID, VOXELS
from tests.studies_made.enhanced import write_enhanced
from tests.studies_made.faults import changed
from tests.studies_made.series import Stored, write_series


def one(tmp_path: Path, **values: Any) -> Path:  # noqa: ANN401 - values of tags
    """A slice with other tags."""
    return write_series(
        tmp_path, VOXELS[1:2], GRID, edit=changed(**values), stored=Stored(slope=2, intercept=0, bits=16)
    )[0]


def test_a_slice_is_placed_as_its_header_says(tmp_path: Path) -> None:
    path = write_series(tmp_path, VOXELS, GRID)[2]
    file, (found,) = read_slices(path, "f")
    assert file.fault is None
    assert found.label == "f"
    assert found.place.position is not None
    assert np.allclose(found.place.position, GRID.positions([2, 0, 0]), atol=1e-4)
    assert found.place.orientation is not None
    assert np.allclose(found.place.orientation, [*GRID.directions[2], *GRID.directions[1]], atol=1e-6)
    assert found.place.spacing == (4.5, 4.0)
    assert (found.place.thickness, found.place.between) == (5.0, 5.0)
    assert found.telling["EchoTime"] == "120.0"


@pytest.mark.parametrize("per_frame", [False, True])
def test_frames_are_placed_as_their_groups_say(tmp_path: Path, per_frame: bool) -> None:
    path = write_enhanced(tmp_path / "e", VOXELS, GRID, order=[5, 4, 3, 2, 1, 0], per_frame=per_frame)
    _, frames = read_slices(path, "f")
    assert [frame.label for frame in frames] == [f"f frame {number}" for number in range(1, 7)]
    for k, frame in zip(range(5, -1, -1), frames, strict=True):
        assert frame.place.position is not None
        assert np.allclose(frame.place.position, GRID.positions([k, 0, 0]), atol=1e-4)
        assert frame.place.spacing == (4.5, 4.0)
        assert frame.telling["StackID"] == "1"


def test_an_object_that_does_not_describe_its_frames_is_refused(tmp_path: Path) -> None:
    def edit(dataset: Dataset) -> Dataset:
        del dataset.PerFrameFunctionalGroupsSequence[-1]
        return dataset

    file, found = read_slices(write_enhanced(tmp_path / "e", VOXELS, GRID, edit=edit), "f")
    assert not found
    assert "does not describe each of its frames" in str(file.fault)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4"}, "Segmentation Storage"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "Secondary Capture Image Storage"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}, "Encapsulated PDF Storage"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4.2"}, "MR Spectroscopy Storage"),
        ({"PixelData": None}, "has no pixels"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "no grey image"),
        ({"Rows": 0}, "wrong size"),
        ({"Rows": 65535, "Columns": 65535}, "wrong size"),
        ({"NumberOfFrames": 2_000_000}, "wrong number of frames"),
        ({"NumberOfFrames": 3}, "cut off within its pixels"),
        ({"BitsAllocated": 12}, "wrong depth"),
        ({"BitsStored": 17}, "wrong depth"),
        ({"HighBit": 3}, "wrong depth"),
        ({"RescaleSlope": 0}, "wrong RescaleSlope"),
        ({"AnatomicalOrientationType": "QUADRUPED"}, "not read"),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_a_fault_with_its_reason(tmp_path: Path, values: dict[str, Any], words: str) -> None:
    file, found = read_slices(one(tmp_path, **values), "f")
    assert not found
    assert isinstance(file.fault, StudyError)
    assert words in str(file.fault)
    assert "Made" not in str(file.fault)


@pytest.mark.parametrize("value", [None, "../../etc", "not a uid", "1..2"])
@pytest.mark.parametrize("name", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_files_without_their_uids_are_refused(tmp_path: Path, name: str, value: str | None) -> None:
    with pytest.raises(StudyError, match=f"f has no valid {name}"):
        read_slices(one(tmp_path, **{name: value}), "f")


def test_the_patients_identifier_is_kept_as_a_digest_alone(tmp_path: Path) -> None:
    file, _ = read_slices(one(tmp_path), "f")
    assert len(file.patient) == 64
    assert "MADE-0001" not in str(vars(file))


def test_a_mosaic_is_refused_since_its_tags_place_one_slice(tmp_path: Path) -> None:
    file, slices = read_slices(one(tmp_path, ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]), "f")
    assert not slices
    assert "f is a mosaic" in str(file.fault)
    assert "dcm2niix" in str(file.fault)
