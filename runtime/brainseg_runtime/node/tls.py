"""TLS contexts for both sides of a connection: version 1.2 or later, certificates always checked.

Source: DICOM PS3.15, B.12 (BCP 195); RFC 9325.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NoReturn

from brainseg_runtime.errors import UsageError
from brainseg_runtime.node.config import TlsSettings


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """The context of a listener. With `authorities`, who calls must show a certificate that they vouch for.

    Raises:
        UsageError: A file is missing, or is not what it should be.
    """
    if settings.certificate is None or settings.key is None:
        raise UsageError("TLS cannot be spoken", expected="tls.certificate and tls.key", got="one of them or none")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_certificate(context, settings.certificate, settings.key)
    if settings.authorities is not None:
        _load_authorities(context, settings.authorities)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(settings: TlsSettings) -> ssl.SSLContext:
    """The context of a caller. The other side's certificate and name are checked.

    Raises:
        UsageError: A file is missing, or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.authorities is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _load_authorities(context, settings.authorities)
    if settings.certificate is not None:
        _load_certificate(context, settings.certificate, settings.key)
    return context


def _load_certificate(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    """Load a certificate and its key."""

    def no_passphrase() -> NoReturn:
        raise UsageError(f"the key {key} cannot be used", expected="a key without a passphrase", got="one with")

    try:
        context.load_cert_chain(certificate, key, password=no_passphrase)
    except OSError as error:  # holds ssl.SSLError
        raise UsageError(
            f"the certificate {certificate} and its key cannot be used",
            expected="two PEM files that belong together",
            got=_said(error),
        ) from error


def _load_authorities(context: ssl.SSLContext, authorities: Path) -> None:
    """Load certificates that others are checked against."""
    try:
        context.load_verify_locations(authorities)
    except OSError as error:
        raise UsageError(
            f"the certificates {authorities} cannot be used", expected="a PEM file", got=_said(error)
        ) from error


def _said(error: OSError) -> str:
    """What the system or the TLS library says."""
    return getattr(error, "reason", None) or error.strerror or type(error).__name__
