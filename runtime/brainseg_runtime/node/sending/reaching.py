"""Whether destinations answer: C-ECHO, or a search for nothing, before a node is started."""

from __future__ import annotations

from brainseg_runtime.errors import DestinationError
from brainseg_runtime.node.config import Destination
from brainseg_runtime.node.dicomweb import ANSWER_SECONDS, CONNECT_SECONDS, session_of
from brainseg_runtime.node.sending.dimse import IMPLICIT, VERIFICATION, associate


def reach(destination: Destination, own_aet: str) -> None:
    """Ask a destination whether it is there.

    Args:
        destination: Where results go.
        own_aet: The node's title.

    Raises:
        DestinationError: It is not, or it does not know the node.
        UsageError: The files for TLS or of the token cannot be used.
    """
    if destination.kind == "dimse":
        _echo(destination, own_aet)
    else:
        _search(destination)


def _echo(destination: Destination, own_aet: str) -> None:
    """C-ECHO."""
    association = associate(destination, own_aet, [(VERIFICATION, IMPLICIT)])
    try:
        status = association.send_c_echo().get("Status")
    except (RuntimeError, ValueError):
        status = None
    finally:
        association.release()
    if status != 0x0000:
        got = "no answer" if status is None else f"status 0x{int(status):04X}"
        raise DestinationError("the destination does not answer C-ECHO", expected="status 0x0000", got=got)


def _search(destination: Destination) -> None:
    """QIDO-RS for at most one study; its answer is not read."""
    url = f"{(destination.url or '').rstrip('/')}/studies"
    session = session_of(destination)
    try:
        with session.get(
            url,
            params={"limit": "1"},
            headers={"Accept": "application/dicom+json"},
            timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
            stream=True,
            allow_redirects=False,
        ) as response:
            status = response.status_code
    except (OSError, ValueError) as error:  # ValueError: the URL is none
        raise DestinationError(
            "the destination cannot be reached",
            expected="an answer to QIDO-RS",
            got=type(error).__name__,
            remedy="check its URL, its certificate and the network",
        ) from error
    finally:
        session.close()
    if not 200 <= status < 300:
        raise DestinationError(
            "the destination refused a search",
            expected="HTTP status 200",
            got=status,
            remedy="check its URL, the token and the client certificate",
        )
