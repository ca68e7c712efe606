"""A node's listener over a real store, as a test's other side; and images to send to it."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from brainseg_runtime.node.config import DicomSettings, IntakeSettings, NodeConfig
from brainseg_runtime.node.receiving.scp import Receiver
from brainseg_runtime.node.store.store import Store
from brainseg_runtime.node.watching.log import Log

MR = "1.2.840.10008.5.1.4.1.1.4"
CT = "1.2.840.10008.5.1.4.1.1.2"

SETTINGS = NodeConfig(
    dicom=DicomSettings(port=0, allow=("STORESCU@127.0.0.1", "ECHOSCU@localhost"), association_seconds=20.0),
    intake=IntakeSettings(max_instance_mib=2, min_free_mib=0),
)


@dataclass(frozen=True)
class Listening:
    """A listener, its store and its log."""

    receiver: Receiver
    store: Store
    stream: io.StringIO
    config: NodeConfig
    errors: list[threading.ExceptHookArgs] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.receiver.port

    @property
    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def named(self, name: str) -> list[dict[str, object]]:
        return [each for each in self.events if each["event"] == name]

    def images(self) -> dict[str, bytes]:
        """Files of all images, by their SOPInstanceUIDs."""
        import pydicom

        found = {}
        for path in self.store.folder.studies.rglob("*.dcm"):
            found[str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)] = path.read_bytes()
        return found

    def incoming(self) -> list[Path]:
        return list(self.store.folder.incoming.iterdir())


@contextlib.contextmanager
def listening(folder: Path, config: NodeConfig = SETTINGS) -> Iterator[Listening]:
    """A listener on a free port."""
    store = Store.open(folder / "state")
    stream = io.StringIO()
    receiver = Receiver(config, store, Log(stream))
    receiver.start()
    try:
        yield Listening(receiver, store, stream, config)
    finally:
        receiver.stop(seconds=0.5)
        store.close()


def with_dicom(config: NodeConfig = SETTINGS, **changes: object) -> NodeConfig:
    return replace(config, dicom=replace(config.dicom, **changes))  # type: ignore[arg-type]


def with_intake(config: NodeConfig = SETTINGS, **changes: object) -> NodeConfig:
    return replace(config, intake=replace(config.intake, **changes))  # type: ignore[arg-type]


def made_image(*, study: str = "1.2.3.4", sop: str | None = None, rows: int = 16, sop_class: str = MR) -> Dataset:
    """A small MR image with a file head."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = UID(sop_class)
    image.SOPInstanceUID = UID(sop or generate_uid())
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.PatientName = "Doe^Jane"
    image.PatientID = "4711"
    image.StudyInstanceUID = study
    image.SeriesInstanceUID = study + ".1"
    image.Modality = "MR"
    image.Rows = image.Columns = rows
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 0
    image.PixelData = np.random.default_rng(rows).integers(0, 4096, (rows, rows), np.uint16).tobytes()
    return image


def file_of(image: Dataset) -> bytes:
    """An image as a file."""
    stream = io.BytesIO()
    image.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def content_of(file: bytes) -> bytes:
    """A file's data set, without its head."""
    length = int.from_bytes(file[140:144], "little")  # of FileMetaInformationGroupLength, the first element
    return file[144 + length :]


def until(happened: Callable[[], object], seconds: float = 5.0) -> bool:
    """Wait until something has happened; whether it has."""
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def program(name: str) -> str:
    """One of dcmtk's programs; skips the test without it."""
    return shutil.which(name) or pytest.skip(f"needs {name}: apt-get install dcmtk")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
