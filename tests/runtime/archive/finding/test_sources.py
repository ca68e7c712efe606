"""Sources: which folders are one study, found without reading pixels and told while the search goes on."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from brainseg_runtime.archive.finding.references import Reference
from brainseg_runtime.archive.finding.sources import ZIP_OF_PICTURES, Found, references
from brainseg_runtime.archive.finding.trees import LocalTree, fetch, files_of
from brainseg_runtime.archive.working.identity import fingerprint
from brainseg_runtime.errors import InputError, StudyError
from tests.runtime.made_slices import made_data, made_patient
from tests.studies_made.nifti import write_nifti
from tests.studies_made.series import write_study
from tests.studies_made.shapes import axial_grid
from tests.studies_made.uids import made_uid

GRID = axial_grid((2, 16, 16), spacing=(5.0, 1.0, 1.0))
VOLUMES = dict.fromkeys(("flair", "pre", "post"), np.arange(512, dtype=np.uint8).reshape(2, 16, 16))


def study(folder: Path, name: str) -> Path:
    """A DICOM study of its own UID, a folder for each series."""
    return write_study(folder, VOLUMES, GRID, tags={"StudyInstanceUID": made_uid(name)})


def found_in(source: object) -> tuple[dict[str, Reference], list[str]]:
    """References by name, and what was left out."""
    found = Found()
    listed = list(references(str(source), found))
    assert len({each.name for each in listed}) == len(listed)
    return {each.name: each for each in listed}, [f"{each.where}: {each.kind}" for each in found.left_out]


def test_a_data_set_is_a_reference_for_each_patient(tmp_path: Path) -> None:
    named, left_out = found_in(made_data(tmp_path / "data", patients=3))
    assert list(named) == [f"TCGA_DU_{5800 + n}_19950101" for n in range(3)]
    assert all(each.kind == "slices" for each in named.values())
    assert not left_out


def test_series_folders_of_a_study_are_one_reference(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        study(tmp_path / "all" / name, name)
    named, _ = found_in(tmp_path / "all")
    assert {name: each.paths for name, each in named.items()} == {
        name: (str(tmp_path / "all" / name),) for name in ("a", "b", "c")
    }


def test_several_studies_of_a_patient_are_references_of_their_own(tmp_path: Path) -> None:
    study(tmp_path / "all" / "p1" / "first", "1")
    study(tmp_path / "all" / "p1" / "second", "2")
    study(tmp_path / "all" / "p2" / "DICOM" / "only", "3")
    named, _ = found_in(tmp_path / "all")
    assert set(named) == {"p1/first", "p1/second", "p2"}


def test_series_beside_those_of_another_study_keep_together(tmp_path: Path) -> None:
    study(tmp_path / "x", "x")
    study(tmp_path / "y", "y")
    for name in ("flair", "pre", "post"):
        shutil.move(tmp_path / "x" / name, tmp_path / "all" / f"1{name}")
        shutil.move(tmp_path / "y" / name, tmp_path / "all" / f"2{name}")
    named, _ = found_in(tmp_path / "all")
    assert sorted(len(each.paths) for each in named.values()) == [3, 3]
    for each in named.values():
        assert len({Path(path).name[0] for path in each.paths}) == 1


def test_references_are_told_before_the_search_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str] = []
    plain = LocalTree.listed

    def watched(tree: LocalTree, folder: str) -> tuple[list[str], list[str]]:
        listed.append(Path(folder).name)
        return plain(tree, folder)

    monkeypatch.setattr(LocalTree, "listed", watched)
    for number in range(5):
        study(tmp_path / "all" / str(number), str(number))
    coming = references(str(tmp_path / "all"), Found())
    assert [each.name for each in islice(coming, 2)] == ["0", "1"]
    assert "4" not in listed
    assert [each.name for each in coming] == ["2", "3", "4"]


def test_a_single_study_or_patient_is_a_source(tmp_path: Path) -> None:
    assert set(found_in(study(tmp_path / "one", "one"))[0]) == {"one"}
    assert set(found_in(made_patient(tmp_path / "p1"))[0]) == {"p1"}


def test_images_beside_a_study_and_empty_folders_are_left_out_and_told(tmp_path: Path) -> None:
    made = study(tmp_path / "all" / "a", "a")
    study(tmp_path / "all" / "b", "b")
    made_patient(tmp_path / "pictures", slices=1, masks=False)
    shutil.copy(next((tmp_path / "pictures").iterdir()), made / "screen.tif")
    (tmp_path / "all" / "empty").mkdir()
    named, left_out = found_in(tmp_path / "all")
    assert set(named) == {"a", "b"}
    assert sorted(left_out) == ["a: holds images beside a study", "empty: holds nothing to segment"]


def test_damaged_dicom_is_a_reference_and_not_passed_over(tmp_path: Path) -> None:
    study(tmp_path / "all" / "good", "good")
    (tmp_path / "all" / "bad").mkdir()
    (tmp_path / "all" / "bad" / "1.dcm").write_bytes(b"no image")
    assert set(found_in(tmp_path / "all")[0]) == {"bad", "good"}


def test_zips_and_nifti(tmp_path: Path) -> None:
    for name in ("P1", "P2"):
        write_nifti(tmp_path / "all" / name / f"{name}_flair.nii.gz", VOLUMES["flair"], GRID)
        write_nifti(tmp_path / "all" / name / f"{name}_t1.nii.gz", VOLUMES["pre"], GRID)
    with zipfile.ZipFile(tmp_path / "all" / "s.zip", "w") as archive:
        archive.writestr("a", "b")
    assert set(found_in(tmp_path / "all")[0]) == {"P1", "P2", "s.zip"}


def zipped(path: Path, folder: Path, suffix: str | None = None) -> Path:
    """A zip of a folder's files, under another suffix if one is given."""
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder.parent).with_suffix(suffix or file.suffix))
    return path


