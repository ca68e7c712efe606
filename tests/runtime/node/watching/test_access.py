"""Who may ask: tokens, names of the node, and pages of other sites."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import pytest

from brainseg_runtime.errors import UsageError
from brainseg_runtime.node.config import HttpSettings, TlsSettings
from brainseg_runtime.node.watching.access import access, host_name, is_loopback, read_token

TOKEN = "k3yZ" * 8
NOBODY = 0xFFFFFFFF
"""The number in entries that are about no user or group in particular."""
OWN = (b"host", b"127.0.0.1:8080")


def token_file(folder: Path, text: str = TOKEN + "\n", mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "node.hospital", "127.0.0.1.example"])  # noqa: S104 - the point
def test_beyond_loopback_the_node_wants_a_token_or_client_certificates(host: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing says who may ask"):
        access(HttpSettings(host=host))
    with pytest.raises(UsageError, match="nothing says who may ask"):
        access(HttpSettings(host=host, tls=TlsSettings(certificate=tmp_path, key=tmp_path)))
    assert access(HttpSettings(host=host, tls=TlsSettings(authorities=tmp_path))).token is None
    assert access(HttpSettings(host=host, token_file=token_file(tmp_path))).token


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "LOCALHOST"])
def test_loopback_is_open_to_this_machine(host: str) -> None:
    assert is_loopback(host)
    assert access(HttpSettings(host=host)).refusal("GET", [OWN]) is None


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:9", "[::1]:8080", "localhost."])
def test_names_of_loopback_are_the_nodes(host: str) -> None:
    assert access(HttpSettings()).refusal("GET", [(b"host", host.encode())]) is None


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"host", b"")],
        [(b"host", b"evil.example")],
        [(b"host", b"127.0.0.1.evil.example:8080")],
        [(b"host", b"localhost@evil.example")],
        [(b"host", b"127.0.0.1:8080/x")],
        [(b"host", b"127.0.0.1:999999")],
        [(b"host", b"\xff")],
        [OWN, (b"host", b"evil.example")],
    ],
)
def test_a_name_that_is_not_the_nodes_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    assert access(HttpSettings()).refusal("GET", headers) == "host"


def test_a_proxys_name_is_allowed_once_it_is_configured() -> None:
    called = [(b"host", b"node.hospital")]
    assert access(HttpSettings()).refusal("GET", called) == "host"
    assert access(HttpSettings(names=("Node.Hospital",))).refusal("GET", called) is None


def test_beyond_loopback_any_name_will_do_unless_names_are_configured(tmp_path: Path) -> None:
    path = token_file(tmp_path)
    called = [(b"host", b"10.1.2.3:8080"), (b"authorization", f"Bearer {TOKEN}".encode())]
    assert access(HttpSettings(host="0.0.0.0", token_file=path)).refusal("GET", called) is None  # noqa: S104 - the point
    rules = access(HttpSettings(host="10.9.9.9", token_file=path, names=("node.hospital",)))
    assert rules.refusal("GET", called) == "host"


@pytest.mark.parametrize(
    ("header", "passes"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer  {TOKEN}", True),
        (f"Bearer {TOKEN}x", False),
        (f"Bearer {TOKEN[:-1]}", False),
        (f"Basic {TOKEN}", False),
        (TOKEN, False),
        ("Bearer ", False),
        ("Bearer \xff", False),
        (None, False),
    ],
)
def test_the_token_opens(header: str | None, passes: bool, tmp_path: Path) -> None:
    rules = access(HttpSettings(token_file=token_file(tmp_path)))
    headers = [OWN, *([] if header is None else [(b"authorization", header.encode("latin-1"))])]
    assert (rules.refusal("GET", headers) is None) == passes


def test_two_authorizations_are_none(tmp_path: Path) -> None:
    rules = access(HttpSettings(token_file=token_file(tmp_path)))
    right = (b"authorization", f"Bearer {TOKEN}".encode())
    assert rules.refusal("GET", [OWN, right, right]) == "token"


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
@pytest.mark.parametrize(
    ("said", "passes"),
    [
        ([], True),
        ([(b"origin", b"http://127.0.0.1:8080")], True),
        ([(b"origin", b"https://127.0.0.1:8080"), (b"sec-fetch-site", b"same-origin")], True),
        ([(b"origin", b"http://evil.example")], False),
        ([(b"origin", b"http://127.0.0.1:9090")], False),
        ([(b"origin", b"null")], False),
        ([(b"sec-fetch-site", b"cross-site")], False),
        ([(b"sec-fetch-site", b"same-site"), (b"origin", b"http://127.0.0.1:8080")], False),
        ([(b"origin", b"http://127.0.0.1:8080"), (b"origin", b"http://evil.example")], False),
    ],
)
def test_another_sites_page_changes_nothing(method: str, said: list[tuple[bytes, bytes]], passes: bool) -> None:
    rules = access(HttpSettings())
    assert rules.refusal(method, [OWN, *said]) == (None if passes else "origin")
    assert rules.refusal("GET", [OWN, *said]) is None


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        (TOKEN, 0o644, "others may read"),
        (TOKEN, 0o620, "others may read"),
        ("short", 0o600, "no token"),
        ("", 0o600, "no token"),
        ("with a space in the middle of it", 0o600, "no token"),
        ("ümlaut" * 8, 0o600, "no token"),
    ],
)
def test_an_unfit_file_of_a_token_is_refused_and_not_quoted(text: str, mode: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message) as fault:
        read_token(token_file(tmp_path, text, mode))
    assert not text or text not in str(fault.value)


def test_a_missing_file_of_a_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_token(tmp_path / "none")


def listed(*entries: tuple[int, int, int]) -> bytes:
    """An access list as Linux keeps it: version 2, then tag, rights and number of each entry."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *each) for each in entries)


@pytest.mark.skipif(sys.platform != "linux", reason="access lists as Linux has them")
@pytest.mark.parametrize(
    ("groups", "may"),
    [
        ([(0x04, 0, NOBODY)], False),  # as systemd hands a credential over: the mode is 0440
        ([(0x04, 4, NOBODY)], True),
        ([(0x04, 0, NOBODY), (0x08, 4, 4242)], True),
    ],
)
def test_a_token_for_one_user_by_an_access_list_is_closed_to_others(
    groups: list[tuple[int, int, int]], may: bool, tmp_path: Path
) -> None:
    path = token_file(tmp_path)
    acl = listed((0x01, 4, NOBODY), (0x02, 4, 65123), *groups, (0x10, 4, NOBODY), (0x20, 0, NOBODY))
    try:
        os.setxattr(path, "system.posix_acl_access", acl)
    except OSError:
        pytest.skip("the file system keeps no access lists")
    assert path.stat().st_mode & 0o777 == 0o440
    if may:
        with pytest.raises(UsageError, match="others may read"):
            read_token(path)
    else:
        assert read_token(path) == TOKEN.encode()


def test_the_token_is_the_first_line(tmp_path: Path) -> None:
    assert read_token(token_file(tmp_path, f"{TOKEN}\r\n# made in May\n")) == TOKEN.encode()


@pytest.mark.parametrize("text", ["", " ", "a b", "a:b", "a:1:2", "[::1", "-a", "a" * 300, "a/b", "[]"])
def test_what_is_no_host_has_no_name(text: str) -> None:
    assert host_name(text) is None
