"""Orthanc as the PACS, with the rule of `deploy/` that sends studies to the node, and storescu as the modality."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
HOST = "127.0.0.1"
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
PLACES = "/usr/sbin:/usr/local/sbin"


def free_port() -> int:
    """A TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], what: str, *, seconds: float = 60.0) -> Any:  # noqa: ANN401 - what it gives
    """Wait until a condition gives something that counts as true; that thing."""
    end = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        assert time.monotonic() < end, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.05)


def program(name: str, package: str) -> str:
    """A program's path; skips where it is not installed."""
    found = shutil.which(name) or shutil.which(name, path=PLACES)
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install {package}")
    return found


@dataclass(frozen=True, kw_only=True)
class Orthanc:
    """A running Orthanc."""

    url: str
    dicom_port: int

    def get(self, path: str, *, accept: str = "application/json") -> bytes:
        """The body of an answer."""
        request = urllib.request.Request(f"{self.url}{path}", headers={"Accept": accept})  # noqa: S310 - http
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - http
            return bytes(response.read())

    def json(self, path: str) -> Any:  # noqa: ANN401 - as JSON is
        """The JSON of an answer."""
        return json.loads(self.get(path))

    def qido(self, path: str) -> list[dict[str, Any]]:
        """The objects that a search by QIDO-RS finds."""
        body = self.get(f"/dicom-web{path}", accept="application/dicom+json")
        found: list[dict[str, Any]] = json.loads(body) if body else []
        return found

    def files(self, modality: str) -> list[bytes]:
        """Every file of a modality that it holds."""
        series = [each for each in self.json("/series?expand") if each["MainDicomTags"]["Modality"] == modality]
        return [self.get(f"/instances/{number}/file", accept="*/*") for each in series for number in each["Instances"]]


@contextmanager
def orthanc(folder: Path, *, node_port: int, stable_seconds: int = 1) -> Iterator[Orthanc]:
    """Orthanc, until the block ends.

    Args:
        folder: Gets its configuration and its storage; what an earlier one left there is used.
        node_port: Where the node listens.
        stable_seconds: How long a study must be quiet before the rule sends it.
    """
    name = program("Orthanc", "orthanc orthanc-dicomweb")
    if not PLUGIN.exists():
        pytest.skip("Orthanc's DICOMweb is not installed: apt-get install orthanc-dicomweb")
    folder.mkdir(parents=True, exist_ok=True)
    http_port, dicom_port = free_port(), free_port()
    configuration = {
        "StorageDirectory": str(folder / "storage"),
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": "PACS",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [str(PLUGIN)],
        "LuaScripts": [str(ROOT / "deploy" / "orthanc.lua")],
        "LuaHeartBeatPeriod": 1,
        "UserMetadata": {"BrainsegSent": 4200},
        "DicomModalities": {"brainseg": ["BRAINSEG", HOST, node_port]},
        "StableAge": stable_seconds,
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([name, str(folder / "orthanc.json")], stdout=log, stderr=log)
        found = Orthanc(url=f"http://{HOST}:{http_port}", dicom_port=dicom_port)

        def answers() -> bool:
            assert process.poll() is None, (folder / "log").read_text(encoding="utf-8")
            try:
                return bool(found.json("/system"))
            except OSError:
                return False

        try:
            wait_for(answers, "Orthanc's start")
            yield found
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def send_by_storescu(folder: Path, port: int, *, called: str = "PACS", calling: str = "MR1") -> None:
    """Send every file of a folder, as a modality does, in one association."""
    command = [program("storescu", "dcmtk"), "-aet", calling, "-aec", called, "+sd", "+r", HOST, str(port), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
