"""What systemd hears is sd_notify's protocol."""

from __future__ import annotations

import configparser
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from brainseg_runtime.node.service_manager import ServiceManager

UNIT = Path(__file__).resolve().parents[3] / "deploy" / "brainseg.service"
START_SECONDS = 60
"""A slow start on a busy machine."""


def test_ready_alive_and_stopping_are_datagrams_to_its_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(5)
        manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        manager.ready("listens")
        manager.alive()
        manager.stopping(2)
        said = [heard.recv(4096).decode() for _ in range(3)]
    assert said == ["READY=1\nSTATUS=listens", "WATCHDOG=1", "STOPPING=1\nEXTEND_TIMEOUT_USEC=2000000\nSTATUS=stopping"]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/no/such/socket"}])
def test_where_nobody_listens_nothing_happens(environment: dict[str, str]) -> None:
    ServiceManager(environment).ready("listens")


def test_an_abstract_socket_is_found() -> None:
    name = f"brainseg-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0{name}")
        heard.settimeout(5)
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).alive()
        assert heard.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_that_of_this_process(environment: dict[str, str], seconds: float | None) -> None:
    assert ServiceManager(environment).watchdog_seconds == seconds


def test_the_unit_gives_up_a_node_that_cannot_start_and_starts_one_again_that_was_killed() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # keys as they are
    unit.read_string(UNIT.read_text(encoding="utf-8"))
    limits, service = unit["Unit"], unit["Service"]
    assert service["Restart"] == "always"
    assert service["RestartPreventExitStatus"] == "2"  # wrong usage
    each = START_SECONDS + float(service["RestartSec"])
    assert int(limits["StartLimitBurst"]) * each < float(limits["StartLimitIntervalSec"])
    assert int(limits["StartLimitBurst"]) >= 5


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd is not installed")
    program = tmp_path / "brainseg"
    program.write_text("#!/bin/sh\n", encoding="ascii")
    program.chmod(0o755)
    text = UNIT.read_text(encoding="utf-8").replace("/opt/brainseg/venv/bin/brainseg", str(program))
    copy = tmp_path / "brainseg.service"
    copy.write_text(text, encoding="utf-8")
    done = subprocess.run([verify, "verify", str(copy)], capture_output=True, text=True, timeout=60, check=False)
    assert "brainseg.service" not in done.stdout + done.stderr
    assert done.returncode == 0
