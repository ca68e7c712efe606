"""From a file to the store: what is written, what is read of it, and why it may be refused."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import sqlite3
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from brainseg_runtime.errors import NodeError
from brainseg_runtime.node.receiving.identity import UnreadableError, meta_of, read_identity
from brainseg_runtime.node.receiving.image_file import ImageFile, TooLargeError, disk_fault
from brainseg_runtime.node.receiving.taking import Intake, Refusal, RefusedError
from brainseg_runtime.node.records import Caller
from brainseg_runtime.node.store.store import Store
from brainseg_runtime.node.watching.log import Log
from tests.runtime.node.receiving.listening import MR, SETTINGS, content_of, file_of, made_image

CALLER = Caller(aet="MR1", host="10.0.0.1", way="dimse")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store.open(tmp_path / "state")
    yield made
    made.close()


@pytest.fixture
def intake(store: Store) -> Intake:
    return Intake(store, SETTINGS.intake, Log(io.StringIO()))


def written(intake: Intake, image: Dataset) -> ImageFile:
    file, data = intake.open(), file_of(image)
    offset, _ = meta_of(data)
    file.write_head(data[:offset])
    file.write(data[offset:])
    return file


def encoded(image: Dataset, syntax: str) -> bytes:
    """The image in another uncompressed transfer syntax."""
    image.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    if syntax == ExplicitVRBigEndian:
        image["PixelData"].VR = "OW"
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, image, enforce_file_format=True)
    return stream.getvalue()


def test_a_file_is_private_and_its_digests_are_right(tmp_path: Path) -> None:
    file = ImageFile(tmp_path, 100)
    file.write_head(b"head")
    file.write(b"con")
    file.write(memoryview(b"tent"))

    done = file.finish()

    assert done.path.read_bytes() == b"headcontent"
    assert stat.S_IMODE(done.path.stat().st_mode) == 0o600
    assert (done.size, done.offset) == (11, 4)
    assert done.sha256 == hashlib.sha256(b"headcontent").hexdigest()
    assert done.content_sha256 == hashlib.sha256(b"content").hexdigest()


def test_nothing_is_left_of_a_file_beyond_the_cap(tmp_path: Path) -> None:
    file = ImageFile(tmp_path, 10)
    file.write(b"0123456789")

    with pytest.raises(TooLargeError):
        file.write(b"0")

    assert not list(tmp_path.iterdir())
    with pytest.raises(OSError, match="closed"):
        file.finish()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_nothing_is_left_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ImageFile(tmp_path, 100)
    full = os.open("/dev/full", os.O_WRONLY)
    os.close(file._open())
    monkeypatch.setattr(file, "_descriptor", full)

    with pytest.raises(OSError, match="No space left"):
        file.write(b"0")

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EFBIG, "disk_full"),
        (errno.EROFS, "read_only"),
        (errno.EACCES, "read_only"),
        (errno.EIO, "disk_fault"),
    ],
)
def test_faults_of_the_disk_are_told_apart(number: int, kind: str) -> None:
    assert disk_fault(OSError(number, "")) == kind


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian],
)
def test_identifiers_are_read_in_every_encoding(tmp_path: Path, syntax: str) -> None:
    image = made_image(study="1.2.3", sop="1.2.3.4")
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = MR, "9.9"
    image.ReferencedImageSequence = Sequence([reference] * 50)
    image.add_new(0x00091001, "UN", b"\xff" * 70_000)
    data = encoded(image, syntax)
    path = tmp_path / "image"
    path.write_bytes(data)
    offset, found = meta_of(data)

    identity = read_identity(path, offset, found)

    assert found == syntax
    assert (identity.sop_class, identity.sop_uid, identity.study_uid) == (MR, "1.2.3.4", "1.2.3")


def test_what_inflates_without_end_is_not_inflated(tmp_path: Path) -> None:
    bomb = zlib.compressobj(9, wbits=-15)
    path = tmp_path / "bomb"
    path.write_bytes(bomb.compress(bytes(1 << 26)) + bomb.flush())

    with pytest.raises(UnreadableError):
        read_identity(path, 0, DeflatedExplicitVRLittleEndian)


def test_damaged_data_sets_are_unreadable_or_read(tmp_path: Path) -> None:
    source = random.Random(1)  # noqa: S311 - mutants that come again
    content = content_of(file_of(made_image(rows=4)))
    path = tmp_path / "mutant"
    unreadable = 0
    for _ in range(500):
        mutant = bytearray(content)
        for _ in range(3):
            mutant[source.randrange(len(mutant))] = source.randrange(256)
        path.write_bytes(mutant[: source.randrange(1, len(mutant))] if source.random() < 0.3 else mutant)
        try:
            read_identity(path, 0, source.choice((ExplicitVRLittleEndian, ImplicitVRLittleEndian)))
        except UnreadableError:
            unreadable += 1
    assert 100 < unreadable < 500


@pytest.mark.parametrize("cut", [0, 100, 131, 132, 140, 150, 200])
def test_a_head_that_is_cut_off_is_unreadable(cut: int) -> None:
    with pytest.raises(UnreadableError):
        meta_of(file_of(made_image())[:cut])


def test_an_image_is_taken_once(intake: Intake) -> None:
    image = made_image()

    assert [intake.take(written(intake, image), ExplicitVRLittleEndian, CALLER).how for _ in range(2)] == [
        "new",
        "same",
    ]
    image.PatientName = "Doe^John"
    assert intake.take(written(intake, image), ExplicitVRLittleEndian, CALLER).how == "replaced"
    assert not list(intake.store.folder.incoming.iterdir())


@pytest.mark.parametrize(
    "raised", [OSError(errno.ENOSPC, ""), sqlite3.OperationalError("locked"), NodeError("damaged")]
)
def test_a_store_that_fails_refuses_and_leaves_nothing(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, raised: Exception
) -> None:
    def fails(*_: object) -> None:
        raise raised

    monkeypatch.setattr(intake.store, "accept", fails)

    with pytest.raises(RefusedError) as caught:
        intake.take(written(intake, made_image()), ExplicitVRLittleEndian, CALLER)

    assert caught.value.refusal.status == 0xA700
    assert caught.value.refusal.transient
    assert not list(intake.store.folder.incoming.iterdir())


def test_a_folder_that_is_gone_or_read_only_refuses_at_once(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake.store, "writable", lambda: "read-only")

    with pytest.raises(RefusedError) as caught:
        intake.open()

    assert caught.value.refusal is Refusal.READ_ONLY


@pytest.mark.parametrize("refusal", list(Refusal))
def test_comments_fit_into_a_response(refusal: Refusal) -> None:
    assert len(refusal.comment) <= 64
    assert refusal.transient == (refusal.status == 0xA700)
