"""The work on one reference: what the runtime gives for the same pixels, and what counts as the study's own fault."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from brainseg_runtime.archive.finding.references import Reference
from brainseg_runtime.archive.ledger.ledger import Ledger
from brainseg_runtime.archive.working.identity import row_id
from brainseg_runtime.archive.working.job import TRIES, Preview, check_write
from brainseg_runtime.archive.working.work import PREVIEW, WHY, given_up, mark_of, previewed, taken
from brainseg_runtime.errors import ArgumentError, FileWriteError, OutOfMemoryError
from brainseg_runtime.segmenter import Segmenter
from brainseg_runtime.studies import read_study, segment_study
from tests.runtime.archive.made_archive import DIGEST, job_of, made_source, references_of
from tests.runtime.command_line import BUNDLE
from tests.runtime.made_slices import made_patient
from tests.studies_made.series import write_study
from tests.studies_made.shapes import axial_grid, made_head
from tests.studies_made.uids import made_uid

GRID = axial_grid((4, 64, 64), spacing=(18.0, 3.6, 3.6))


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter.load(BUNDLE, provider="cpu", variant="fp32", threads=1)


def study(folder: Path, *, seed: int = 0, name: str = "study") -> Path:
    head = made_head(GRID, seed=seed)
    volumes = {role: np.rint(getattr(head, role)).astype(np.uint16) for role in ("pre", "flair", "post")}
    tags = {"StudyInstanceUID": made_uid(name), "Manufacturer": "Maker", "ManufacturerModelName": "Model 3"}
    return write_study(folder, volumes, GRID, tags=tags)


def test_a_patients_row_is_what_predict_gives(tmp_path: Path, segmenter: Segmenter) -> None:
    folder = made_patient(tmp_path / "TCGA_DU_5800_19950101", slices=5, masks=False)
    images = [tifffile.imread(folder / f"{folder.name}_{number}.tif") for number in range(1, 6)]
    result = segmenter.predict_volume(images)
    with Ledger(tmp_path / "out") as ledger:
        (row,) = taken(segmenter, Reference(name="p", paths=(str(folder),)), job_of(ledger, spacing_mm=(2, 3, 5))).rows
    assert row.status == "done"
    assert row.areas == result.areas
    assert row.volume_px == int(result.mask.sum()) > 0
    assert row.volume_ml == pytest.approx(result.mask.sum() * 30 / 1000)
    assert row.confidence == pytest.approx(result.probability[result.mask > 0].mean(), abs=1e-5)
    assert row.max_probability == result.probability.max()
    assert (row.site, row.kind, row.n_slices, row.attempts) == ("DU", "slices", 5, 1)
    assert row.id == row_id(row.pixels_sha256 or "", DIGEST)


def test_a_studys_row_is_what_segment_study_gives(tmp_path: Path, segmenter: Segmenter) -> None:
    folder = study(tmp_path / "study")
    result = segment_study(segmenter, read_study(folder))
    with Ledger(tmp_path / "out") as ledger:
        job = job_of(ledger, write=("mask", "seg", "nifti"))
        reference = Reference(name="s", paths=(str(folder),))
        (row,) = taken(segmenter, reference, job).rows
        made = ledger.take(reference, taken(segmenter, reference, job)).entry.rows[0]
    assert (row.volume_ml, row.volume_px) == (result.volume_ml, int(result.mask.sum()))
    assert row.areas == tuple(int(each.sum()) for each in result.mask)
    assert row.warnings == result.warnings
    assert (row.scanner, row.kind, row.study_uid) == ("Maker Model 3", "dicom", read_study(folder).uid)
    assert {each.kind for each in made.objects} == {"seg", "nifti", "record"}
    for each in made.objects:
        assert hashlib.sha256((tmp_path / "out" / each.file).read_bytes()).hexdigest() == each.sha256


def test_identity_is_of_the_pixels_and_not_of_the_files(tmp_path: Path, segmenter: Segmenter) -> None:
    folder = made_patient(tmp_path / "p", slices=2, masks=False)
    (tmp_path / "q").mkdir()
    for number in (1, 2):
        image = tifffile.imread(folder / f"p_{number}.tif")
        tifffile.imwrite(tmp_path / "q" / f"other_{number}.tif", image, photometric="rgb", compression="lzw")
    other = made_patient(tmp_path / "r", slices=2, seed=9, masks=False)
    with Ledger(tmp_path / "out") as ledger:
        ids = [
            taken(segmenter, Reference(name=path.name, paths=(str(path),)), job_of(ledger)).rows[0].id
            for path in (folder, tmp_path / "q", other)
        ]
    assert ids[0] == ids[1] != ids[2]


def test_studies_of_one_folder_are_rows_of_their_own_and_a_bad_one_stops_none(
    tmp_path: Path, segmenter: Segmenter
) -> None:
    study(tmp_path / "all" / "a", seed=1, name="a")
    bad = study(tmp_path / "all" / "b", seed=2, name="b")
    for path in (bad / "flair").iterdir():
        path.unlink()
    with Ledger(tmp_path / "out") as ledger:
        found = taken(segmenter, Reference(name="all", paths=(str(tmp_path / "all"),)), job_of(ledger))
    assert (found.found, sorted(row.status for row in found.rows)) == (2, ["done", "failed"])
    failed = next(row for row in found.rows if row.status == "failed")
    assert failed.error is not None
    assert failed.error["kind"] == "RolesError"


@pytest.mark.parametrize("name", ["gone", "empty", "damaged"])
def test_what_cannot_be_read_is_one_failed_row(tmp_path: Path, segmenter: Segmenter, name: str) -> None:
    folder = tmp_path / name
    if name != "gone":
        folder.mkdir()
    if name == "damaged":
        (folder / "damaged_1.tif").write_bytes(b"II*\0 no image")
    with Ledger(tmp_path / "out") as ledger:
        found = taken(segmenter, Reference(name=name, paths=(str(folder),)), job_of(ledger))
    assert (found.found, [row.status for row in found.rows]) == (1, ["failed"])


@pytest.mark.parametrize(("listed", "site"), [("", "DU"), ("North", "North")])
def test_a_patient_that_fails_is_counted_at_its_site(
    tmp_path: Path, segmenter: Segmenter, listed: str, site: str
) -> None:
    folder = made_patient(tmp_path / "TCGA_DU_5800_19950101", slices=3, masks=False)
    (folder / f"{folder.name}_2.tif").write_bytes(b"no picture")
    reference = Reference(name=f"ward/{folder.name}", paths=(str(folder),), site=listed)
    with Ledger(tmp_path / "out") as ledger:
        job = job_of(ledger)
        (unreadable,) = taken(segmenter, reference, job).rows
        given = given_up(reference, job).rows[0]
    assert (unreadable.status, unreadable.site) == ("failed", site)
    assert (given.status, given.site) == ("failed", site)


def test_a_reference_that_costs_workers_again_and_again_is_given_up(tmp_path: Path, segmenter: Segmenter) -> None:
    (reference,) = references_of(made_source(tmp_path / "data", patients=1))
    with Ledger(tmp_path / "out") as ledger:
        job = job_of(ledger)
        for number in range(1, TRIES + 1):
            (job.work / reference.key / str(number)).mkdir(parents=True)
        (job.work / reference.key / "2" / WHY).write_text("it ran out of memory", encoding="utf-8")
        (row,) = taken(segmenter, reference, job).rows
    assert (row.status, row.attempts) == ("failed", TRIES)
    assert row.error is not None
    assert "2: it ran out of memory" in str(row.error["got"])


def test_running_out_of_memory_is_no_row(tmp_path: Path, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    (reference,) = references_of(made_source(tmp_path / "data", patients=1))

    def short(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(segmenter, "predict", short)
    with Ledger(tmp_path / "out") as ledger, pytest.raises(OutOfMemoryError):
        taken(segmenter, reference, job_of(ledger))


def test_a_full_disk_is_no_fault_of_the_studys(
    tmp_path: Path, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    (reference,) = references_of(made_source(tmp_path / "data", patients=1))

    def full(*_: object, **__: object) -> None:
        raise FileWriteError("it cannot be written")

    monkeypatch.setattr("brainseg_runtime.archive.working.of_slices.write_bytes", full)
    with Ledger(tmp_path / "out") as ledger:
        job = job_of(ledger, write=("mask",))
        assert taken(segmenter, reference, job).rows[0].status == "failed"
        monkeypatch.setattr("brainseg_runtime.archive.working.work.takes_files", lambda _: False)
        with pytest.raises(FileWriteError):
            taken(segmenter, reference, job)


def test_a_picture_of_a_study_is_made(tmp_path: Path, segmenter: Segmenter) -> None:
    (reference,) = references_of(made_source(tmp_path / "data", patients=1))
    with Ledger(tmp_path / "out") as ledger:
        previews = {reference.name: Preview(name=reference.name, slice=1)}
        made = previewed(segmenter, reference, replace(job_of(ledger), previews=previews))
        assert made.found == 1
        assert (ledger.work / reference.key / "1" / PREVIEW).read_bytes().startswith(b"\x89PNG")


def test_kinds_to_write_are_named() -> None:
    assert check_write(None) == ()
    with pytest.raises(ArgumentError, match="nonsense"):
        check_write("seg,nonsense")


def patients(top: Path, **names: int) -> Reference:
    """A reference with a patient of one slice in each folder, by its seed; below 0 of three, the last one damaged."""
    for folder, seed in names.items():
        made = made_patient(top / folder / "p", slices=3 if seed < 0 else 1, seed=abs(seed), masks=False)
        if seed < 0:
            (made / "p_3.tif").write_bytes(b"nothing")
    return Reference(name="top", paths=(str(top),))


def test_a_failed_patient_leaves_nothing_among_anothers_objects(tmp_path: Path, segmenter: Segmenter) -> None:
    reference = patients(tmp_path / "top", a=-1, b=5)
    with Ledger(tmp_path / "out") as ledger:
        failed, done = ledger.take(reference, taken(segmenter, reference, job_of(ledger, write=("mask",)))).entry.rows
    assert (failed.status, done.status) == ("failed", "done")
    kept = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out" / "objects").rglob("*.*")}
    assert kept == {each.file for each in done.objects}
    for each in done.objects:
        assert hashlib.sha256((tmp_path / "out" / each.file).read_bytes()).hexdigest() == each.sha256


def test_patients_of_one_name_that_fail_are_counted_one_by_one(tmp_path: Path, segmenter: Segmenter) -> None:
    reference = patients(tmp_path / "top", a=-1, b=-5)
    with Ledger(tmp_path / "out") as ledger:
        entry = ledger.take(reference, taken(segmenter, reference, job_of(ledger))).entry
    assert ([row.name for row in entry.rows], entry.duplicates) == (["p", "p (2)"], ())


def test_the_same_pixels_twice_in_a_reference_have_the_firsts_objects(tmp_path: Path, segmenter: Segmenter) -> None:
    slices = patients(tmp_path / "top", a=1, b=1)
    for name in ("one", "other"):
        study(tmp_path / "studies" / name, name=name)
    studies = Reference(name="studies", paths=(str(tmp_path / "studies"),), kind="studies")
    for reference, kind in ((slices, "mask"), (studies, "seg")):
        out = tmp_path / kind
        with Ledger(out) as ledger:
            entry = ledger.take(reference, taken(segmenter, reference, job_of(ledger, write=(kind,)))).entry
        (row,) = entry.rows
        assert (row.status, len(entry.duplicates)) == ("done", 1)
        for each in row.objects:
            assert hashlib.sha256((out / each.file).read_bytes()).hexdigest() == each.sha256


def test_files_that_change_while_they_are_read_are_read_again(tmp_path: Path, segmenter: Segmenter) -> None:
    (reference,) = references_of(made_source(tmp_path / "data", patients=1))
    folder = Path(reference.paths[0])

    class Replaced:
        """A model during whose work the patient is replaced."""

        info = segmenter.info

        def predict(self, image: Any, **settings: Any) -> Any:  # noqa: ANN401 - the segmenter's own
            made_patient(folder, slices=3, seed=77, masks=False)
            return segmenter.predict(image, **settings)

    with Ledger(tmp_path / "out") as ledger:
        ledger.take(reference, taken(Replaced(), reference, job_of(ledger)))  # type: ignore[arg-type]
        assert ledger.settled(reference, mark_of(reference)) is None


def test_no_picture_is_better_than_anothers(tmp_path: Path, segmenter: Segmenter) -> None:
    reference = patients(tmp_path / "top", a=1, b=5)
    with Ledger(tmp_path / "out") as ledger:
        for name in ("p", "gone"):
            previews = {reference.name: Preview(name=name, slice=0)}
            assert not previewed(segmenter, reference, replace(job_of(ledger), previews=previews)).found
