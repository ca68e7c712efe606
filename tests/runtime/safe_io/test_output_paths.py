"""Outputs never replace an input, a bundle's or a data set's file, or each other, whatever name they are given."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from brainseg_runtime.errors import FileWriteError, InputError
from brainseg_runtime.safe_io.output_paths import check_outputs
from tests.runtime.command_line import BUNDLE, brainseg
from tests.runtime.made_slices import made_data


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUNDLE, tmp_path / "bundle"))


def bytes_of(folder: Path) -> dict[str, str]:
    """Every file's digest."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "new.json", "sub/new.json"])
@pytest.mark.parametrize("way", ["plain", "symlink", "hard link", "through a linked folder"])
def test_nothing_is_written_into_a_bundle(bundle: Path, tmp_path: Path, name: str, way: str) -> None:
    target = bundle / name
    if way == "symlink":
        (tmp_path / "link.json").symlink_to(target)
        target = tmp_path / "link.json"
    elif way == "hard link":
        if not target.exists():
            pytest.skip("there is no file to link to")
        os.link(target, tmp_path / "hard.json")
        target = tmp_path / "hard.json"
    elif way == "through a linked folder":
        (tmp_path / "folder").symlink_to(bundle, target_is_directory=True)
        target = tmp_path / "folder" / name
    before = bytes_of(bundle)
    for command in (["verify", bundle], ["doctor", bundle], ["bench", bundle]):
        done = brainseg(*command, "--json", target)
        assert done.code == 1
        assert "--json" in done.err
        assert "remedy: give --json another name" in done.err
    assert brainseg("verify", bundle, "--report", target).code == 1
    assert bytes_of(bundle) == before


def test_nothing_is_written_into_a_data_set(bundle: Path, tmp_path: Path) -> None:
    data = made_data(tmp_path / "data", patients=1, slices=1)
    image = next(data.glob("*/*_1.tif"))
    mask = image.with_name(f"{image.stem}_mask.tif")
    os.link(mask, tmp_path / "hard.json")
    before = bytes_of(data)
    for target in (image, mask, data / "README.md", image.parent / "new.json", tmp_path / "hard.json"):
        for option in ("--json", "--report"):
            assert brainseg("evaluate", bundle, data, option, target).code == 1
        assert brainseg("predict", bundle, image.parent, "-o", tmp_path / "out", "--json", mask).code == 1
        assert brainseg("predict", bundle, image, "-o", tmp_path / "out", "--json", mask).code == 1
    assert bytes_of(data) == before
    assert not (tmp_path / "out").exists()


def test_results_do_not_go_into_the_bundle(bundle: Path, tmp_path: Path) -> None:
    data = made_data(tmp_path / "data", patients=1, slices=1)
    before = bytes_of(bundle)
    for out in (bundle, bundle / "out"):
        done = brainseg("predict", bundle, data, "-o", out)
        assert done.code == 1
        assert "-o" in done.err
    assert bytes_of(bundle) == before


@pytest.mark.parametrize(("first", "second"), [("a", "a"), ("a.json", "A.JSON"), ("a", "sub/../a"), ("a", "link")])
def test_two_outputs_are_two_files(tmp_path: Path, first: str, second: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(InputError, match="are one file"):
        check_outputs({"--json": tmp_path / first, "--report": tmp_path / second})
    check_outputs({"--json": tmp_path / "a", "--report": tmp_path / "b"})


def test_standard_output_twice_is_one_file() -> None:
    if not Path("/dev/stdout").exists():
        pytest.skip("this system has no /dev/stdout")
    with pytest.raises(InputError, match="are one file"):
        check_outputs({"--json": "-", "--report": Path("/dev/stdout")})


def test_a_device_takes_any_number_of_outputs() -> None:
    if not Path("/dev/null").exists():
        pytest.skip("this system has no /dev/null")
    check_outputs({"--json": Path("/dev/null"), "--report": Path("/dev/null")}, folders=[Path("/dev")])


def test_json_is_not_the_record_nor_a_mask(tmp_path: Path) -> None:
    data, out = made_data(tmp_path / "data", patients=1, slices=1), tmp_path / "out"
    mask = f"{next(data.glob('*/*_1.tif')).stem}_mask.tif"
    for name in ("predictions.json", mask):
        assert brainseg("predict", BUNDLE, data, "-o", out, "--json", out / name).code == 1
    assert brainseg("predict", BUNDLE, data, "-o", out, "--json", out / "other.json").code == 0


def test_what_cannot_be_written_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for target in (tmp_path, tmp_path / "file" / "a.json", tmp_path / "file" / "sub" / "a.json"):
        with pytest.raises(FileWriteError, match="--json"):
            check_outputs({"--json": target})
    for out in (tmp_path / "file", tmp_path / "file" / "sub"):
        done = brainseg("predict", BUNDLE, made_data(tmp_path / "data"), "-o", out)
        assert done.code == 1
        assert "slices" not in done.err, "no model was loaded"


def test_verify_does_not_replace_the_key_it_checks_with(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("-----BEGIN PUBLIC KEY-----\n", encoding="ascii")
    assert brainseg("verify", BUNDLE, "--public-key", key, "--json", key).code == 1
    assert key.read_text(encoding="ascii").startswith("-----BEGIN")


def test_a_data_set_of_links_is_safe_under_all_names(tmp_path: Path) -> None:
    """Patients' folders that are links, and files that are."""
    store = made_data(tmp_path / "store", patients=2, slices=1)
    data = tmp_path / "data"
    data.mkdir()
    first, second = sorted(store.glob("TCGA*"))
    (data / first.name).symlink_to(first, target_is_directory=True)
    (data / second.name).mkdir()
    for file in second.iterdir():
        (data / second.name / file.name).symlink_to(file)
    before = bytes_of(store)
    for target in (
        *(path for path in data.rglob("*.tif")),
        *(path for path in store.rglob("*.tif")),
        data / first.name / f"{first.name}_1.tif",
        data / first.name / "new.json",
        first / "new.json",
    ):
        done = brainseg("evaluate", BUNDLE, data, "--json", target)
        assert (done.code, "--json" in done.err) == (1, True), target
    assert bytes_of(store) == before


def test_folders_that_are_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "again").symlink_to(tmp_path / "data", target_is_directory=True)
    with pytest.raises(InputError):
        check_outputs({"--json": tmp_path / "data" / "again" / "a.json"}, folders=[tmp_path / "data"])
    check_outputs({"--json": tmp_path / "a.json"}, folders=[tmp_path / "data", tmp_path / "nowhere"])
