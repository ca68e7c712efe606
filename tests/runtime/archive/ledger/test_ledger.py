"""The ledger: a row for each identity, whatever dies, and nothing half written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from brainseg_runtime.archive.finding.references import Reference
from brainseg_runtime.archive.ledger.ledger import FILE, OBJECTS, Ledger, require_same
from brainseg_runtime.archive.working.identity import row_id, unread_id
from brainseg_runtime.archive.working.rows import Answer, Row
from brainseg_runtime.errors import FileWriteError, InputError
from brainseg_runtime.studies.written.record import Output

BUNDLE = "b" * 64


def reference(name: str) -> Reference:
    return Reference(name=name, paths=(name,))


def row(name: str, pixels: str = "a", *, uid: str | None = None, objects: tuple[str, ...] = ()) -> Row:
    identity = row_id(pixels, BUNDLE)
    return Row(
        id=identity,
        status="done",
        source=name,
        name=name,
        study_uid=uid,
        pixels_sha256=f"{len(pixels):064x}",
        areas=(1, 2),
        volume_px=3,
        n_slices=2,
        objects=tuple(Output(kind="seg", file=f"objects/{identity}/{each}", sha256="c" * 64) for each in objects),
    )


def answer(name: str, *rows: Row, mark: str = "f") -> Answer:
    return Answer(source=name, fingerprint=mark, found=len(rows), rows=rows)


def staged(ledger: Ledger, made: Row, text: str) -> None:
    """An object as a worker leaves it."""
    folder = ledger.work / reference(made.source).key / str(made.attempts) / made.id
    folder.mkdir(parents=True)
    (folder / "seg.dcm").write_text(text, encoding="utf-8")


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.take(reference("p"), answer("p", row("p")))
    with Ledger(tmp_path) as ledger:
        assert list(ledger.rows()) == [row("p")]


def test_the_same_pixels_have_one_row(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.take(reference("p"), answer("p", row("p")))
        taken = ledger.take(reference("q"), answer("q", row("q")))
        assert (taken.entry.rows, [each.id for each in taken.entry.duplicates]) == ((), [row("p").id])
        assert [each.source for each in ledger.rows()] == ["p"]


def test_a_reference_is_known_until_its_files_change(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.take(reference("p"), answer("p", row("p")))
        assert ledger.settled(reference("p"), "f") is not None
        assert ledger.settled(reference("p"), "other") is None
        assert ledger.settled(reference("q"), "f") is None
        ledger.take(reference("p"), answer("p", row("p", "changed"), mark="other"))
        assert [each.id for each in ledger.rows()] == [row("p", "changed").id]


def test_a_duplicate_is_segmented_once_its_original_has_gone(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.take(reference("p"), answer("p", row("p")))
        ledger.take(reference("q"), answer("q", row("q")))
        assert ledger.settled(reference("q"), "f") is not None
        ledger.take(reference("p"), answer("p", row("p", "changed"), mark="other"))
        assert ledger.settled(reference("q"), "f") is None


def test_every_cut_of_the_last_line_leaves_the_lines_before(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.take(reference("p"), answer("p", row("p")))
        ledger.take(reference("q"), answer("q", row("q", "other")))
    whole = (tmp_path / FILE).read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first, len(whole), 37):
        (tmp_path / FILE).write_bytes(whole[:end])
        with Ledger(tmp_path) as ledger:
            assert [each.source for each in ledger.rows()] == ["p"]
        assert (tmp_path / FILE).read_bytes() == whole[:first]


def test_a_damaged_line_in_the_middle_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b'{"source": 3}\n')
    with pytest.raises(InputError, match="damaged"):
        Ledger(tmp_path)


def test_two_drivers_exclude_each_other(tmp_path: Path) -> None:
    with Ledger(tmp_path), pytest.raises(InputError, match="in use"):
        Ledger(tmp_path)


def test_objects_get_their_place_with_the_row(tmp_path: Path) -> None:
    made = row("p", objects=("seg.dcm",))
    with Ledger(tmp_path) as ledger:
        staged(ledger, made, "first")
        ledger.take(reference("p"), answer("p", made))
        assert (tmp_path / made.objects[0].file).read_text(encoding="utf-8") == "first"
        assert not list(ledger.work.iterdir())


def test_objects_that_a_killed_driver_left_without_a_row_are_replaced(tmp_path: Path) -> None:
    made = row("p", objects=("seg.dcm",))
    (tmp_path / OBJECTS / made.id).mkdir(parents=True)
    (tmp_path / OBJECTS / made.id / "seg.dcm").write_text("old", encoding="utf-8")
    with Ledger(tmp_path) as ledger:
        staged(ledger, made, "new")
        ledger.take(reference("p"), answer("p", made))
    assert (tmp_path / made.objects[0].file).read_text(encoding="utf-8") == "new"


def test_parts_of_a_study_in_two_places_fail_both(tmp_path: Path) -> None:
    made = row("p", "part", uid="1.2.3", objects=("seg.dcm",))
    with Ledger(tmp_path) as ledger:
        staged(ledger, made, "part of it")
        ledger.take(reference("p"), answer("p", made))
        taken = ledger.take(reference("q"), answer("q", row("q", "other part", uid="1.2.3")))
        assert taken.withdrawn == (("p", True),)
        assert {each.source: each.status for each in ledger.rows()} == {"p": "failed", "q": "failed"}
        third = ledger.take(reference("r"), answer("r", row("r", "a third part", uid="1.2.3")))
        assert (third.withdrawn, third.entry.rows[0].status) == ((), "failed")
    assert not (tmp_path / OBJECTS / made.id).exists()
    with Ledger(tmp_path) as ledger:
        assert [each.status for each in ledger.rows()] == ["failed"] * 3


def test_only_the_study_that_is_shared_is_withdrawn(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.take(reference("p"), answer("p", row("p", "part", uid="1.2.3"), row("p", "whole one", uid="1.2.4")))
    with Ledger(tmp_path) as ledger:
        taken = ledger.take(reference("q"), answer("q", row("q", "other part", uid="1.2.3")))
        assert taken.withdrawn == (("p", False),)
        assert {each.study_uid: each.status for each in ledger.rows() if each.source == "p"} == {
            "1.2.3": "failed",
            "1.2.4": "done",
        }
        again = ledger.take(reference("r"), answer("r", row("r", "another whole one", uid="1.2.4")))
        assert again.withdrawn == (("p", False),)  # its line is new, but the study was done by an earlier run


def test_what_outlives_its_driver_writes_into_no_attempt_of_the_next(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        before = ledger.work
    with Ledger(tmp_path) as ledger:
        assert ledger.work != before
        (before / "an-actor").mkdir(parents=True)
    assert not before.exists()


def test_a_line_that_could_not_be_read_again_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.take(reference("p"), answer("p", row("p")))
        whole = (tmp_path / FILE).read_bytes()
        monkeypatch.setattr("brainseg_runtime.archive.ledger.lines._LONGEST", len(whole) - 1)
        with pytest.raises(InputError, match="too many studies"):
            ledger.take(reference("q"), answer("q", row("q", "other")))
    with pytest.raises(InputError, match="damaged"):  # and one that is there is not cut off
        Ledger(tmp_path)
    assert (tmp_path / FILE).read_bytes() == whole


def test_a_failed_study_keeps_its_place_until_it_is_done(tmp_path: Path) -> None:
    failed = replace(row("p"), id=unread_id("p", "p", BUNDLE), status="failed", error={"kind": "X", "what": "y"})
    with Ledger(tmp_path) as ledger:
        ledger.take(reference("p"), answer("p", failed))
        ledger.take(reference("p"), answer("p", row("p")))
        assert [each.status for each in ledger.rows()] == ["done"]


def test_another_model_or_settings_are_refused(tmp_path: Path) -> None:
    require_same(tmp_path, {"bundle": "a", "write": "seg"})
    require_same(tmp_path, {"bundle": "a", "write": "seg"})
    with pytest.raises(InputError, match="bundle a, now b"):
        require_same(tmp_path, {"bundle": "b", "write": "seg"})


def _filled(ledger: Ledger) -> int:
    """Takes answers until the disk is full; how many it took."""
    for number in range(10_000):
        try:
            ledger.take(reference(str(number)), answer(str(number), row(str(number), str(number))))
        except FileWriteError:
            return number
    pytest.fail("the disk did not fill")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["/usr/bin/mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if not hasattr(os, "geteuid") or os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["/usr/bin/umount", "-l", str(folder)], check=True)


def test_a_full_disk_takes_a_line_whole_or_not_at_all(small_disk: Path) -> None:
    with Ledger(small_disk) as ledger:
        number = _filled(ledger)
        assert number > 10
        assert sum(1 for _ in ledger.rows()) == number
        before = (small_disk / FILE).read_bytes()
        assert before.endswith(b"\n")
        assert before.count(b"\n") == number
    with Ledger(small_disk) as ledger:
        assert sum(1 for _ in ledger.rows()) == number
