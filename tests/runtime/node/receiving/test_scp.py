"""The listener, with dcmtk's programs as modalities, pynetdicom as a PACS, and scanners' own files."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import _config, build_context, build_role

from brainseg_runtime.errors import UsageError
from brainseg_runtime.node.config import NodeConfig
from brainseg_runtime.node.receiving.classes import IMAGE_CLASSES, TRANSFER_SYNTAXES
from brainseg_runtime.node.sending.hanging_up import ClosingEntity
from tests.runtime.node.receiving.hostile import EXPLICIT, Peer, associate, data, store_command
from tests.runtime.node.receiving.listening import (
    CT,
    MR,
    SETTINGS,
    Listening,
    content_of,
    file_of,
    listening,
    made_image,
    program,
    run,
    until,
    with_dicom,
    with_intake,
)

SCANNERS = Path(os.environ.get("BRAINSEG_STUDIES", "data/studies")).parent / "dicom"
COMMITMENT = "1.2.840.10008.1.20.1"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Listening]:
    with listening(tmp_path) as listener:
        yield listener


def send(node: Listening, *images: Dataset, title: str = "STORESCU", host: str = "127.0.0.1") -> list[int]:
    """Send images in one association; the statuses."""
    entity = ClosingEntity(title)
    for syntax in {str(each.file_meta.TransferSyntaxUID) for each in images}:
        for sop_class in {str(each.SOPClassUID) for each in images}:
            entity.add_requested_context(sop_class, syntax)
    association = entity.associate(host, node.port, ae_title="BRAINSEG")
    assert association.is_established
    try:
        return [int(association.send_c_store(each).Status) for each in images]
    finally:
        association.release()


def saved(folder: Path, *images: Dataset) -> list[str]:
    paths = []
    for number, each in enumerate(images):
        path = folder / f"{number}.dcm"
        path.write_bytes(file_of(each))
        paths.append(str(path))
    return paths


def test_echoscu_is_answered(node: Listening) -> None:
    answer = run(program("echoscu"), "-aec", "BRAINSEG", "127.0.0.1", str(node.port))

    assert answer.returncode == 0, answer.stderr
    assert until(lambda: node.named("association_released"))


@pytest.mark.parametrize("left", [2, 1000, 2000])
def test_an_image_that_is_cut_off_is_refused_and_the_whole_one_taken(
    node: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)  # the file's bytes go out as they are
    image = made_image(rows=32)
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(file_of(image)[:-left])
    entity = ClosingEntity("STORESCU")
    entity.add_requested_context(image.SOPClassUID, image.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", node.port, ae_title="BRAINSEG")
    answer = association.send_c_store(cut)
    association.release()

    assert answer.Status == 0xC000
    assert node.named("image_refused")[0]["reason"] == "cut_off"
    assert not node.images()
    assert not node.incoming()
    assert send(node, image) == [0x0000]


def test_a_title_that_is_not_listed_is_rejected(node: Listening) -> None:
    answer = run(program("echoscu"), "-aet", "STRANGER", "-aec", "BRAINSEG", "127.0.0.1", str(node.port))

    assert answer.returncode != 0
    assert "Calling AE Title Not Recognized" in answer.stderr
    assert [each["reason"] for each in node.named("association_rejected")] == ["calling_title"]


def test_another_called_title_is_rejected(node: Listening) -> None:
    answer = run(program("echoscu"), "-aec", "OTHER", "127.0.0.1", str(node.port))

    assert answer.returncode != 0
    assert "Called AE Title Not Recognized" in answer.stderr


@pytest.mark.parametrize("name", ["storescu", "dcmsend"])
def test_what_dcmtk_sends_is_kept_byte_for_byte(node: Listening, tmp_path: Path, name: str) -> None:
    images = [made_image(rows=rows) for rows in (8, 16, 24)]
    title = ["-aet", "STORESCU"]

    answer = run(program(name), *title, "-aec", "BRAINSEG", "127.0.0.1", str(node.port), *saved(tmp_path, *images))

    assert answer.returncode == 0, answer.stderr
    kept = node.images()
    assert {uid: content_of(file) for uid, file in kept.items()} == {
        str(each.SOPInstanceUID): content_of(file_of(each)) for each in images
    }
    assert until(lambda: [each.associations for each in node.store.studies(5)] == [1])


@pytest.mark.skipif(not SCANNERS.is_dir(), reason="no folder of scanners' DICOM lies beside BRAINSEG_STUDIES")
@pytest.mark.parametrize(
    ("folder", "option"),
    [
        ("generic/anatomical", "-xe"),
        ("generic/compressed_rle", "-xr"),
        ("generic/compressed_jpegls", "-xt"),
        ("philips_enhanced", "-xe"),
    ],
)
def test_scanners_files_arrive_in_their_own_transfer_syntax(node: Listening, folder: str, option: str) -> None:
    paths = sorted(path for path in (SCANNERS / folder).rglob("*") if path.is_file())

    answer = run(program("storescu"), option, "-aec", "BRAINSEG", "127.0.0.1", str(node.port), *map(str, paths))

    assert answer.returncode == 0, answer.stderr
    kept = node.images()
    assert len(kept) == len(paths)
    for path in paths:
        sent = pydicom.dcmread(path)
        got = pydicom.dcmread(pydicom.filebase.DicomBytesIO(kept[str(sent.SOPInstanceUID)]))
        assert got.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
        assert got.PixelData == sent.PixelData


def test_every_class_and_syntax_that_the_reader_knows_is_accepted(node: Listening) -> None:
    wanted = {(sop_class, syntax) for sop_class in IMAGE_CLASSES for syntax in TRANSFER_SYNTAXES}
    contexts = [build_context(sop_class, syntax) for sop_class, syntax in sorted(wanted)]
    got = set()
    for start in range(0, len(contexts), 12):
        part = ClosingEntity("STORESCU")
        part.requested_contexts = contexts[start : start + 12]
        association = part.associate("127.0.0.1", node.port, ae_title="BRAINSEG")
        got |= {(str(each.abstract_syntax), str(each.transfer_syntax[0])) for each in association.accepted_contexts}
        association.release()

    assert got == wanted


def test_other_classes_are_refused_by_their_context(node: Listening) -> None:
    entity = ClosingEntity("STORESCU")
    for sop_class in (CT, "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.33", MR):
        entity.add_requested_context(sop_class, EXPLICIT)

    association = entity.associate("127.0.0.1", node.port, ae_title="BRAINSEG")

    assert [str(each.abstract_syntax) for each in association.accepted_contexts] == [MR]
    association.release()


def test_the_same_image_again_is_accepted_and_changes_nothing(node: Listening) -> None:
    image = made_image()

    assert send(node, image, image) == [0, 0]
    assert [each["state"] for each in node.named("image_received")] == ["new", "same"]
    assert len(node.images()) == 1


def test_a_class_that_the_context_was_not_made_for_is_refused(node: Listening) -> None:
    image = made_image(sop_class=CT)
    with Peer(node.port) as peer:
        peer.say(associate([(1, MR, EXPLICIT)]))
        assert peer.hear()[0] == 2

        peer.say(data(1, 3, store_command(CT, str(image.SOPInstanceUID))))
        peer.say(data(1, 2, content_of(file_of(image))))

        assert peer.status() == 0x0122
    assert until(lambda: not node.incoming())


@pytest.mark.parametrize(
    ("announced", "status"),
    [((MR, "1.2.3.4.5"), 0xA900), ((MR, "../../../etc/passwd"), 0xA900)],
    ids=["another identifier", "a path"],
)
def test_a_data_set_that_is_not_what_was_announced_is_refused(
    node: Listening, announced: tuple[str, str], status: int
) -> None:
    with Peer(node.port) as peer:
        peer.say(associate([(1, MR, EXPLICIT)]))
        peer.hear()

        peer.say(data(1, 3, store_command(*announced)))
        peer.say(data(1, 2, content_of(file_of(made_image(sop="1.2.3.4.6")))))

        assert peer.status() == status
    assert not node.images()
    assert until(lambda: not node.incoming())


@pytest.mark.parametrize("content", [b"", b"\0", b"junk" * 100, bytes(4096)], ids=["empty", "zero", "junk", "zeros"])
def test_a_data_set_that_cannot_be_read_is_refused(node: Listening, content: bytes) -> None:
    with Peer(node.port) as peer:
        peer.say(associate([(1, MR, EXPLICIT)]))
        peer.hear()

        peer.say(data(1, 3, store_command(MR, "1.2.3.4.6")))
        peer.say(data(1, 2, content))

        assert peer.status() == 0xC000
    assert until(lambda: not node.incoming())


def test_an_image_beyond_the_cap_is_refused_and_the_next_one_taken(node: Listening) -> None:
    assert send(node, made_image(rows=1024), made_image(rows=16)) == [0xC000, 0]
    assert [each["reason"] for each in node.named("image_refused")] == ["too_large"]
    assert len(node.images()) == 1
    assert not node.incoming()


def test_a_study_beyond_its_cap_is_refused(tmp_path: Path) -> None:
    with listening(tmp_path, with_intake(max_study_instances=2)) as node:
        statuses = send(node, *(made_image() for _ in range(3)))

        assert statuses == [0, 0, 0xC000]
        assert [each["reason"] for each in node.named("image_refused")] == ["study_too_large"]


def test_a_full_queue_is_out_of_resources_for_now(tmp_path: Path) -> None:
    with listening(tmp_path, with_intake(max_waiting_mib=1)) as node:
        statuses = send(node, made_image(rows=600), made_image(rows=600))

        assert statuses == [0, 0xA700]


def test_too_little_space_is_out_of_resources_for_now(tmp_path: Path) -> None:
    with listening(tmp_path, with_intake(min_free_mib=1 << 24)) as node:
        assert send(node, made_image()) == [0xA700]
        assert [each["reason"] for each in node.named("image_refused")] == ["disk_full"]
        assert not node.incoming()


def test_a_drained_node_refuses_new_studies_and_completes_those_half_received(node: Listening) -> None:
    assert send(node, made_image(study="1.2.3")) == [0]
    node.store.drain(True)
    try:
        assert send(node, made_image(study="1.2.3"), made_image(study="1.2.4")) == [0, 0xA700]
    finally:
        node.store.drain(False)
    assert send(node, made_image(study="1.2.4")) == [0]


def test_an_association_that_is_aborted_does_not_complete_a_study(node: Listening) -> None:
    with Peer(node.port) as peer:
        image = made_image()
        peer.say(associate([(1, MR, EXPLICIT)]))
        peer.hear()
        peer.say(data(1, 3, store_command(MR, str(image.SOPInstanceUID))))
        peer.say(data(1, 2, content_of(file_of(image))))
        assert peer.status() == 0

    assert until(lambda: node.named("association_aborted"))
    assert [each.associations for each in node.store.studies(5)] == [0]


def test_what_is_sent_when_the_connection_breaks_is_deleted(node: Listening) -> None:
    with Peer(node.port) as peer:
        peer.say(associate([(1, MR, EXPLICIT)]))
        peer.hear()
        peer.say(data(1, 3, store_command(MR, "1.2.3")))
        peer.say(data(1, 0, content_of(file_of(made_image(sop="1.2.3")))))
        assert until(lambda: len(node.incoming()) == 1)

    assert until(lambda: not node.incoming())
    assert not node.images()


def test_more_associations_than_the_cap_are_rejected_for_now(tmp_path: Path) -> None:
    with listening(tmp_path, with_dicom(max_associations=2)) as node:
        with Peer(node.port) as first, Peer(node.port) as second, Peer(node.port) as third:
            for peer in (first, second):
                peer.say(associate([(1, MR, EXPLICIT)]))
                assert peer.hear()[0] == 2
            third.say(associate([(1, MR, EXPLICIT)]))
            assert third.hear() == (3, bytes([0, 2, 3, 2]))
        assert until(lambda: len(node.named("association_aborted")) == 2)
        assert send(node, made_image()) == [0]


@pytest.mark.parametrize(
    ("listens", "allowed", "calls"),
    [("::1", "[::1]", "::1"), ("[::1]", "::1", "::1"), ("::", "::1", "::1"), ("::", "127.0.0.1", "127.0.0.1")],
)
def test_ipv6_is_spoken(tmp_path: Path, listens: str, allowed: str, calls: str) -> None:
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        config = with_dicom(host=listens, allow=(f"STORESCU@{allowed}",))
        with listening(tmp_path, config) as node:
            assert send(node, made_image(), host=calls) == [0]
        return
    pytest.skip("needs IPv6")


def test_many_senders_at_a_time_lose_nothing(tmp_path: Path) -> None:
    images = [[made_image(study=f"1.2.{study}") for _ in range(8)] for study in range(8)]
    statuses: list[int] = []
    with listening(tmp_path) as node:
        threads = [threading.Thread(target=lambda each=each: statuses.extend(send(node, *each))) for each in images]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert statuses == [0] * 64
        assert len(node.images()) == 64
        assert until(lambda: [each.associations for each in node.store.studies(20)] == [1] * 8)


def test_the_log_names_nobody(node: Listening) -> None:
    image = made_image(study="1.2.840.99.4711")
    send(node, image)
    assert until(lambda: node.named("association_released"))

    for secret in ("STORESCU", "127.0.0.1", "Doe", "4711", str(image.SOPInstanceUID)):
        assert secret not in node.stream.getvalue()


def test_digests_are_those_of_the_files(node: Listening) -> None:
    image = made_image()
    send(node, image)

    (file,) = node.images().values()
    with node.store._database.read() as view:
        row = view.execute("SELECT sha256, content_sha256, size FROM image").fetchone()
    assert tuple(row) == (hashlib.sha256(file).hexdigest(), hashlib.sha256(content_of(file)).hexdigest(), len(file))


def test_an_answer_to_storage_commitment_is_taken(node: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[object, ...]] = []

    def hear(*said: object) -> int:
        heard.append(said)
        return 1

    monkeypatch.setattr(node.store, "committed", hear)
    monkeypatch.setattr(node.store, "not_committed", hear)
    entity = ClosingEntity("STORESCU")
    entity.add_requested_context(COMMITMENT)
    association = entity.associate(
        "127.0.0.1", node.port, ae_title="BRAINSEG", ext_neg=[build_role(COMMITMENT, scp_role=True)]
    )
    answer = Dataset()
    answer.TransactionUID = "1.2.9"
    answer.ReferencedSOPSequence = [_reference("1.2.3"), _reference("1.2.4")]
    failed = _reference("1.2.5")
    failed.FailureReason = 0x0112
    answer.FailedSOPSequence = [failed]

    status, _ = association.send_n_event_report(answer, 2, COMMITMENT, "1.2.840.10008.1.20.1.1")
    nonsense, _ = association.send_n_event_report(_reference("1.2.6"), 1, COMMITMENT, "1.2.840.10008.1.20.1.1")
    association.release()

    assert (status.Status, nonsense.Status) == (0x0000, 0x0110)
    assert heard == [
        ("1.2.9", ["1.2.3", "1.2.4"]),
        ("1.2.9", ["1.2.5"], "not committed: no_such_object", SETTINGS.retry),
    ]


def test_an_own_result_that_comes_back_ends_here(node: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    image = made_image()
    monkeypatch.setattr(node.store, "own", lambda uid: uid == str(image.SOPInstanceUID))

    assert send(node, image) == [0]
    assert node.named("loop_ended")
    assert not node.images()
    assert not node.incoming()


def test_stopping_frees_the_port_and_ends_what_goes_on(tmp_path: Path) -> None:
    with listening(tmp_path) as node, Peer(node.port) as peer:
        peer.say(associate([(1, MR, EXPLICIT)]))
        peer.hear()
        port = node.port
        begun = time.monotonic()

        node.receiver.stop(seconds=0.2)

        assert time.monotonic() - begun < 15  # the association itself may last longer
        assert peer.hangs_up()
        with pytest.raises(OSError, match="refused"):
            Peer(port)


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    from brainseg_runtime.node.receiving.scp import Receiver
    from brainseg_runtime.node.watching.log import Log

    with listening(tmp_path) as node:
        receiver = Receiver(with_dicom(port=node.port), node.store, Log())

        with pytest.raises(UsageError, match="cannot be listened on"):
            receiver.start()


def test_no_sender_is_listed_by_default() -> None:
    assert NodeConfig().dicom.allow == ()


def _reference(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = MR
    item.ReferencedSOPInstanceUID = uid
    return item
