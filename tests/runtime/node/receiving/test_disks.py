"""A disk that is really full, or really read-only: images are refused for now, none that was accepted is lost."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from brainseg_runtime.node.sending.hanging_up import ClosingEntity
from tests.runtime.node.disks import mount, unmount
from tests.runtime.node.receiving.hostile import EXPLICIT
from tests.runtime.node.receiving.listening import MR, Listening, listening, made_image

FULL = 0xA700


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or not mount("-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(folder)):
        pytest.skip("needs the right to mount a tmpfs")
    try:
        yield folder
    finally:
        unmount(folder)


def send(node: Listening, images: list[Dataset]) -> list[int]:
    entity = ClosingEntity("STORESCU")
    entity.add_requested_context(MR, EXPLICIT)
    association = entity.associate("127.0.0.1", node.port, ae_title="BRAINSEG")
    try:
        return [int(association.send_c_store(each).Status) for each in images]
    finally:
        association.release()


def uids(images: list[Dataset], statuses: list[int]) -> set[str]:
    return {str(image.SOPInstanceUID) for image, status in zip(images, statuses, strict=True) if status == 0}


def test_a_full_disk_refuses_and_recovers(small_disk: Path) -> None:
    images = [made_image(rows=400) for _ in range(14)]  # 320 KB each
    with listening(small_disk) as node:
        statuses = send(node, images)

        assert set(statuses) == {0, FULL}
        assert uids(images, statuses) == set(node.images())
        assert not [path for path in node.incoming() if path.suffix == ".part"]

        shutil.rmtree(node.store.folder.studies / node.store.studies(1)[0].key)  # stands for somebody who makes room
        more = [made_image(rows=400, study="1.2.5") for _ in range(3)]
        assert send(node, more) == [0, 0, 0]


def test_a_read_only_folder_refuses_and_recovers(tmp_path: Path) -> None:
    first, second = made_image(), made_image()
    with listening(tmp_path) as node:
        incoming = str(node.store.folder.incoming)
        assert send(node, [first]) == [0]
        if sys.platform != "linux" or not mount("--bind", incoming, incoming):
            pytest.skip("needs the right to mount a folder")
        try:
            assert mount("-o", "remount,bind,ro", incoming)
            assert send(node, [second]) == [FULL]
            assert [each["reason"] for each in node.named("image_refused")] == ["read_only"]
        finally:
            unmount(incoming)

        assert send(node, [second]) == [0]
        assert set(node.images()) == {str(first.SOPInstanceUID), str(second.SOPInstanceUID)}
