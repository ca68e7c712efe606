"""Files are written whole or not at all, and read once under a cap."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainseg_runtime.errors import BundleMissingError, BundleTooLargeError, FileWriteError, InputError
from brainseg_runtime.safe_io.files import read_capped, replace_folder, write_bytes, write_json, write_text


def test_a_written_file_holds_its_bytes_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"one")
    write_bytes(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_text_has_one_kind_of_line_end(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "x\ny\n")
    assert (tmp_path / "a").read_bytes() == b"x\ny\n"


def test_json_keeps_its_order_and_ends_with_a_line(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"z": 1, "a": "ä"})
    assert (tmp_path / "a").read_text("utf-8") == '{\n  "z": 1,\n  "a": "ä"\n}\n'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": object()}, {1, 2}])
def test_what_is_no_json_is_not_written(tmp_path: Path, value: object) -> None:
    with pytest.raises(FileWriteError):
        write_json(tmp_path / "a", value)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(FileWriteError, match="cannot be written"):
        write_bytes(tmp_path / "no" / "a", b"")


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path, stop, seen = tmp_path / "a", threading.Event(), set[bytes]()
    write_bytes(path, b"0" * 100_000)

    def read() -> None:
        while not stop.is_set():
            data = path.read_bytes()
            seen.add(bytes({*data}) + str(len(data)).encode())

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(40):
        write_bytes(path, str(n % 2).encode() * 100_000)
    stop.set()
    reader.join()
    assert seen <= {b"0100000", b"1100000"}


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    with replace_folder(tmp_path / "out") as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "new").write_bytes(b"1")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["sub"]


def test_a_failure_while_filling_leaves_the_old_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_bytes(b"kept")

    def fill_and_fail() -> None:
        with replace_folder(tmp_path / "out") as folder:
            (folder / "new").touch()
            raise KeyError

    with pytest.raises(KeyError):
        fill_and_fail()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "old").read_bytes() == b"kept"


def test_a_file_is_not_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(FileWriteError, match="a folder or nothing"), replace_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out").read_bytes() == b"mine"


@given(size=st.integers(0, 40), limit=st.integers(0, 40))
def test_reading_gives_all_or_refuses(tmp_path_factory: pytest.TempPathFactory, size: int, limit: int) -> None:
    path = tmp_path_factory.getbasetemp() / "capped"
    path.write_bytes(b"x" * size)
    if size <= limit:
        assert read_capped(path, limit) == b"x" * size
    else:
        with pytest.raises(InputError, match="too large"):
            read_capped(path, limit)


def test_the_errors_are_those_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12")
    with pytest.raises(BundleMissingError):
        read_capped(tmp_path / "none", 9, error=BundleMissingError)
    with pytest.raises(BundleTooLargeError):
        read_capped(tmp_path / "a", 1, error=BundleMissingError, too_large=BundleTooLargeError)


def test_folders_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_capped(tmp_path, 10)


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    try:
        (tmp_path / "link").symlink_to(tmp_path / "a")
    except OSError:
        pytest.skip("this user may not make links here")
    with pytest.raises(InputError, match="a link"):
        read_capped(tmp_path / "link", 10)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a regular file"):
        read_capped(tmp_path / "pipe", 10)
