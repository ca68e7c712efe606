"""Golden cases as raw bytes: what numpy reads from the bundle's NPZ is what lies in the files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.bundles.golden import Answer, GoldenCase, encode
from brainseg_runtime.errors import BundleSchemaError, InputError
from brainseg_runtime.installation.golden_files import read_index, write_golden
from tests.runtime.tiny import TINY, copy_tiny, digest_of, edit_manifest, replace_file


def array(folder: Path, entry: dict[str, Any]) -> NDArray[Any]:
    """An array as a host reads it, by the index alone."""
    data = (folder / entry["file"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    return np.frombuffer(data, np.dtype(entry["dtype"]).newbyteorder("<")).reshape(entry["shape"])


def test_every_array_of_the_npz_is_there_bit_by_bit(tmp_path: Path) -> None:
    write_golden(open_bundle(TINY), tmp_path / "golden")
    index = json.loads((tmp_path / "golden" / "index.json").read_text(encoding="utf-8"))
    found = {}
    for case in index["cases"]:
        found[f"{case['name']}.image"] = array(tmp_path / "golden", case["image"])
        for variant, answer in case["variants"].items():
            for kind in ("mask", "probability"):
                found[f"{case['name']}.{variant}.{kind}"] = array(tmp_path / "golden", answer[kind])
    with np.load(TINY / "golden.npz", allow_pickle=False) as expected:
        assert set(found) == set(expected.files)
        for name in expected.files:
            assert found[name].dtype == expected[name].dtype
            assert np.array_equal(found[name], expected[name])


def test_the_index_names_the_bundle_and_its_threshold(tmp_path: Path) -> None:
    written = write_golden(open_bundle(TINY), tmp_path / "golden")
    assert (written.bundle.name, written.bundle.digest) == ("tiny", digest_of(TINY))
    assert written.threshold == json.loads((TINY / "manifest.json").read_text(encoding="utf-8"))["threshold"]
    assert read_index(tmp_path / "golden") == written
    assert {path.name for path in (tmp_path / "golden").iterdir()} == written.files


def test_a_second_bundle_replaces_the_cases_of_the_first(tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    shape = (1, 16, 16)
    answer = Answer(mask=np.ones(shape, np.uint8), probability=np.full(shape, 0.5, np.float32))
    replace_file(
        bundle, "golden.npz", encode([GoldenCase(image=np.zeros((*shape, 3), np.uint8), answers={"fp32": answer})])
    )
    write_golden(open_bundle(TINY), tmp_path / "golden")
    written = write_golden(open_bundle(bundle), tmp_path / "golden")
    assert {path.name for path in (tmp_path / "golden").iterdir()} == written.files
    assert len(written.files) == 4
    assert read_index(tmp_path / "golden").bundle.digest == digest_of(bundle)


@pytest.mark.parametrize("labels", [("int8", "INT8"), ("int8+", "con")])
def test_labels_of_variants_that_are_no_names_of_files_are_numbered(tmp_path: Path, labels: tuple[str, ...]) -> None:
    bundle = copy_tiny(tmp_path)
    shape = (1, 16, 16)
    answers = {
        label: Answer(mask=np.full(shape, place, np.uint8), probability=np.full(shape, place, np.float32))
        for place, label in enumerate(labels)
    }
    replace_file(bundle, "golden.npz", encode([GoldenCase(image=np.zeros((*shape, 3), np.uint8), answers=answers)]))
    edit_manifest(bundle, lambda value: value.update(variants=dict.fromkeys(labels, value["variants"]["fp32"])))
    written = write_golden(open_bundle(bundle), tmp_path / "golden")
    assert len({name.casefold() for name in written.files}) == 6
    for place, label in enumerate(labels):
        entry = written.cases[0].variants[label].mask
        assert set((tmp_path / "golden" / entry.file).read_bytes()) == {place}


def test_answers_of_variants_that_the_manifest_lacks_are_left_out(tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    edit_manifest(bundle, lambda value: value["variants"].pop("int8"))
    written = write_golden(open_bundle(bundle), tmp_path / "golden")
    assert {name for case in written.cases for name in case.variants} == {"fp32"}


@pytest.mark.parametrize("name", ["mask.png", "index.json"])
def test_a_folder_that_holds_other_things_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"schema": "another/1"}', encoding="utf-8")
    with pytest.raises(InputError):
        write_golden(open_bundle(TINY), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_among_golden_cases_is_not_lost(tmp_path: Path) -> None:
    write_golden(open_bundle(TINY), tmp_path / "golden")
    (tmp_path / "golden" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"notes\.txt"):
        write_golden(open_bundle(TINY), tmp_path / "golden")
    assert (tmp_path / "golden" / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_file_or_a_link_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    for name in ("file", "link"):
        with pytest.raises(InputError, match="a folder or nothing"):
            write_golden(open_bundle(TINY), tmp_path / name)


def test_a_bundle_without_golden_vectors_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    edit_manifest(bundle, lambda value: value.update(golden=None))
    with pytest.raises(BundleSchemaError, match="no golden vectors"):
        write_golden(open_bundle(bundle), tmp_path / "golden")
    assert not (tmp_path / "golden").exists()


@pytest.mark.parametrize("text", ["no json", "{}", '{"schema": "brainseg/golden/1"}'])
def test_an_index_that_is_none_is_an_input_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError):
        read_index(tmp_path)