@pytest.mark.parametrize("suffix", [None, ".webp"])
def test_zips_of_pictures_are_left_out_and_told(tmp_path: Path, suffix: str | None) -> None:
    patient = made_patient(tmp_path / "p1")
    one = zipped(tmp_path / "all" / "p1.zip", patient, suffix)
    named, left_out = found_in(tmp_path / "all")
    assert not named
    assert left_out == [f"p1.zip: {ZIP_OF_PICTURES}"]
    with pytest.raises(InputError, match=r"p1\.zip is a zip of pictures.*unpack"):
        references(str(one), Found())
    zipped(tmp_path / "all" / "study.zip", study(tmp_path / "study", "s"))
    assert set(found_in(tmp_path / "all")[0]) == {"study.zip"}
    shutil.copytree(patient, tmp_path / "all", dirs_exist_ok=True)
    named, left_out = found_in(tmp_path / "all")
    assert set(named) == {"study.zip"}
    assert left_out == [f"p1.zip: {ZIP_OF_PICTURES}", "all: holds images beside a study"]


def test_results_of_an_earlier_run_are_no_source(tmp_path: Path) -> None:
    made_patient(tmp_path / "all" / "p1")
    made_patient(tmp_path / "all" / "masks")
    (tmp_path / "all" / "masks" / "predictions.json").write_text("{}", encoding="utf-8")
    named, left_out = found_in(tmp_path / "all")
    assert (set(named), left_out) == ({"p1"}, ["masks: holds results of an earlier run"])


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    made_patient(tmp_path / "all" / "p1")
    (tmp_path / "all" / "p1" / "again").symlink_to(tmp_path / "all", target_is_directory=True)
    (tmp_path / "all" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert set(found_in(tmp_path / "all")[0]) == {"p1"}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_list_names_paths_and_sites(tmp_path: Path, suffix: str) -> None:
    made_patient(tmp_path / "p1")
    rows = [{"path": "p1", "site": "A"}, {"path": str(tmp_path / "gone"), "site": ""}]
    path = tmp_path / f"list{suffix}"
    if suffix == ".csv":
        path.write_text("site,path\n" + "".join(f"{row['site']},{row['path']}\n" for row in rows), encoding="utf-8-sig")
    else:
        pa = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pa.Table.from_pylist(rows), path)
    named, _ = found_in(path)
    assert named["p1"].paths == (str(tmp_path / "p1"),)
    assert named["p1"].site == "A"
    assert set(named) == {"p1", str(tmp_path / "gone")}


