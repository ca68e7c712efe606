"""Sending by STOW-RS: one request for each object, whose body is the file byte for byte.

Source: DICOM PS3.18 section 10.5 (store transaction), 10.6 (search transaction).
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from brainseg_runtime.errors import DestinationError
from brainseg_runtime.node.config import Destination
from brainseg_runtime.node.dicomweb import ANSWER_SECONDS, CONNECT_SECONDS, session_of
from brainseg_runtime.node.records import Delivery
from brainseg_runtime.node.sending.channel import Attempt, of_status

if TYPE_CHECKING:
    from pathlib import Path

MAX_ANSWER: Final = 4 << 20
"""Most bytes of an answer that are read."""

_CHUNK: Final = 1 << 20
_FAILED: Final = "00081198"
"""FailedSOPSequence."""
_FAILURE_REASON: Final = "00081197"
_SOP_INSTANCE: Final = "00081155"
_REFUSED_FOR_GOOD: Final = frozenset({400, 406, 411, 413, 415, 422})


class StowChannel:
    """A DICOMweb service.

    Args:
        destination: Of kind "stow".

    Raises:
        UsageError: The files for TLS or of the token cannot be used.
    """

    def __init__(self, destination: Destination) -> None:
        self._url = (destination.url or "").rstrip("/")
        self._session = session_of(destination)

    def holds(self, delivery: Delivery) -> bool | None:
        """Whether QIDO-RS finds the object by its UID; None if it cannot be asked."""
        import pydicom
        from dicomweb_client.api import DICOMwebClient

        header = pydicom.dcmread(
            delivery.path, stop_before_pixels=True, specific_tags=["StudyInstanceUID", "SeriesInstanceUID"]
        )
        client = DICOMwebClient(self._url, session=self._session, timeout=(CONNECT_SECONDS, ANSWER_SECONDS))
        client.set_http_retry_params(retry=False)  # the sender's own pauses are enough
        try:
            found = client.search_for_instances(
                study_instance_uid=str(header.StudyInstanceUID),
                series_instance_uid=str(header.SeriesInstanceUID),
                search_filters={"SOPInstanceUID": delivery.object.sop_uid},
            )
        except (ValueError, RecursionError):  # the answer is no JSON
            return None
        except OSError as error:  # the library's faults of HTTP and of connections are all of this class
            if getattr(error, "response", None) is None:
                raise _broken() from error
            return None
        return any(_text(each, "00080018") == delivery.object.sop_uid for each in found)

    def send(self, delivery: Delivery) -> Attempt:
        """Send an object; the service's status and its word on the object decide."""
        boundary = f"brainseg-{secrets.token_hex(16)}"
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": "application/dicom+json",
        }
        try:
            with self._session.post(
                f"{self._url}/studies",
                data=_Body(delivery.path, boundary),
                headers=headers,
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                stream=True,
                allow_redirects=False,
            ) as response:
                return _judged(response.status_code, _capped(response), delivery)
        except OSError as error:
            raise _broken() from error

    @property
    def offers_commitment(self) -> bool:
        """No: storage commitment is asked for by DIMSE alone."""
        return False

    def ask_commitment(self, transaction_uid: str, deliveries: Sequence[Delivery]) -> Attempt:  # noqa: ARG002 - the protocol's
        """Not offered."""
        return Attempt(verdict="final", reason="storage commitment is asked for by DIMSE alone")

    def close(self) -> None:
        """Close the connections."""
        with contextlib.suppress(OSError):
            self._session.close()

    def abort(self) -> None:
        """Close the connections; a request that runs ends within its own time."""
        self.close()


def _head(boundary: str) -> bytes:
    """What stands before the object in a body."""
    return f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")


def _tail(boundary: str) -> bytes:
    """What stands behind it."""
    return f"\r\n--{boundary}--\r\n".encode("ascii")


class _Body:
    """A body of one part, read from the file piece by piece; its length is known beforehand."""

    def __init__(self, path: Path, boundary: str) -> None:
        self._path = path
        self._head = _head(boundary)
        self._tail = _tail(boundary)
        self._length = len(self._head) + path.stat().st_size + len(self._tail)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        with self._path.open("rb") as file:
            while piece := file.read(_CHUNK):
                yield piece
        yield self._tail


def _capped(response: Any) -> bytes:  # noqa: ANN401 - as above
    """The answer's body, cut to `MAX_ANSWER`."""
    data = bytearray()
    for piece in response.iter_content(_CHUNK):
        data += piece
        if len(data) > MAX_ANSWER:
            break
    return bytes(data[:MAX_ANSWER])


def _judged(status: int, body: bytes, delivery: Delivery) -> Attempt:
    """What a status and the answer's own word on the object say."""
    reason = _failure_reason(body, delivery.object.sop_uid)
    if reason is not None:
        return of_status(reason, delivery.attempts)
    if status in {200, 202}:
        return Attempt(verdict="accepted", status=status)
    said = f"refused with HTTP status {status}"
    if status in _REFUSED_FOR_GOOD:
        return Attempt(verdict="final", status=status, reason=f"{said}: the destination does not take such an object")
    return Attempt(verdict="again", status=status, reason=said)


def _failure_reason(body: bytes, sop_uid: str) -> int | None:
    """Why the object was not stored, if the answer says so: a status as of C-STORE."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for each in _items(answer, _FAILED):
        if _text(each, _SOP_INSTANCE) in {sop_uid, ""}:
            code = _value(each, _FAILURE_REASON)
            return code if isinstance(code, int) else 0x0110
    return None


def _items(dataset: object, tag: str) -> list[object]:
    """The items of a sequence in DICOM JSON."""
    element = dataset.get(tag) if isinstance(dataset, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _value(dataset: object, tag: str) -> object:
    """The first value of an attribute in DICOM JSON."""
    values = _items(dataset, tag)
    return values[0] if values else None


def _text(dataset: object, tag: str) -> str:
    """The first value of an attribute in DICOM JSON, as text; "" if there is none."""
    value = _value(dataset, tag)
    return value if isinstance(value, str) else ""


def _broken() -> DestinationError:
    """The error for a service that does not answer."""
    return DestinationError(
        "the destination cannot be reached or broke off",
        expected="an answer",
        got="none",
        remedy="check its URL, its certificate and the network",
    )
