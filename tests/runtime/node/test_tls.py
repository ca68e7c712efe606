"""DIMSE over TLS, with dcmtk's programs as callers; and what is no certificate is said before anything listens."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest

from brainseg_runtime.errors import UsageError
from brainseg_runtime.node.config import TlsSettings
from brainseg_runtime.node.sending.hanging_up import ClosingEntity
from brainseg_runtime.node.tls import client_context, server_context
from tests.runtime.node.certificates import Authority
from tests.runtime.node.receiving.hostile import VERIFICATION
from tests.runtime.node.receiving.listening import file_of, listening, made_image, program, run, with_dicom


def settings(folder: Path, *, clients: bool = False) -> tuple[TlsSettings, TlsSettings]:
    """For a listener, and for who calls it."""
    authority = Authority(folder)
    own, other = authority.issue("node"), authority.issue("modality")
    listener = TlsSettings(certificate=own.certificate, key=own.key, authorities=authority.path if clients else None)
    return listener, TlsSettings(certificate=other.certificate, key=other.key, authorities=authority.path)


def test_storescu_sends_over_tls_with_its_certificate(tmp_path: Path) -> None:
    own, other = settings(tmp_path, clients=True)
    image = tmp_path / "image.dcm"
    image.write_bytes(file_of(made_image()))
    options = ["+tls", str(other.key), str(other.certificate), "+cf", str(other.authorities)]

    with listening(tmp_path, with_dicom(tls=own)) as node:
        answer = run(program("storescu"), *options, "-aec", "BRAINSEG", "localhost", str(node.port), str(image))

        assert answer.returncode == 0, answer.stderr
        assert len(node.images()) == 1
        assert [each["tls"] for each in node.named("association_accepted")] == [True]


def test_who_has_no_certificate_is_turned_away_where_one_is_asked_for(tmp_path: Path) -> None:
    own, _ = settings(tmp_path, clients=True)
    with listening(tmp_path, with_dicom(tls=own)) as node:
        answer = run(program("echoscu"), "+tla", "-ic", "-aec", "BRAINSEG", "localhost", str(node.port))

        assert answer.returncode != 0
        assert not node.named("association_accepted")


def test_who_speaks_no_tls_is_turned_away(tmp_path: Path) -> None:
    own, _ = settings(tmp_path)
    with listening(tmp_path, with_dicom(tls=own)) as node:
        answer = run(program("echoscu"), "-to", "2", "-aec", "BRAINSEG", "localhost", str(node.port))

        assert answer.returncode != 0
        assert not node.named("association_accepted")
        assert [each["reason"] for each in node.named("association_rejected")] == ["tls"]


def test_who_calls_from_elsewhere_is_told_of_in_the_log_once_a_minute(tmp_path: Path) -> None:
    with listening(tmp_path, with_dicom(allow=("MR1@192.0.2.7",))) as node:
        for _ in range(2):
            answer = run(program("echoscu"), "-to", "2", "-aec", "BRAINSEG", "localhost", str(node.port))
            assert answer.returncode != 0
        assert [each["reason"] for each in node.named("association_rejected")] == ["address"]


def test_pynetdicom_calls_with_the_client_context(tmp_path: Path) -> None:
    own, other = settings(tmp_path, clients=True)
    entity = ClosingEntity("ECHOSCU")
    entity.add_requested_context(VERIFICATION)
    with listening(tmp_path, with_dicom(tls=own)) as node:
        association = entity.associate(
            "127.0.0.1", node.port, ae_title="BRAINSEG", tls_args=(client_context(other), "localhost")
        )

        assert association.send_c_echo().Status == 0
        association.release()


def test_callers_that_stall_in_the_handshake_keep_nobody_waiting(tmp_path: Path) -> None:
    own, other = settings(tmp_path)
    with listening(tmp_path, with_dicom(tls=own, association_seconds=6.0)) as node:
        stalled = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(5)]

        with socket.create_connection(("127.0.0.1", node.port), timeout=5) as plain:
            client_context(other).wrap_socket(plain, server_hostname="localhost").close()

        for each in stalled:
            each.setblocking(False)
            with pytest.raises(BlockingIOError):  # the other was not kept waiting until these are given up
                each.recv(1)
        for each in stalled:
            each.settimeout(60)
            assert each.recv(1) == b""  # given up after the time limit
            each.close()
    assert not [each for each in threading.enumerate() if "process_request" in each.name]


def test_versions_before_1_2_are_not_spoken(tmp_path: Path) -> None:
    own, other = settings(tmp_path)

    assert server_context(own).minimum_version >= ssl.TLSVersion.TLSv1_2
    assert client_context(other).minimum_version >= ssl.TLSVersion.TLSv1_2
    assert client_context(TlsSettings()).verify_mode == ssl.CERT_REQUIRED
    assert client_context(TlsSettings()).check_hostname


def test_files_that_cannot_be_used_are_said(tmp_path: Path) -> None:
    own, other = settings(tmp_path)
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")

    for wrong in (
        TlsSettings(),
        TlsSettings(certificate=own.certificate),
        TlsSettings(certificate=own.certificate, key=other.key),
        TlsSettings(certificate=junk, key=own.key),
        TlsSettings(certificate=tmp_path / "missing", key=own.key),
        TlsSettings(certificate=own.certificate, key=own.key, authorities=junk),
    ):
        with pytest.raises(UsageError, match="cannot be"):
            server_context(wrong)
    with pytest.raises(UsageError, match="cannot be used"):
        client_context(TlsSettings(authorities=junk))


def test_a_key_with_a_passphrase_is_said_and_not_asked_for(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    own, _ = settings(tmp_path)
    assert own.key is not None
    key = serialization.load_pem_private_key(own.key.read_bytes(), None)
    own.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )

    with pytest.raises(UsageError, match="passphrase"):
        server_context(own)
