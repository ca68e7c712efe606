"""The state folder: one node at a time, closed to other users, with a key that is made once."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from brainseg_runtime.errors import NodeError, NodeFolderError
from brainseg_runtime.node.store.folder import NodeFolder
from brainseg_runtime.node.store.store import Store


def test_a_folder_is_made_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    folder = NodeFolder.open(tmp_path / "above" / "state")
    assert {each.name for each in folder.path.iterdir()} == {"incoming", "studies", "results", "audit", "key", "lock"}
    assert len(folder.key) == 32
    folder.close()


def test_one_node_at_a_time(tmp_path: Path) -> None:
    folder = NodeFolder.open(tmp_path / "state")
    with pytest.raises(NodeFolderError, match="in use"):
        NodeFolder.open(tmp_path / "state")
    code = "import sys; from pathlib import Path; from brainseg_runtime.node.store.folder import NodeFolder\n"
    code += "NodeFolder.open(Path(sys.argv[1]))"
    other = [sys.executable, "-c", code, str(tmp_path / "state")]
    found = subprocess.run(other, capture_output=True, text=True, check=False)
    assert "the node's folder is in use" in found.stderr
    folder.close()
    assert subprocess.run(other, capture_output=True, text=True, check=False).returncode == 0


def test_the_key_is_made_once_and_names_are_its_hmac(tmp_path: Path) -> None:
    folder = NodeFolder.open(tmp_path / "state")
    key, name = folder.key, folder.key_of("1.2.3")
    folder.close()
    folder = NodeFolder.open(tmp_path / "state")
    assert (folder.key, folder.key_of("1.2.3")) == (key, name)
    assert name == hmac.new(key, b"1.2.3", hashlib.sha256).hexdigest()[:16]
    folder.close()


@pytest.mark.parametrize("damage", ["short", "long", "link", "gone"])
def test_a_key_that_is_damaged_is_never_replaced(tmp_path: Path, damage: str) -> None:
    Store.open(tmp_path / "state").close()
    key = tmp_path / "state" / "key"
    whole = key.read_bytes()
    key.unlink()
    if damage == "link":
        (tmp_path / "elsewhere").write_bytes(whole)
        key.symlink_to(tmp_path / "elsewhere")
    elif damage != "gone":
        key.write_bytes(whole[:-1] if damage == "short" else whole + b"0")
    with pytest.raises(NodeFolderError):
        Store.open(tmp_path / "state")
    key.unlink(missing_ok=True)
    key.write_bytes(whole)
    Store.open(tmp_path / "state").close()


@pytest.mark.parametrize("other", ["thesis.txt", "studies/other/file", "results/other/file"])
def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path, other: str) -> None:
    state = tmp_path / "state"
    (state / other).parent.mkdir(parents=True)
    (state / other).write_text("years of work")
    state.chmod(0o755)
    with pytest.raises(NodeFolderError, match="something else in it"):
        NodeFolder.open(state)
    assert (state / other).read_text() == "years of work"
    assert stat.S_IMODE(state.stat().st_mode) == 0o755


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can give a folder away")
def test_another_users_folder_is_left_alone_so_that_its_user_can_still_open_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 64000, 64000)
    with pytest.raises(NodeFolderError, match=r"belongs to another user; .*got user 64000"):
        NodeFolder.open(state)
    assert list(state.iterdir()) == []


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(NodeFolderError, match="got a file"):
        NodeFolder.open(tmp_path / "state")


def test_what_was_arriving_when_the_node_was_killed_is_removed(tmp_path: Path) -> None:
    NodeFolder.open(tmp_path / "state").close()
    incoming = tmp_path / "state" / "incoming"
    (incoming / "half").write_bytes(b"1")
    (incoming / "folder").mkdir()
    (incoming / "folder" / "half").write_bytes(b"1")
    NodeFolder.open(tmp_path / "state").close()
    assert not list(incoming.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o177])
def test_modes_are_the_same_under_any_umask(tmp_path: Path, umask: int) -> None:
    """In a process of its own, since the umask is the whole process's."""
    victim = [sys.executable, "-m", "tests.runtime.node.store.victim", "once", str(tmp_path / "state"), oct(umask)]
    subprocess.run(victim, check=True, timeout=60)
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").rglob("*")}
    assert {mode for path, mode in found.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in found.items() if path.is_file()} == {0o600}
    assert {path.name for path in found} >= {"node.sqlite3", "node.sqlite3-wal", "key", "lock", "seg.dcm"}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_modes_that_were_opened_are_closed_again(tmp_path: Path) -> None:
    Store.open(tmp_path / "state").close()
    for name, mode in ((".", 0o755), ("key", 0o644), ("node.sqlite3", 0o666), ("studies", 0o777)):
        (tmp_path / "state" / name).chmod(mode)
    Store.open(tmp_path / "state").close()
    for path in (tmp_path / "state").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_errors_name_no_path(tmp_path: Path) -> None:
    (tmp_path / "1.2.3.4.5").write_text("")
    with pytest.raises(NodeError) as caught:
        Store.open(tmp_path / "1.2.3.4.5")
    assert str(tmp_path) not in str(caught.value)
