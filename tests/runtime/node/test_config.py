"""Settings are read strictly: what is misspelt, out of range or contradictory is an error that says where."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from brainseg_runtime.errors import UsageError
from brainseg_runtime.node.config import (
    Destination,
    DicomSettings,
    HttpSettings,
    NodeConfig,
    TlsSettings,
    read_config,
    split_caller,
)
from tests.schemas.validation import violations

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "node.example.toml"
STOW = '[[send]]\nname = "web"\nkind = "stow"\nurl = "https://pacs/dicom-web"\n'
DIMSE = '[[send]]\nname = "pacs"\naet = "PACS"\nhost = "10.0.0.5"\n'


def read(folder: Path, text: str) -> NodeConfig:
    path = folder / "node.toml"
    path.write_text(text, encoding="utf-8")
    return read_config(path)


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    assert read(tmp_path, "") == NodeConfig()


def test_a_mark_at_the_beginning_of_the_file_and_ends_of_lines_are_those_of_any_editor(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_bytes(b'\xef\xbb\xbf[dicom]\r\naet = "TWO"\r\n')
    assert read_config(tmp_path / "node.toml").dicom.aet == "TWO"


def test_the_example_is_read_and_its_tables_have_the_defaults_but_where_it_says_so() -> None:
    found = read_config(EXAMPLE)
    assert found.dicom == DicomSettings(host="0.0.0.0", allow=("PACS@10.0.0.5", "MR1@10.0.0.7"))  # noqa: S104 - as it says
    assert found.http == HttpSettings()
    assert (found.intake, found.work, found.retry, found.retention) == (
        NodeConfig().intake, NodeConfig().work, NodeConfig().retry, NodeConfig().retention
    )  # fmt: skip
    assert found.send == (
        Destination(name="pacs", aet="PACS", host="10.0.0.5", port=104, commitment=True, write=("seg", "sr")),
        Destination(name="web", kind="stow", url="https://pacs.hospital.example/dicom-web"),
    )


def test_the_example_keeps_to_the_schema() -> None:
    assert not violations("node", tomllib.loads(EXAMPLE.read_text(encoding="utf-8")))


def test_the_example_names_every_setting_and_none_that_does_not_exist(tmp_path: Path) -> None:
    """With everything that it leaves out taken in, it is still read."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    whole = "\n".join(re.sub(r"^# (?=\[|\w+ = )", "", line) for line in lines)
    read(tmp_path, whole)
    table = tomllib.loads(whole)
    for each in fields(NodeConfig):
        value = getattr(NodeConfig(), each.name)
        if is_dataclass(value):
            assert table[each.name].keys() == {field.name for field in fields(value)}, each.name
    named = set().union(*(each.keys() for each in table["send"]))
    assert named | {"kind"} == {field.name for field in fields(Destination)}
    assert table.keys() == {"schema", *(field.name for field in fields(NodeConfig))}


def test_relative_paths_are_taken_from_the_files_folder(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        'folder = "state"\n[http]\ntoken_file = "/run/token"\n[dicom.tls]\ncertificate = "a.pem"\nkey = "b.pem"\n'
        + STOW
        + 'token_file = "web"\n',
    )
    assert found.folder == tmp_path / "state"
    assert found.http.token_file == Path("/run/token")
    assert found.dicom.tls == TlsSettings(certificate=tmp_path / "a.pem", key=tmp_path / "b.pem")
    assert found.send[0].token_file == tmp_path / "web"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[intak]\n", "has unknown keys"),
        ("[intake]\nquiet_second = 3\n", r"node.toml.intake has unknown keys"),
        ("[intake]\nquiet_seconds = 0\n", r"intake.quiet_seconds is wrong; expected a number from 0.1 to 86400; got 0"),
        ("[intake]\nquiet_seconds = nan\n", "intake.quiet_seconds is wrong"),
        ("[dicom]\nport = 65536\n", "dicom.port is wrong"),
        ("[dicom]\nport = true\n", "dicom.port is wrong"),
        ('[dicom]\naet = "SEVENTEEN_LETTERS"\n', "dicom.aet is wrong; expected 1 to 16"),
        ('[dicom]\nallow = ["10.0.0.7"]\n', r"dicom.allow\[0\] is wrong; expected AET@HOST"),
        ('[dicom]\nallow = ["MR1@a b"]\n', r"dicom.allow\[0\] is wrong"),
        ('[dicom.tls]\ncertificate = "a.pem"\n', "dicom.tls is incomplete; expected certificate and key"),
        ('[http.tls]\nkey = "a.pem"\n', "http.tls is incomplete"),
        ('[work]\nwrite = ["nifti"]\n', r"work.write\[0\] is wrong; expected one of seg, sr, sc, rtstruct"),
        ('[[send]]\nname = "PACS"\n', r"send\[0\].name is wrong"),
        ('[[send]]\nname = "pacs"\nhost = "a"\n', r"send\[0\] lacks its address"),
        (DIMSE + 'url = "http://a"\n', r"send\[0\].url is for another kind"),
        (DIMSE + DIMSE, "two destinations of one name; got pacs"),
        ("[send]\nname = 'pacs'", r"one table; expected \[\[send\]\]"),
        ("[dicom]\nport = 8080", "one port for DICOM and HTTP"),
        ("[dicom]\nport = 8080\nhost = '0.0.0.0'", "one port for DICOM and HTTP"),
        (STOW.replace("https", "ftp"), r"send\[0\].url is wrong"),
        (STOW + "commitment = true\n", r"send\[0\].commitment is for another kind"),
        (STOW + '[send.tls]\nkey = "a.pem"\n', r"send\[0\].tls is incomplete"),
        ('pull = "web"\n' + DIMSE, "pull names no destination"),
        ('schema = "brainseg/node/2"\n', "is of another schema; expected brainseg/node/1"),
        ("[dicom\n", "is not TOML"),
        ("folder = 1979-05-27\n", "folder is wrong"),
        ('folder = "a\\u0000b"\n', "folder is wrong; expected a path"),
        ('[http.tls]\ncertificate = "a\\u0000"\nkey = "b"\n', "certificate is wrong; expected a path"),
        ("[intake]\nquiet_seconds = " + "9" * 400 + "\n", "quiet_seconds is wrong; expected a number"),
        ("pull = " + "9" * 5000 + "\n", "is not TOML"),
        ("pull = " + "[" * 5000 + "\n", "is not TOML"),
        ("pull = " + "{a=" * 5000 + "\n", "is not TOML"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(UsageError, match=where):
        read(tmp_path, text)


def test_a_file_that_is_missing_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_config(tmp_path / "none.toml")
    (tmp_path / "node.toml").write_bytes(b'pull = "\xff"')
    with pytest.raises(UsageError, match="expected text in UTF-8; got byte 8"):
        read_config(tmp_path / "node.toml")


def test_a_link_to_a_file_is_read_as_systems_that_mount_configurations_make_them(tmp_path: Path) -> None:
    (tmp_path / "data.toml").write_text("[dicom]\nport = 1\n", encoding="utf-8")
    (tmp_path / "node.toml").symlink_to("data.toml")
    assert read_config(tmp_path / "node.toml").dicom.port == 1


@pytest.mark.parametrize(
    ("text", "caller"),
    [
        ("MR1@10.0.0.7", ("MR1", "10.0.0.7")),
        ("A@B@host", ("A@B", "host")),
        ("MR 1@fe80::1%eth0", ("MR 1", "fe80::1%eth0")),
    ],
)
def test_a_caller_is_a_title_and_a_host(text: str, caller: tuple[str, str]) -> None:
    assert split_caller(text) == caller
