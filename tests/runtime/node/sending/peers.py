"""Archives that results are sent to: dcmtk's storescp, Orthanc, and pynetdicom's, which a test tells what to answer."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, build_context, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made when it is imported
    EnhancedSRStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from brainseg_runtime.node.config import Destination

HOST = "127.0.0.1"
STORED = (SegmentationStorage, EnhancedSRStorage, SecondaryCaptureImageStorage, RTStructureSetStorage)


def free_port() -> int:
    """A TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether something listens on a port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


@contextmanager
def running(command: Sequence[str], *ports: int) -> Iterator[None]:
    """A program, until it listens on its ports and then until the block ends."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 30
        while not all(map(listens, ports)):
            assert process.poll() is None, f"{command[0]} ended"
            assert time.monotonic() < end, f"{command[0]} does not listen"
            time.sleep(0.05)
        yield
    finally:
        process.kill()  # storescp waits long for an end in order, and nothing of it is looked at afterwards
        process.wait()


def program(name: str) -> str:
    """A program's path; skips where it is not installed."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[Destination]:
    """Dcmtk's storescp, which writes what arrives into a folder."""
    folder.mkdir()
    port = free_port()
    command = [program("storescp"), *options, "--bit-preserving", "-od", str(folder), "-aet", "STORESCP", str(port)]
    with running(command, port):
        yield Destination(name="storescp", aet="STORESCP", host=HOST, port=port)


@dataclass(frozen=True, kw_only=True)
class Orthanc:
    """A running Orthanc."""

    dimse: Destination
    web: Destination
    url: str

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """An answer of its REST interface."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=20) as answer:  # noqa: S310 - the test's own server
            return json.load(answer)

    def file(self, sop_uid: str) -> bytes:
        """The file of an instance, found by its UID."""
        (found,) = self.find(sop_uid)
        with urllib.request.urlopen(f"{self.url}/instances/{found}/file", timeout=20) as answer:  # noqa: S310
            return bytes(answer.read())

    def find(self, sop_uid: str) -> list[str]:
        """Orthanc's own names of an instance."""
        body = json.dumps({"Level": "Instance", "Query": {"SOPInstanceUID": sop_uid}}).encode()
        request = urllib.request.Request(f"{self.url}/tools/find", data=body)  # noqa: S310
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return list(json.load(answer))


@contextmanager
def orthanc(folder: Path, *, scripts: Sequence[Path] = ()) -> Iterator[Orthanc]:
    """Orthanc with DICOMweb, with its own configuration and storage in a folder, and Lua scripts."""
    command = program("Orthanc")
    plugins = [path for path in map(Path, ("/usr/share/orthanc/plugins", "/usr/lib/orthanc")) if path.is_dir()]
    plugin = next((path for each in plugins for path in sorted(each.glob("libOrthancDicomWeb.so*"))), None)
    if plugin is None:
        pytest.skip("Orthanc's DICOMweb plug-in is not installed")
    folder.mkdir()
    dimse, http = free_port(), free_port()
    config = {
        "Name": "MADE",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "Plugins": [str(plugin)],
        "LuaScripts": [str(each) for each in scripts],
        "DicomAet": "ORTHANC",
        "DicomPort": dimse,
        "HttpPort": http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowStore": True,
        "DicomCheckCalledAet": True,
        "OverwriteInstances": False,
        "StorageCommitmentReportsSize": 100,
        "DicomModalities": {},
        "DicomModalitiesInDatabase": True,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(config))
    with running([command, str(path)], dimse, http):
        url = f"http://{HOST}:{http}"
        yield Orthanc(
            dimse=Destination(name="orthanc", aet="ORTHANC", host=HOST, port=dimse),
            web=Destination(name="orthanc-web", kind="stow", url=f"{url}/dicom-web"),
            url=url,
        )


