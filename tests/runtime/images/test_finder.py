"""The finder on odd trees: nested, linked, looping, mixed with results of earlier runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from brainseg_runtime.errors import DatasetError, InputError
from brainseg_runtime.images.dataset import scan_dataset
from brainseg_runtime.images.finder import DEPTH, find
from brainseg_runtime.prediction.inputs import collect

links = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def patient(folder: Path, slices: int = 2) -> Path:
    """A patient of empty files under the right names."""
    for n in range(1, slices + 1):
        touch(folder / f"{folder.name}_{n}.tif", folder / f"{folder.name}_{n}_mask.tif")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A set of the patients a and b."""
    for name in ("a", "b"):
        patient(tmp_path / "set" / name)
    return tmp_path / "set"


def ids(folder: Path) -> list[str]:
    return [one.id for one in scan_dataset(folder)]


def faults(folder: Path) -> tuple[str, ...]:
    with pytest.raises(DatasetError) as caught:
        scan_dataset(folder)
    return tuple(problem.replace(f"{folder}{os.sep}", "") for problem in caught.value.problems)


def test_what_is_nested_too_deep_is_told_by_every_command(root: Path, tmp_path: Path) -> None:
    patient(root / "1" / "2" / "c")
    assert ids(root) == ["a", "b", "c"]
    patient(root / "1" / "2" / "3" / "d")
    patient(root / "1" / "2" / "3" / "4" / "e")
    kind = f"lies more than {DEPTH} folders below the input and was not searched"
    assert faults(root) == (f"{Path('1', '2', '3', '4')} {kind}", f"{Path('1', '2', '3', 'd')} {kind}")
    found = collect([root], tmp_path / "out")
    assert {item.name[0] for item in found.items} == {"a", "b", "c"}
    assert [line for line in found.warnings if "was not searched" in line]


def test_folders_without_images_below_the_depth_are_no_matter(root: Path) -> None:
    touch(root / "a" / "1" / "2" / "3" / "4" / "notes.txt")
    assert not [problem for problem in find(root).problems if "searched" in str(problem)]


@pytest.mark.parametrize("where", ["predictions", "a/predictions", "x/y/predictions"])
@pytest.mark.parametrize("record", [True, False])
def test_results_of_an_earlier_run_are_never_slices(root: Path, tmp_path: Path, where: str, record: bool) -> None:
    before = [item.path for item in collect([root], tmp_path / "out").items]
    results = root / where
    touch(*(results / f"a_1_{kind}" for kind in ("mask.tif", "probability.tif", "overlay.png")))
    if record:
        touch(results / "predictions.json", results / "b" / "b_1_mask.tif")
    told: list[str] = []
    assert [one.id for one in scan_dataset(root, tell=told.append)] == ["a", "b"]
    assert any("earlier run" in line and str(results) in line for line in told)
    found = collect([root], tmp_path / "out")
    assert [item.path for item in found.items] == before
    assert any("earlier run" in line for line in found.warnings)


def test_a_folder_of_results_alone_is_no_input(tmp_path: Path) -> None:
    touch(tmp_path / "done" / "predictions.json", tmp_path / "done" / "a_1_mask.tif")
    with pytest.raises(InputError, match="holds no image"):
        collect([tmp_path / "done"], tmp_path / "out")
    with pytest.raises(InputError, match="hold no image"):
        collect([tmp_path / "done" / "a_1_mask.tif"], tmp_path / "out")
    with pytest.raises(DatasetError, match="only results"):
        scan_dataset(tmp_path / "done")


def test_results_in_a_patients_own_folder_are_left_out_and_its_masks_are_not_trusted(root: Path) -> None:
    touch(root / "a" / "a_1_probability.tif", root / "a" / "a_1_overlay.png")
    assert ids(root) == ["a", "b"]
    touch(root / "a" / "predictions.json")
    assert any("may not be a reader's" in problem for problem in faults(root))


@pytest.mark.parametrize("name", ["run.json", "study.json"])
def test_a_folder_of_training_runs_is_left_out(root: Path, name: str) -> None:
    touch(root / "runs" / "one" / name, root / "runs" / "splits" / "x.json", root / "runs" / "report.html")
    told: list[str] = []
    assert [one.id for one in scan_dataset(root, tell=told.append)] == ["a", "b"]
    assert told == [f"left out: {root / 'runs' / 'one'} holds results of an earlier run"]


def test_a_patient_whose_images_are_gone_is_told(root: Path, tmp_path: Path) -> None:
    for n in (1, 2):
        (root / "a" / f"a_{n}.tif").unlink()
    assert len([problem for problem in faults(root) if "mask without an image" in problem]) == 2
    assert any("a has masks but no image" in line for line in collect([root], tmp_path / "out").warnings)


def test_copies_inside_a_patients_folder_are_no_other_patient(root: Path, tmp_path: Path) -> None:
    for file in list((root / "a").iterdir()):
        touch(root / "a" / "backup" / file.name)
    assert "a holds slices beside folders that hold slices, such as backup" in faults(root)
    with pytest.raises(InputError, match="same files"):
        collect([root], tmp_path / "out")


