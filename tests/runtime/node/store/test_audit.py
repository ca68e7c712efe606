"""Each revision that ended has one line, whatever interrupts its writing; a line names nobody."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from brainseg_runtime.errors import RolesError
from brainseg_runtime.node.config import RetentionSettings, RetrySettings
from brainseg_runtime.node.store import audit
from brainseg_runtime.node.store.store import Store
from tests.runtime.node.store.made import (
    ARCHIVE,
    LIMITS,
    PACS,
    STUDY,
    Clock,
    claimed,
    finished,
    receive,
    result,
    sha256,
)
from tests.schemas.validation import violations


def lines(store: Store) -> list[dict[str, Any]]:
    found = [line for path in sorted(store.folder.audit.iterdir()) for line in path.read_text().splitlines()]
    read = [json.loads(line) for line in found]
    assert not [fault for line in read for fault in violations("audit", line)]
    return read


def send_all(store: Store) -> None:
    for destination in ("pacs", "archive"):
        while (delivery := store.due(destination)) is not None:
            store.accepted(delivery)


def test_a_line_says_what_came_what_was_made_and_where_it_went(store: Store, clock: Clock) -> None:
    key = finished(store, clock, to=(PACS, ARCHIVE))
    assert lines(store) == []
    clock.forward(2)
    send_all(store)
    (line,) = lines(store)
    (row,) = store.results(key)
    study = store.study(key)
    assert line["schema"] == audit.SCHEMA
    assert (line["study"], line["event"], line["revision"], line["current"]) == (key, "done", 1, True)
    assert (line["images"], line["bytes"]) == (study.images, study.size)
    assert line["received"] == audit.time_text(study.received)
    assert line["made"] == audit.time_text(row.created)
    assert line["ended"] == audit.time_text(clock.now)
    assert line["senders"] == [
        {"way": "dimse", "aet": store.label("MODALITY"), "host": store.label("10.0.0.7"), "images": 2}
    ]
    assert line["images_sha256"] == sha256((sha256(b"pixels") * 2).encode())
    assert line["input_sha256"] == row.made.input_sha256
    assert line["provenance"] == row.made.provenance
    assert line["warnings"] == ["FLAIR is thick"]
    assert line["objects"] == [{"kind": each.kind, "sha256": each.sha256} for each in row.made.objects]
    assert [(each["destination"], each["kind"], each["state"], each["accepted"]) for each in line["sent"]] == [
        ("pacs", "seg", "sent", audit.time_text(clock.now)),
        ("archive", "seg", "sent", audit.time_text(clock.now)),
        ("pacs", "sr", "sent", audit.time_text(clock.now)),
    ]


def test_a_line_holds_no_uid_title_or_address_even_if_the_process_gave_one(store: Store, clock: Clock) -> None:
    work = claimed(store, clock)
    made = dataclasses.replace(
        result(work), provenance={"series": [f"{STUDY}.5"], "peer": {"host": "10.0.0.7"}}, warnings=(f"of {STUDY}",)
    )
    store.finish(work, made, ())
    work = claimed(store, clock, "1.2.840.99.2")
    store.failed(work, RolesError("no FLAIR", got=f"{STUDY}.5"), crashed=False)
    text = "".join(path.read_text() for path in store.folder.audit.iterdir())
    assert len(text.splitlines()) == 2
    for private in (STUDY, "1.2.840", "MODALITY", "10.0.0.7"):
        assert private not in text


def test_a_line_waits_until_nothing_is_on_its_way(store: Store, clock: Clock) -> None:
    work = claimed(store, clock)
    store.finish(work, result(work), (PACS,))
    seg, sr = store.due("pacs"), store.due("pacs")
    assert seg is not None
    assert sr is not None
    store.accepted(seg, transaction_uid="2.25.1")
    store.refused(sr, "never", RetrySettings(), final=True)
    assert lines(store) == []
    store.committed("2.25.1", [seg.object.sop_uid])
    (line,) = lines(store)
    assert [each["state"] for each in line["sent"]] == ["committed", "quarantined"]
    assert line["sent"][1]["error"] == "never"


def test_a_study_that_was_given_up_has_a_line_with_its_reason(store: Store, clock: Clock) -> None:
    work = claimed(store, clock)
    store.failed(work, RolesError("no FLAIR", expected="one series"), crashed=False)
    (line,) = lines(store)
    assert (line["event"], line["revision"], line["images"]) == ("quarantined", 1, 2)
    assert line["error"]["what"] == "no FLAIR"


def test_each_revision_has_its_line_and_a_late_image_is_not_in_the_earlier_one(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    receive(store, image=9, data=b"late")
    clock.forward(31)
    store.close_quiet(LIMITS)
    work = store.claim()
    assert work is not None
    store.finish(work, result(work, data=b"newer"), (PACS,))
    send_all(store)
    found = lines(store)
    assert [(line["study"], line["revision"], line["images"], line["current"]) for line in found] == [
        (key, 1, 2, False),
        (key, 2, 3, True),
    ]
    assert {each["state"] for each in found[0]["sent"]} == {"superseded"}


def test_sending_again_has_a_line_of_its_own(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    send_all(store)
    store.resend(key)
    send_all(store)
    assert [(line["event"], line["revision"]) for line in lines(store)] == [("done", 1), ("resent", 1)]


def test_a_month_has_its_file(store: Store, clock: Clock) -> None:
    for study in ("1.2.1", "1.2.2"):
        finished(store, clock, study)
        send_all(store)
        clock.forward(31 * 86400)
    names = sorted(path.name for path in store.folder.audit.iterdir())
    assert names == ["2025-06.jsonl", "2025-07.jsonl"]


@pytest.mark.parametrize("written", ["nothing", "half a line", "one line", "a line and a half", "both lines"])
def test_lines_whose_writing_was_interrupted_are_there_once(store: Store, clock: Clock, written: str) -> None:
    """A kill after the file was written, wholly or in part, and before the database knows."""
    for study in ("1.2.1", "1.2.2"):
        finished(store, clock, study)
    path = store.folder.audit / "2025-06.jsonl"
    path.mkdir()  # in the way, so that the lines stay in the database
    while (delivery := store.due("pacs")) is not None:
        store.accepted(delivery)
    path.rmdir()
    with store._database.read() as view:
        first, second = (f"{row['line']}\n" for row in view.execute("SELECT line FROM audit ORDER BY id"))
    begun = {
        "nothing": "",
        "half a line": first[:50],
        "one line": first,
        "a line and a half": first + second[:50],
        "both lines": first + second,
    }[written]
    path.write_text('{"id": 0}\n' + begun)
    folder = store.folder.path
    store.close()
    again = Store.open(folder, clock=clock)
    assert path.read_text() == '{"id": 0}\n' + first + second
    again.expire(RetentionSettings())
    assert path.read_text() == '{"id": 0}\n' + first + second
    again.close()


def test_a_line_of_somebody_else_does_not_stop_the_audit(store: Store, clock: Clock) -> None:
    path = store.folder.audit / "2025-06.jsonl"
    path.write_bytes(b"reviewed by the auditor\n\xff\xfe\n[1]\n")
    finished(store, clock)
    send_all(store)
    assert path.read_bytes().startswith(b"reviewed by the auditor\n\xff\xfe\n[1]\n{")
    assert json.loads(path.read_bytes().splitlines()[-1])["event"] == "done"


def test_a_file_that_was_moved_away_is_begun_again(store: Store, clock: Clock, tmp_path: Path) -> None:
    finished(store, clock, "1.2.1")
    send_all(store)
    (store.folder.audit / "2025-06.jsonl").rename(tmp_path / "kept.jsonl")
    finished(store, clock, "1.2.2")
    send_all(store)
    (line,) = lines(store)
    assert line["study"] == store.key_of("1.2.2")
