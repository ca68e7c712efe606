"""Whether destinations answer: told before a node is started, with what is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from brainseg_runtime.errors import DestinationError
from brainseg_runtime.node.config import Destination
from brainseg_runtime.node.sending.reaching import reach
from tests.runtime.node.sending.peers import HOST, archive, free_port, orthanc, storescp

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""Pynetdicom leaves the sockets of refused connections to Python."""


def test_programs_that_are_there_answer(tmp_path: Path) -> None:
    with storescp(tmp_path / "got") as destination:
        reach(destination, "BRAINSEG")
    with archive() as peer:
        reach(peer.destination, "BRAINSEG")


def test_orthanc_answers_both_ways_and_not_under_another_title_or_url(tmp_path: Path) -> None:
    with orthanc(tmp_path / "orthanc") as pacs:
        reach(pacs.dimse, "BRAINSEG")
        reach(pacs.web, "BRAINSEG")
        with pytest.raises(DestinationError, match=r"rejected|reached"):
            reach(replace(pacs.dimse, aet="OTHER"), "BRAINSEG")
        with pytest.raises(DestinationError, match="refused a search"):
            reach(replace(pacs.web, url=f"{pacs.url}/nothing"), "BRAINSEG")


@pytest.mark.parametrize("kind", ["dimse", "stow"])
def test_nobody_there_is_named(kind: str) -> None:
    port = free_port()
    destination = (
        Destination(name="nobody", aet="NOBODY", host=HOST, port=port)
        if kind == "dimse"
        else Destination(name="nobody", kind="stow", url=f"http://{HOST}:{port}/dicom-web")
    )
    with pytest.raises(DestinationError, match="cannot be reached"):
        reach(destination, "BRAINSEG")


def test_an_url_that_is_none_is_named() -> None:
    with pytest.raises(DestinationError, match="cannot be reached"):
        reach(Destination(name="web", kind="stow", url="not a url"), "BRAINSEG")
