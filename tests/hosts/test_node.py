"""The host in Node.js."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tests.hosts.contract import HostContract
from tests.hosts.host import ROOT, Host
from tests.hosts.hostility import HostHostility
from tests.hosts.strictness import HostStrictness

FOLDER = ROOT / "hosts" / "node"
OLDEST = 18


@pytest.fixture(scope="module")
def host() -> Host:
    """The host, with the packages that its lock names."""
    node = shutil.which("node")
    if node is None:
        pytest.skip(f"node is missing: install Node.js {OLDEST} or newer")
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(told.lstrip("v").split(".")[0]) < OLDEST:
        pytest.skip(f"node is {told.strip()}: install Node.js {OLDEST} or newer")
    if not (FOLDER / "node_modules" / "onnxruntime-node").is_dir():
        pytest.skip("onnxruntime-node is missing: run `ONNXRUNTIME_NODE_INSTALL=skip npm ci` in hosts/node")
    return Host("node", (node, str(FOLDER / "host.js")))


class TestNode(HostContract, HostStrictness, HostHostility):
    """What every host keeps."""

    @pytest.mark.skip(reason="onnxruntime-node brings its own library")
    def test_a_library_that_is_not_there_is_named(self) -> None:  # type: ignore[override]
        """The host has no option of this name."""


def test_the_lock_names_packages_by_hash_and_no_registry() -> None:
    lock = json.loads((FOLDER / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert "node_modules/onnxruntime-node" in packages
    for name, entry in packages.items():
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, name
