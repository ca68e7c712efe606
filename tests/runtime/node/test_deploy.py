"""What is shipped for systemd and containers passes the checks of those who made them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from brainseg_runtime.node.node import RECEIVER_SECONDS, SENDER_SECONDS, STOP_SECONDS
from tests.runtime.node.node_process import running_node, settings
from tests.runtime.node.pacs import ROOT, free_port

UNIT = ROOT / "deploy" / "brainseg.service"
EXPOSED = 20
"""Most exposure by systemd's own scale, in tenths of a point; 100 is a service without any limits."""


def checked(program: str, *arguments: str) -> str:
    """What a program says of a file that it finds nothing wrong with."""
    path = shutil.which(program) or pytest.skip(f"{program} is not installed")
    done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name  # the program that it starts is not at its place here
    unit.write_text(UNIT.read_text().replace("/opt/brainseg/venv/bin/brainseg ", f"{sys.executable} "))
    assert checked("systemd-analyze", "verify", str(unit)) == ""
    checked("systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSED}", str(unit))


def test_the_unit_waits_for_a_stop_in_order() -> None:
    found = re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    assert found is not None
    assert int(found[1]) > STOP_SECONDS + RECEIVER_SECONDS + SENDER_SECONDS


def test_the_containers_check_of_health_takes_any_answer_of_the_node_and_nothing_else(tmp_path: Path) -> None:
    found = re.search(r"^HEALTHCHECK .*\n +CMD (\[.*\])$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    assert found is not None
    (_, *arguments) = json.loads(found[1])

    def healthy(port: int) -> bool:
        command = [sys.executable, *(each.replace("8080", str(port)) for each in arguments)]
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0

    token = tmp_path / "token"
    token.write_text("t0ken" * 6)
    token.chmod(0o600)
    with running_node(tmp_path / "node", settings(http={"token_file": str(token)})) as node:
        assert healthy(int(node.where["http_url"].rpartition(":")[2]))
    assert not healthy(free_port())


def test_hadolint_finds_nothing_wrong_with_the_dockerfile() -> None:
    assert checked("hadolint", str(ROOT / "deploy" / "Dockerfile")) == ""
