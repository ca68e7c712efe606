"""What no row names is removed, and what a row names and is gone is noted and never segmented without."""

from __future__ import annotations

from pathlib import Path

import pytest

from brainseg_runtime.node.config import RetentionSettings
from brainseg_runtime.node.store.store import Store
from tests.runtime.node.store.made import LIMITS, STUDY, Clock, claimed, files, finished, receive

KEEP = RetentionSettings(inputs_hours=9999, results_hours=9999, quarantine_hours=9999)


def reopened(store: Store, clock: Clock) -> Store:
    store.close()
    return Store.open(store.folder.path, clock=clock)


def test_files_that_no_row_names_are_removed_at_the_start(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    before = files(store.folder.studies) | files(store.folder.results)
    for stray in (f"studies/{key}/stray.dcm", "studies/stray/1.dcm", f"results/{key}/.1.abc/seg.dcm"):
        (store.folder.path / stray).parent.mkdir(exist_ok=True)
        (store.folder.path / stray).write_bytes(b"1")
    (store.folder.results / key / "2").mkdir()
    (store.folder.results / "stray").mkdir()
    store = reopened(store, clock)
    assert files(store.folder.studies) | files(store.folder.results) == before
    assert {each.name for each in store.folder.studies.iterdir()} == {key}
    store.close()


def test_cleaning_while_others_work_takes_nothing_from_them(store: Store, clock: Clock) -> None:
    key = finished(store, clock, "1.2.1")
    work = claimed(store, clock, "1.2.2")
    (work.out / "half").write_bytes(b"1")
    taken = store.folder.results / work.key / str(work.revision)  # about to have its row
    taken.mkdir()
    (store.folder.results / key / ".1.left").mkdir()
    (store.folder.studies / "0123456789abcdef").mkdir()
    before = files(store.folder.path) - files(store.folder.audit)
    store.expire(KEEP)
    assert files(store.folder.path) >= before
    assert taken.is_dir()
    assert not (store.folder.results / key / ".1.left").exists()
    assert not (store.folder.studies / "0123456789abcdef").exists()


@pytest.mark.parametrize("fault", ["gone", "short", "folder"])
def test_a_study_that_lost_an_image_is_quarantined_until_it_is_sent_again(
    store: Store, clock: Clock, fault: str
) -> None:
    receive(store, image=1)
    receive(store, image=2, data=b"second")
    victim = next(path for path in _images(store) if path.read_bytes() == b"headsecond")
    if fault == "short":
        victim.write_bytes(b"head")
    else:
        victim.unlink()
        if fault == "folder":
            victim.mkdir()
    store = reopened(store, clock)
    clock.forward(31)
    assert store.close_quiet(LIMITS) == []
    study = store.study(store.key_of(STUDY))
    assert study.state == "quarantined"
    assert study.error is not None
    assert study.error["remedy"] == "send the whole study again"
    assert store.claim() is None
    assert receive(store, image=1) == "same"
    assert receive(store, image=2, data=b"second") == "same"
    study = store.study(study.key)
    assert (study.state, study.revision, study.images) == ("receiving", 2, 2)
    clock.forward(31)
    assert store.close_quiet(LIMITS) == [study.key]
    store.close()


def test_a_result_that_is_gone_is_noted(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    (row,) = store.results(key)
    for path in row.made.folder.iterdir():
        path.unlink()
    row.made.folder.rmdir()
    store = reopened(store, clock)
    assert [each.deleted for each in store.results(key)] == [True]
    store.close()


def _images(store: Store) -> list[Path]:
    return list((store.folder.studies / store.key_of(STUDY)).iterdir())
