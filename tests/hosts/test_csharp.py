"""The host in C#, built and run by Debian's mono."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.hosts.contract import HostContract
from tests.hosts.host import ROOT, Host, library
from tests.hosts.hostility import HostHostility
from tests.hosts.strictness import HostStrictness


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """Built once."""
    if shutil.which("mcs") is None or shutil.which("mono") is None:
        pytest.skip("no C# compiler: apt-get install mono-mcs mono-runtime")
    made = tmp_path_factory.mktemp("csharp") / "brainseg-host.exe"
    sources = sorted(map(str, (ROOT / "hosts" / "csharp").glob("*.cs")))
    subprocess.run(["mcs", "-warnaserror", f"-out:{made}", *sources], check=True)  # noqa: S607 - as users call it
    return Host("csharp", ("mono", str(made), "--library", str(library())))


class TestCSharp(HostContract, HostStrictness, HostHostility):
    """What every host keeps."""
