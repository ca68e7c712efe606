"""A result is taken whole, checked against its digests, or not at all."""

from __future__ import annotations

import dataclasses
import json

import pytest

from brainseg_runtime.errors import NodeError
from brainseg_runtime.node.store.store import Store
from tests.runtime.node.store.made import PACS, Clock, claimed, files, finished, result


def test_a_result_is_read_as_it_was_given(store: Store, clock: Clock) -> None:
    work = claimed(store, clock)
    made = result(work)
    store.finish(work, made, ())
    (row,) = store.results(work.key)
    assert dataclasses.replace(row.made, folder=made.folder) == made
    assert row.made.folder == store.folder.results / work.key / "1"
    assert json.dumps(row.made.provenance) == json.dumps(made.provenance)
    assert not work.out.exists()


@pytest.mark.parametrize("fault", ["digest", "missing", "preview", "outside", "above", "link", "absolute"])
def test_a_result_that_is_not_what_it_says_is_refused(store: Store, clock: Clock, fault: str) -> None:
    work = claimed(store, clock)
    made = result(work)
    first, *others = made.objects
    if fault == "digest":
        (made.folder / "seg.dcm").write_bytes(b"another")
    elif fault == "missing":
        (made.folder / "seg.dcm").unlink()
    elif fault == "preview":
        made = dataclasses.replace(made, preview="none.png")
    elif fault == "outside":
        made = dataclasses.replace(made, folder=store.folder.studies)
    elif fault == "link":
        (made.folder / "key").symlink_to(store.folder.path / "key")
    else:
        path = "../../../../key" if fault == "above" else str(store.folder.path / "key")
        made = dataclasses.replace(made, objects=(dataclasses.replace(first, path=path), *others))
    with pytest.raises(NodeError):
        store.finish(work, made, (PACS,))
    assert store.results(work.key) == []
    assert store.deliveries(work.key) == []
    assert store.study(work.key).state == "segmenting"
    store.release(work)
    again = store.claim()
    assert again is not None
    assert store.finish(again, result(again), (PACS,))


def test_other_bytes_under_an_identity_that_was_given_are_refused(store: Store, clock: Clock) -> None:
    key = finished(store, clock)
    store.rerun(key)
    work = store.claim()
    assert work is not None
    earlier = store.results(key)[0].made.objects
    made = result(work, data=b"other")
    same_name = tuple(dataclasses.replace(b, sop_uid=a.sop_uid) for a, b in zip(earlier, made.objects, strict=True))
    with pytest.raises(NodeError, match="new identity"):
        store.finish(work, dataclasses.replace(made, objects=same_name), (PACS,))
    assert [row.revision for row in store.results(key)] == [1]
    assert files(store.folder.results) == {f"{key}/1/{name}" for name in ("seg.dcm", "sr.dcm", "preview.png")}