def test_a_list_without_the_column_says_so(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("folder\na\n", encoding="utf-8")
    with pytest.raises(InputError, match="lacks the column path"):
        list(references(str(tmp_path / "list.csv"), Found()))


def test_an_address_gives_what_its_folder_gives(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    study(tmp_path / "all" / "a", "a")
    study(tmp_path / "all" / "b", "b")
    made_patient(tmp_path / "all" / "p1")
    (tmp_path / "all" / "linked").symlink_to(made_patient(tmp_path / "elsewhere" / "p2"), target_is_directory=True)
    here, there = found_in(tmp_path / "all")[0], found_in(f"file://{tmp_path}/all")[0]
    assert {name: each.kind for name, each in there.items()} == {name: each.kind for name, each in here.items()}
    into = tmp_path / "fetched"
    into.mkdir()
    copy = fetch(there["a"].paths[0], into, direct=False)
    names = {path.relative_to(copy).as_posix() for path in copy.rglob("*.dcm")}
    assert names == {
        path.relative_to(tmp_path / "all" / "a").as_posix() for path in (tmp_path / "all" / "a").rglob("*.dcm")
    }


@pytest.mark.parametrize("address", ["http://host/a", "reference://x", "filecache::file:///a", "memory://a"])
def test_other_protocols_are_refused(address: str) -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        list(references(address, Found()))


def test_a_fingerprint_changes_with_the_files(tmp_path: Path) -> None:
    folder = made_patient(tmp_path / "p1")
    reference = Reference(name="p1", paths=(str(folder),))
    before = fingerprint(files_of(reference))
    assert fingerprint(files_of(reference)) == before
    first = min(folder.iterdir())
    first.write_bytes(first.read_bytes() + b"\0")
    assert fingerprint(files_of(reference)) != before


def test_what_cannot_be_listed_is_an_error() -> None:
    with pytest.raises(StudyError, match="cannot be read"):
        files_of(Reference(name="x", paths=("/no/such/folder",)))


def test_a_folder_called_as_the_source_is_not_taken_for_it(tmp_path: Path) -> None:
    made_patient(tmp_path / "x", masks=False)
    made_patient(tmp_path / "x" / "x", seed=9, masks=False)
    assert {name: each.paths for name, each in found_in(tmp_path / "x")[0].items()} == {
        "x": (str(tmp_path / "x" / "x"),),
        ".": (str(tmp_path / "x"),),
    }


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no names that are not text")
def test_names_that_are_no_text_are_escaped(tmp_path: Path) -> None:
    zipped = Path(os.fsdecode(os.fsencode(tmp_path) + b"/m\xfcller.zip"))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", "b")
    (tmp_path / "a.zip").rename(zipped)
    assert list(found_in(tmp_path)[0]) == ["m\\udcfcller.zip"]


@pytest.mark.parametrize("fault", ["bytes", "lists", "not UTF-8"])
def test_a_parquet_list_without_text_is_an_error(tmp_path: Path, fault: str) -> None:
    """Bytes and lists are not turned into text in Python's notation, and damaged text is no traceback."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    values = {
        "bytes": pa.array([b"a"], pa.binary()), "lists": pa.array([["a"]]),
        "not UTF-8": pa.array([b"\xff\xfe"], pa.binary()).view(pa.string()),
    }  # fmt: skip
    path = tmp_path / "list.parquet"
    parquet.write_table(pa.table({"path": values[fault]}), path)
    with pytest.raises(
        InputError, match="cannot be read as Parquet" if fault == "not UTF-8" else "no text in the column"
    ):
        list(references(str(path), Found()))


@pytest.mark.parametrize("kind", ["string", "large_string", "dictionary"])
def test_a_parquet_list_may_hold_any_of_the_formats_texts(tmp_path: Path, kind: str) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    column = pa.array(["a", "b"], pa.large_string() if kind == "large_string" else pa.string())
    parquet.write_table(
        pa.table({"path": column.dictionary_encode() if kind == "dictionary" else column}), tmp_path / "l.parquet"
    )
    assert [each.name for each in references(str(tmp_path / "l.parquet"), Found())] == ["a", "b"]