def test_an_empty_folder_among_patients_is_told_once(root: Path, tmp_path: Path) -> None:
    (root / "c" / "d").mkdir(parents=True)
    assert faults(root) == ("c holds no slice",)
    assert collect([root], tmp_path / "out").warnings == (f"warning: {root / 'c'} holds no slice",)


def test_pictures_are_slices_to_be_segmented_and_none_to_be_evaluated(root: Path, tmp_path: Path) -> None:
    touch(root / "a" / "preview.png")
    assert ids(root) == ["a", "b"]
    touch(root / "c" / "c_1.png", root / "c" / "c_2.JPG", root / "c" / "c_3.jpeg", root / "c" / "c_1_mask.png")
    assert faults(root) == ("c holds PNG or JPEG images and no TIFF: save them as TIFF (3 files)",)
    assert [item.name for item in collect([root / "c"], tmp_path / "out").items] == ["c_1", "c_2", "c_3"]


@links
def test_loops_end_and_a_folder_reached_twice_is_taken_once(root: Path, tmp_path: Path) -> None:
    (root / "a" / "again").symlink_to(root, target_is_directory=True)
    (root / "0 other name of b").symlink_to(root / "b", target_is_directory=True)
    (root / "a" / "b").symlink_to(root / "b", target_is_directory=True)
    told: list[str] = []
    assert [one.id for one in scan_dataset(root, tell=told.append)] == ["a", "b"]
    assert len(told) == 1
    assert told[0].startswith("left out: 3 × is a link to a folder that is searched anyway")
    assert [item.patient for item in collect([root], tmp_path / "out").items] == [root / name for name in "aabb"]


@links
def test_a_link_out_of_a_patients_folder_to_the_set_brings_no_other_patient(root: Path, tmp_path: Path) -> None:
    (root / "a" / "up").symlink_to(root, target_is_directory=True)
    assert ids(root / "a") == ["a"]
    assert {item.name for item in collect([root / "a"], tmp_path / "out").items} == {"a_1", "a_2"}


@links
def test_two_slices_that_link_to_one_file_in_a_store_are_two_slices(tmp_path: Path) -> None:
    touch(tmp_path / "store" / "0123abcd")
    folder = tmp_path / "set" / "a"
    folder.mkdir(parents=True)
    for name in ("a_1.tif", "a_2.tif", "a_1_mask.tif", "a_2_mask.tif"):
        (folder / name).symlink_to(tmp_path / "store" / "0123abcd")
    assert [len(one.slices) for one in scan_dataset(tmp_path / "set")] == [2]
    assert [item.name for item in collect([tmp_path / "set"], tmp_path / "out").items] == ["a_1", "a_2"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_no_slice_and_is_never_opened(root: Path) -> None:
    os.mkfifo(root / "a" / "a_3.tif")
    assert "a/a_3.tif is not a regular file" in faults(root)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text_are_escaped_and_stay_apart(tmp_path: Path) -> None:
    for name in (b"a\xff", b"a\xfe", b"new\nline"):
        patient(tmp_path / "set" / os.fsdecode(name))
    assert ids(tmp_path / "set") == ["a\\udcfe", "a\\udcff", "new\\nline"]
    for one in scan_dataset(tmp_path / "set"):
        one.id.encode()
    assert len(collect([tmp_path / "set"], tmp_path / "out").items) == 6


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take these for one name")
def test_patients_whose_names_differ_by_case_are_two(tmp_path: Path) -> None:
    patient(tmp_path / "set" / "p")
    patient(tmp_path / "set" / "P")
    assert ids(tmp_path / "set") == ["P", "p"]
    with pytest.raises(InputError, match="same files"):
        collect([tmp_path / "set"], tmp_path / "out")


@pytest.fixture
def closed(root: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The patient a, or the whole set, in a mode that keeps readers out."""
    where, mode = request.param
    folder = root / where
    folder.chmod(mode)
    yield folder
    folder.chmod(0o755)


@pytest.fixture
def nobody(closed: Path, tmp_path: Path) -> Iterator[None]:
    """Root may read everything, so it becomes somebody who may not; a folder of pytest's is opened for that one."""
    assert closed.exists()
    if os.geteuid() != 0:
        yield
        return
    above = [folder for folder in tmp_path.parents if (folder.stat().st_mode & 0o055) != 0o055]
    modes = {folder: folder.stat().st_mode for folder in (tmp_path, *above)}
    for folder, mode in modes.items():
        folder.chmod(mode | 0o055)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for folder, mode in modes.items():
            folder.chmod(mode)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="the system has no such permissions")
@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("closed", [(w, m) for w in ("a", ".") for m in (0o000, 0o444, 0o111)], indirect=True)
def test_what_may_not_be_read_is_named_by_every_command(closed: Path, root: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        scan_dataset(root)
    assert [problem for problem in caught.value.problems if str(closed) not in problem] == []
    with pytest.raises(InputError, match="cannot be") as refused:
        collect([root], tmp_path / "out")
    assert str(closed) in str(refused.value)
