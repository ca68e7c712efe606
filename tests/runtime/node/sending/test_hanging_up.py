"""Tests of sockets whose peer hung up first."""

from __future__ import annotations

import gc
import socket
import struct
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from brainseg_runtime.errors import DestinationError
from brainseg_runtime.node.config import Destination, TlsSettings
from brainseg_runtime.node.sending.dimse import IMPLICIT, VERIFICATION, associate
from tests.runtime.node.certificates import certificates

DESCRIPTORS = Path("/proc/self/fd")
ATTEMPTS = 5


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:  # that of the listing itself
        return ""


def _open_sockets() -> int:
    return sum(target.startswith("socket:") for target in map(_target, DESCRIPTORS.iterdir()))


@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="open descriptors are listed on Linux alone")
@pytest.mark.parametrize("secured", [False, True])
def test_a_connection_that_the_peer_resets_leaves_no_descriptor(secured: bool, tmp_path: Path) -> None:
    def reset(listener: socket.socket) -> None:
        for _ in range(ATTEMPTS):
            connection, _address = listener.accept()
            connection.recv(6)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close resets
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = threading.Thread(target=reset, args=(listener,), daemon=True)
        peer.start()
        destination = Destination(name="reset", aet="RESET", host="127.0.0.1", port=listener.getsockname()[1])
        if secured:
            made = certificates(tmp_path / "certificates")
            tls = TlsSettings(certificate=made.client, key=made.client_key, authorities=made.authority)
            destination = replace(destination, tls=tls)
        gc.collect()
        gc.disable()
        try:
            before = _open_sockets()
            for _ in range(ATTEMPTS):
                with pytest.raises(DestinationError, match="reached"):
                    associate(destination, "BRAINSEG", [(VERIFICATION, IMPLICIT)])
            assert _open_sockets() == before
        finally:
            gc.enable()
            peer.join(10)
