"""`brainseg serve --check` and the options that win over the file."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from brainseg_runtime.commands.serve_options import ServeOptions
from brainseg_runtime.errors import UsageError
from brainseg_runtime.node import check
from brainseg_runtime.node.check import NodeCheck, NodeChecks, check_node
from brainseg_runtime.node.config import Destination, DicomSettings, HttpSettings, NodeConfig, TlsSettings
from tests.runtime.command_line import BUNDLE, brainseg
from tests.schemas.validation import violations


def checked(*arguments: object) -> tuple[int, dict[str, str]]:
    done = brainseg("serve", BUNDLE, "--check", "--json", "-", *arguments)
    found = json.loads(done.out)
    assert not violations("node-checks", found)
    return done.code, {each["name"]: each["status"] for each in found["checks"]}


def test_a_configuration_that_would_start_passes_and_leaves_nothing(tmp_path: Path) -> None:
    code, found = checked(
        "--folder", tmp_path / "state", "--port", 0, "--http", 0, "--allow", "MR1@127.0.0.1",
        "--config", file(tmp_path, "[work]\nprovider = 'cpu'\n[intake]\nmin_free_mib = 0\n"),
    )  # fmt: skip
    assert set(found.values()) == {"PASS"}
    assert code == 0
    assert not (tmp_path / "state").exists()


# pynetdicom leaves the socket of a connection that was refused to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_each_thing_that_would_fail_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as other:
        port, http = taken.getsockname()[1], other.getsockname()[1]
        text = f"[work]\ndigest = '{'0' * 64}'\n[intake]\nmin_free_mib = 16777216\n[http]\nport = {http}\n"
        text += "[[send]]\nname = 'pacs'\naet = 'PACS'\nhost = '127.0.0.1'\nport = 1\n"
        code, found = checked("--folder", tmp_path / "state", "--port", port, "--config", file(tmp_path, text))
    failed = {name for name, status in found.items() if status == "FAIL"}
    assert failed == {"bundle", "provider", "disk", "callers", "DICOM port", "HTTP port", "destination pacs"}
    assert code == 1


@pytest.mark.parametrize(
    ("host", "caller", "status"),
    [
        ("127.0.0.1", "PACS@10.0.0.5", "FAIL"),
        ("localhost", "PACS@10.0.0.5", "FAIL"),
        ("127.0.0.1", "PACS@no-such-host.invalid", "FAIL"),
        ("::", "PACS@10.0.0.5", "PASS"),
        ("127.0.0.1", "PACS@127.0.1.1", "PASS"),
        ("127.0.0.1", "PACS@localhost", "PASS"),
        ("::1", "PACS@[::1]", "PASS"),
    ],
)
def test_a_caller_that_could_never_get_in_is_named(tmp_path: Path, host: str, caller: str, status: str) -> None:
    config = NodeConfig(folder=tmp_path / "state", dicom=DicomSettings(host=host, port=0, allow=(caller,)))
    found = {each.name: each.status for each in check_node(config, BUNDLE).checks}
    assert found["callers"] == status


ANYWHERE = "0.0.0.0"  # noqa: S104 - nothing listens on it
TOKEN_FILE = Path("token")  # made in the test's folder
PACS = Destination(name="pacs", aet="PACS", host="10.0.0.5", commitment=True)
WEB = Destination(name="web", kind="stow", url="http://pacs.invalid/dicom-web", token_file=TOKEN_FILE)


@pytest.mark.parametrize(
    ("changes", "name", "status"),
    [
        ({"http": HttpSettings(host=ANYWHERE, token_file=TOKEN_FILE)}, "HTTP token", "WARN"),
        ({"http": HttpSettings(token_file=TOKEN_FILE)}, "HTTP token", "PASS"),
        ({"http": HttpSettings(host=ANYWHERE, token_file=TOKEN_FILE, tls=TlsSettings())}, "HTTP token", "PASS"),
        ({"send": (WEB,)}, "token of web", "WARN"),
        ({"send": (replace(WEB, url="https://pacs.invalid/dicom-web"),)}, "token of web", "PASS"),
        ({"send": (replace(WEB, url="http://[::1]:80/dicom-web"),)}, "token of web", "PASS"),
        ({"send": (PACS,)}, "answers of pacs", "WARN"),
        ({"send": (PACS,), "dicom": DicomSettings(host="::", allow=("P@10.0.0.5",))}, "answers of pacs", "PASS"),
        ({"send": (PACS,), "dicom": DicomSettings(allow=("P@10.0.0.5",))}, "answers of pacs", "WARN"),
        ({"send": (replace(PACS, host="no-such-host.invalid"),)}, "answers of pacs", "WARN"),
        (
            {"send": (replace(PACS, host="localhost"),), "dicom": DicomSettings(allow=("P@127.0.0.1",))},
            "answers of pacs",
            "PASS",
        ),
    ],
)
def test_what_would_start_and_is_not_safe_or_cannot_work_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], name: str, status: str
) -> None:
    monkeypatch.setattr(check, "reach", lambda *_: None)  # the places are made up
    monkeypatch.chdir(tmp_path)
    TOKEN_FILE.write_text("t0ken" * 6)
    TOKEN_FILE.chmod(0o600)
    config = NodeConfig(folder=tmp_path / "state", **changes)
    found = {each.name: each for each in check_node(config, BUNDLE).checks}
    assert found[name].status == status, found[name].detail


def test_a_token_that_cannot_be_used_is_not_blamed_on_the_port(tmp_path: Path) -> None:
    http = HttpSettings(port=0, token_file=tmp_path / "none")
    found = {each.name: each for each in check_node(NodeConfig(folder=tmp_path / "state", http=http), BUNDLE).checks}
    assert (found["HTTP port"].status, found["HTTP token"].status) == ("PASS", "FAIL")
    assert "No such file" in found["HTTP token"].detail


def test_warnings_do_not_fail() -> None:
    warned = NodeCheck(name="x", status="WARN", detail="")
    assert NodeChecks(checks=(warned,)).ok
    assert not NodeChecks(checks=(warned, replace(warned, status="FAIL"))).ok


def test_options_win_over_the_file(tmp_path: Path) -> None:
    text = "[dicom]\naet = 'ONE'\nport = 1\nallow = ['A@a']\n[intake]\nquiet_seconds = 5\n"
    found = ServeOptions(
        config=file(tmp_path, text),
        aet="TWO",
        host="10.9.8.7",
        allow=["B@b"],
        send=["PACS@10.0.0.5:104", "P 2@[::1]:4242"],
    ).settings()
    assert (found.dicom.aet, found.dicom.port, found.dicom.allow) == ("TWO", 1, ("B@b",))
    assert found.dicom.host == "10.9.8.7"
    assert found.intake.quiet_seconds == 5
    assert found.send == (
        Destination(name="pacs", aet="PACS", host="10.0.0.5", port=104),
        Destination(name="p-2", aet="P 2", host="::1", port=4242),
    )


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (ServeOptions(send=["PACS@10.0.0.5"]), "--send is wrong"),
        (ServeOptions(send=["10.0.0.5:104"]), "--send is wrong"),
        (ServeOptions(send=["PACS@a:70000"]), "--send.port is wrong"),
        (ServeOptions(send=["PACS@a:1", "PACS@b:1"]), "two destinations of one name"),
        (ServeOptions(allow=["10.0.0.5"]), r"allow\[0\] is wrong"),
        (ServeOptions(aet="SEVENTEEN_LETTERS"), "aet is wrong"),
        (ServeOptions(quiet_seconds=0), "quiet_seconds is wrong"),
    ],
)
def test_an_option_that_cannot_be_is_wrong_usage(options: ServeOptions, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        options.settings()


def test_wrong_usage_is_exit_code_2(tmp_path: Path) -> None:
    assert brainseg("serve", BUNDLE, "--config", file(tmp_path, "[dicom]\nprot = 1\n")).code == 2


def file(folder: Path, text: str) -> Path:
    path = folder / "node.toml"
    path.write_text(text, encoding="utf-8")
    return path
