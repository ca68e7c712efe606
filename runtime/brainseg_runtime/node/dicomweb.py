"""How the node asks a DICOMweb service: a session with its token and certificates, and how long is waited for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from brainseg_runtime.errors import UsageError
from brainseg_runtime.node.config import Destination

CONNECT_SECONDS: Final = 10.0
"""Longest wait for a connection, s."""

ANSWER_SECONDS: Final = 60.0
"""Longest silence of a service that was asked, s."""


def session_of(destination: Destination) -> Any:  # noqa: ANN401 - a session of requests, which ships no types
    """An HTTP session with the destination's token, authorities and client certificate.

    Args:
        destination: Of kind "stow".

    Raises:
        UsageError: The token's file cannot be read.
    """
    from dicomweb_client.session_utils import create_session

    session = create_session()
    session.trust_env = False  # neither a proxy nor .netrc of whoever started the node
    if destination.token_file is not None:
        session.headers["Authorization"] = f"Bearer {read_token(destination.token_file)}"
    if destination.tls is not None:
        if destination.tls.authorities is not None:
            session.verify = str(destination.tls.authorities)
        if destination.tls.certificate is not None:
            certificate, key = destination.tls.certificate, destination.tls.key
            session.cert = str(certificate) if key is None else (str(certificate), str(key))
    return session


def read_token(path: Path) -> str:
    """The first line of a file.

    Raises:
        UsageError: It cannot be read, or its first line is empty or no ASCII.
    """
    try:
        with path.open(encoding="ascii") as file:
            token = file.readline(4096).strip()
    except (OSError, ValueError) as error:
        raise UsageError(
            "the file of a destination's token cannot be read",
            expected="a file whose first line is the token",
            got=getattr(error, "strerror", None) or "no ASCII",
        ) from error
    if not token or not token.isprintable() or " " in token:
        raise UsageError("the file of a destination's token holds none", expected="a token on its first line")
    return token
