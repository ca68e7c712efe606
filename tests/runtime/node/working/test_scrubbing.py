"""Scrubbing: no name, identifier, date or UID of the headers stays in a text, however it is written there."""

from __future__ import annotations

from pathlib import Path

import pytest

from brainseg_runtime.node.working.scrubbing import REMOVED, Scrubber
from tests.runtime.node.queued_studies import write_made


@pytest.mark.parametrize(
    "text",
    [
        "series 'JANE DOE AX FLAIR' has no pixels",
        "doe^jane",
        "Doe, Jane",
        "patient PID-4711, born 19700131",
        "1970-01-31",
        "A99887",
        "1.2.826.0.1.3680043.8.498.1234567890",
        "2 series could be FLAIR: 3 (2.25.878922410494936252414806993061368004)",
        "1.2.3680043.9",
        "IM_1.2.826.3680043.dcm",
        "file /srv/pacs/Doe/im0001 cannot be read",
        "seen by Dr Houseman",
    ],
)
def test_nothing_that_identifies_is_left(tmp_path: Path, text: str) -> None:
    folder = write_made(
        tmp_path,
        roles=("flair",),
        tags={
            "PatientName": "Doe^Jane", "PatientID": "PID-4711", "PatientBirthDate": "19700131",
            "AccessionNumber": "A99887", "ReferringPhysicianName": "Houseman^G",
        },
    )  # fmt: skip
    said = Scrubber.of(folder).text(text)
    assert REMOVED in said
    for secret in ("jane", "doe", "4711", "1970", "a99887", "3680043", "368004", "houseman"):
        assert secret not in said.lower()


def test_what_does_not_identify_stays() -> None:
    text = "FLAIR has 24 slices of 5.0 mm; expected 1 to 256, got 0.8984375178813934 mm at TE 120.5 ms by 1.31.0"
    assert Scrubber(["Doe^Jane", "7"]).text(text) == text


def test_texts_are_cut_and_hold_no_control_characters() -> None:
    assert Scrubber([]).text("a\x00\nb" * 2000).isprintable()
    assert len(Scrubber([]).text("a" * 5000)) == 2000


def test_files_that_are_no_dicom_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"no DICOM")
    (tmp_path / "b.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    assert Scrubber.of(tmp_path).text("fine") == "fine"
