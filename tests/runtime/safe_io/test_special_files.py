"""Devices, pipes, links and this process's own descriptors are written through and stay what they are."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from brainseg_runtime.errors import FileWriteError
from brainseg_runtime.safe_io import special_files
from brainseg_runtime.safe_io.files import write_bytes
from brainseg_runtime.safe_io.special_files import own_descriptor
from tests.runtime.command_line import environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="special files are POSIX's")


def test_a_device_stays_a_device(tmp_path: Path) -> None:
    """A node of one's own, as only root can make it; the system's own one for others."""
    node = tmp_path / "null"
    try:
        os.mknod(node, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        node = Path("/dev/null")
    write_bytes(node, b"gone")
    assert stat.S_ISCHR(node.stat().st_mode)


def test_a_full_device_is_an_error_that_names_it() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(FileWriteError, match="/dev/full") as caught:
        write_bytes(Path("/dev/full"), b"more")
    assert caught.value.got == "No space left on device"


def test_a_pipe_hands_its_bytes_to_whoever_reads(tmp_path: Path) -> None:
    """More bytes than a pipe holds at once."""
    pipe, sent, got = tmp_path / "pipe", os.urandom(1 << 20), []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_bytes(pipe, sent)
    reader.join()
    assert got == [sent]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_pipe_that_nobody_reads_is_an_error_in_bounded_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(special_files, "READER_SECONDS", 0.2)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileWriteError, match="pipe") as caught:
        write_bytes(tmp_path / "pipe", b"more")
    assert "nobody reads" in str(caught.value.got)


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file")
    for data in (b"made", b"replaced"):
        write_bytes(tmp_path / "link", data)
        assert (tmp_path / "there" / "file").read_bytes() == data
    assert (tmp_path / "link").is_symlink()
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["file"]


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(FileWriteError, match="cannot be written"):
        write_bytes(tmp_path / "a", b"x")


@pytest.mark.skipif(sys.platform != "linux", reason="loop devices are Linux's")
def test_a_disk_is_never_written_to(tmp_path: Path) -> None:
    node = tmp_path / "disk"
    try:
        os.mknod(node, 0o666 | stat.S_IFBLK, os.makedev(7, 250))  # a loop device without a file behind it
    except PermissionError:
        pytest.skip("this user may not make device nodes")
    with pytest.raises(FileWriteError) as caught:
        write_bytes(node, b"x")
    assert "a disk" in str(caught.value.got)


def test_own_descriptors_are_known_by_all_their_names(tmp_path: Path) -> None:
    if not Path("/dev/fd").exists():
        pytest.skip("this system has no /dev/fd")
    (tmp_path / "link").symlink_to("/dev/stdout")
    for name, number in (("/dev/stdout", 1), ("/dev/stderr", 2), ("/dev/fd/7", 7), (tmp_path / "link", 1)):
        assert own_descriptor(Path(name)) == number
    for name in ("/dev/null", tmp_path / "nothing", "/dev/fd", tmp_path / "7"):
        assert own_descriptor(Path(name)) is None


def test_standard_output_is_appended_to_and_not_replaced(tmp_path: Path) -> None:
    """What a shell writes into the same file before and after stays."""
    script = (
        "from pathlib import Path; from brainseg_runtime.safe_io.files import write_bytes\n"
        "write_bytes(Path('/dev/stdout'), b'mid\\n')"
    )
    with (tmp_path / "log").open("wb") as log:
        log.write(b"before\n")
        log.flush()
        subprocess.run([sys.executable, "-c", script], stdout=log, env=environment(), check=True, timeout=60)
        log.write(b"after\n")
    assert (tmp_path / "log").read_bytes() == b"before\nmid\nafter\n"