@contextmanager
def breaking_line(port: int, *, after: int, stall: bool) -> Iterator[int]:
    """A line to a port, whose first connection breaks within what is sent; the later ones hold.

    Args:
        port: Where it leads.
        after: Bytes that come through before it breaks.
        stall: Whether nothing is read any more, rather than the connection closed.

    Yields:
        The port at this end.
    """
    ended = threading.Event()
    first = threading.Event()

    def carry(near: socket.socket, far: socket.socket, most: int | None) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while data := near.recv(4096):
                carried += len(data)
                if most is not None and carried > most:
                    if stall:
                        ended.wait(60)
                    break
                far.sendall(data)
        for each in (near, far):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection((HOST, port))
                most = None if first.is_set() else after
                first.set()
                for ends in ((near, far, most), (far, near, None)):
                    threading.Thread(target=carry, args=ends, daemon=True).start()

    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield int(listener.getsockname()[1])
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)


@dataclass(kw_only=True)
class Archive:
    """An archive whose answers a test decides.

    Attributes:
        statuses: Answers to the next C-STOREs, in order; then success.
        breaks: C-STOREs, counted from 0, on whose arrival the association is aborted after the object was kept.
        stored: What arrived, by SOPInstanceUID: each data set's bytes.
        asked: UIDs that a C-FIND asked for.
        requests: Storage commitment requests.
    """

    destination: Destination
    statuses: list[int] = field(default_factory=list)
    breaks: set[int] = field(default_factory=set)
    stored: dict[str, list[bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    requests: list[Any] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    count: int = 0


@contextmanager
def archive(
    *,
    finds: bool = True,
    commits: bool = False,
    classes: Sequence[Any] = STORED,
    syntaxes: Sequence[str] = ALL_TRANSFER_SYNTAXES,
    on_commit: Callable[[Any], None] | None = None,
    hold: float = 0.0,
    secured: ssl.SSLContext | None = None,
    port: int | None = None,
    **settings: Any,  # noqa: ANN401 - of the destination
) -> Iterator[Archive]:
    """An archive of pynetdicom's."""
    port = port or free_port()
    given = {"name": "archive", "aet": "ARCHIVE", "host": HOST, "port": port, **settings}
    made = Archive(destination=Destination(**given))
    offered = [*([StudyRootQueryRetrieveInformationModelFind] * finds), *([StorageCommitmentPushModel] * commits)]
    ae = AE(ae_title="ARCHIVE")
    ae.supported_contexts = [
        *(build_context(each) for each in (Verification, *offered)),
        *(build_context(each, list(syntaxes)) for each in classes),
    ]

    def store(event: Any) -> int:  # noqa: ANN401
        number, made.count = made.count, made.count + 1
        time.sleep(hold)
        status = made.statuses.pop(0) if made.statuses else 0x0000
        if status < 0xA000:
            uid = str(event.request.AffectedSOPInstanceUID)
            made.stored.setdefault(uid, []).append(event.request.DataSet.getvalue())
        if number in made.breaks:
            event.assoc.abort()
        return status

    def find(event: Any) -> Iterator[tuple[int, Any]]:  # noqa: ANN401
        uid = str(event.identifier.SOPInstanceUID)
        made.asked.append(uid)
        if uid in made.stored:
            yield 0xFF00, event.identifier
        yield 0x0000, None

    def action(event: Any) -> tuple[int, None]:  # noqa: ANN401
        made.requests.append(event.action_information)
        if on_commit is not None:
            on_commit(event)
        return 0x0000, None

    handlers: list[Any] = [
        (evt.EVT_C_STORE, store),
        (evt.EVT_C_FIND, find),
        (evt.EVT_N_ACTION, action),
        (evt.EVT_ACCEPTED, lambda event: made.calls.append(str(event.assoc.requestor.ae_title))),
    ]
    server = ae.start_server((HOST, port), block=False, evt_handlers=handlers, ssl_context=secured)
    assert server is not None
    try:
        yield made
    finally:
        server.shutdown()
