"""Sending by DIMSE: one association for what is due; C-STORE, C-FIND and N-ACTION within it.

An object goes out byte for byte as its file holds it, in the file's transfer syntax. Only for a destination that takes
nothing but Implicit VR Little Endian, which every one must take, the same data set is encoded so.

Source: DICOM PS3.4 annex B (storage), C (query), J (storage commitment); PS3.7 annexes C and D.
"""

from __future__ import annotations

import contextlib
import io
import socket
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from brainseg_runtime.errors import DestinationError
from brainseg_runtime.node.commitment_answer import CommitmentAnswer, read_answer
from brainseg_runtime.node.config import Destination
from brainseg_runtime.node.records import Delivery
from brainseg_runtime.node.sending.channel import Attempt, of_status
from brainseg_runtime.node.sending.commitment import ACTION, PUSH_INSTANCE, PUSH_MODEL, request_of
from brainseg_runtime.node.tls import client_context

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom.association import Association

STORED: Final = (
    ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.1.2.1"),  # segmentation, explicit VR
    ("1.2.840.10008.5.1.4.1.1.88.22", "1.2.840.10008.1.2.1"),  # enhanced SR
    ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.1.2.1"),  # secondary capture
    ("1.2.840.10008.5.1.4.1.1.481.3", "1.2.840.10008.1.2"),  # RT structure set, implicit VR
)
"""Classes of what is made, each with its files' transfer syntax."""

IMPLICIT: Final = "1.2.840.10008.1.2"
FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
"""Study Root Query/Retrieve, FIND."""

VERIFICATION: Final = "1.2.840.10008.1.1"
CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 60.0
"""Longest wait for an answer within an association, s: an archive may take long to write a large object."""

LEAST_RATE: Final = 64 << 10
"""Bytes a second that a line carries at least: so much longer is waited for the answer to a large object."""

OnOutcome = Callable[[CommitmentAnswer], None]
"""Takes the information of a storage commitment's answer."""


def associate(
    destination: Destination, own_aet: str, contexts: Sequence[tuple[str, str]], *, on_outcome: OnOutcome | None = None
) -> Association:
    """Open an association.

    Args:
        destination: Of kind "dimse".
        own_aet: The node's title.
        contexts: SOP classes with a transfer syntax each.
        on_outcome: Called with the answer to a storage commitment if it comes within this association.

    Raises:
        DestinationError: There is nobody, or the association was rejected.
        UsageError: The files for TLS cannot be used.
    """
    from pynetdicom import build_context, evt

    from brainseg_runtime.node.sending.hanging_up import ClosingEntity

    ae = ClosingEntity(ae_title=destination.calling_aet or own_aet)
    ae.connection_timeout = ae.acse_timeout = CONNECT_SECONDS
    ae.dimse_timeout = ae.network_timeout = ANSWER_SECONDS
    host = (destination.host or "").strip("[]")
    handlers: list[Any] = [] if on_outcome is None else [(evt.EVT_N_EVENT_REPORT, _event_handler(on_outcome))]
    tls = None if destination.tls is None else (client_context(destination.tls), host)
    try:
        association = ae.associate(
            host,
            destination.port,
            contexts=[build_context(sop_class, syntax) for sop_class, syntax in contexts],
            ae_title=destination.aet or "ANY-SCP",
            tls_args=tls,
            evt_handlers=handlers,
        )
    except (OSError, RuntimeError, UnicodeError) as error:  # no address, no descriptor, no thread; a name that none has
        raise DestinationError(
            "the destination cannot be reached",
            expected="a host with an address",
            got=getattr(error, "strerror", None) or type(error).__name__,
            remedy="check the host's name and the name server",
        ) from error
    if association.is_established:
        _limit_silence(association)
        return association
    rejected = association.is_rejected
    raise DestinationError(
        "the destination rejected the association" if rejected else "the destination cannot be reached",
        expected="an association",
        got="a rejection" if rejected else "no connection, or no answer",
        remedy="check the titles that the destination knows" if rejected else "check host, port and network",
    )


class DimseChannel:
    """An association with a destination.

    Args:
        destination: Of kind "dimse".
        own_aet: The node's title.
        on_outcome: Takes answers to storage commitment that come within the association.

    Raises:
        DestinationError: The association could not be opened.
    """

    def __init__(self, destination: Destination, own_aet: str, *, on_outcome: OnOutcome) -> None:
        from pynetdicom import _config

        _config.STORE_SEND_CHUNKED_DATASET = True  # a file goes out as it is, without being decoded
        contexts = [*STORED, *((each, IMPLICIT) for each, syntax in STORED if syntax != IMPLICIT), (FIND, IMPLICIT)]
        if destination.commitment:
            contexts.append((PUSH_MODEL, IMPLICIT))
        self._association = associate(destination, own_aet, contexts, on_outcome=on_outcome)
        self._accepted = {
            (str(each.abstract_syntax), str(each.transfer_syntax[0])) for each in self._association.accepted_contexts
        }
        self._message = 0

    def holds(self, delivery: Delivery) -> bool | None:
        """Whether the archive finds the object by its UID; None if it offers no query."""
        if (FIND, IMPLICIT) not in self._accepted:
            return None
        wanted = _identifier(delivery)
        found = False
        try:
            for status, identifier in self._association.send_c_find(wanted, FIND, msg_id=self._next_id()):
                code = status.get("Status")
                if code in {0xFF00, 0xFF01}:
                    found |= identifier is not None and identifier.get("SOPInstanceUID") == delivery.object.sop_uid
                elif code != 0x0000:
                    if code is None:
                        raise _broken()
                    return None
        except (RuntimeError, OSError) as error:  # the association has ended meanwhile
            raise _broken() from error
        return found

    def send(self, delivery: Delivery) -> Attempt:
        """Send an object; the destination's status decides."""
        sop_class = delivery.object.sop_class
        offered = [syntax for each, syntax in self._accepted if each == sop_class]
        if not offered:
            return Attempt(verdict="final", reason=f"the destination takes no {delivery.object.kind} objects")
        own = _transfer_syntax(delivery)
        data = delivery.path if own in offered else _implicit(delivery)
        try:
            self._association.dimse_timeout = ANSWER_SECONDS + delivery.path.stat().st_size / LEAST_RATE
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                status = self._association.send_c_store(data, msg_id=self._next_id())
        except (RuntimeError, OSError) as error:
            raise _broken() from error
        finally:
            self._association.dimse_timeout = ANSWER_SECONDS
        code = status.get("Status")
        if code is None:
            raise _broken()
        return of_status(int(code), delivery.attempts)

    @property
    def offers_commitment(self) -> bool:
        """Whether storage commitment was asked for, and the destination speaks it."""
        return (PUSH_MODEL, IMPLICIT) in self._accepted

    def ask_commitment(self, transaction_uid: str, deliveries: Sequence[Delivery]) -> Attempt:
        """Ask for storage commitment; its answer comes later, here or at the node's receiver."""
        if not self.offers_commitment:
            return Attempt(verdict="final", reason="the destination offers no storage commitment")
        request = request_of(transaction_uid, [each.object for each in deliveries])
        try:
            status, _ = self._association.send_n_action(
                request, ACTION, PUSH_MODEL, PUSH_INSTANCE, msg_id=self._next_id()
            )
        except (RuntimeError, ValueError) as error:
            raise _broken() from error
        code = status.get("Status")
        if code is None:
            raise _broken()
        return Attempt(verdict="accepted" if code == 0 else "again", status=int(code))

    def close(self) -> None:
        """Release the association."""
        with contextlib.suppress(RuntimeError, OSError):
            if self._association.is_established:
                self._association.release()

    def abort(self) -> None:
        """Cut the connection: pynetdicom's own abort would not wake a thread that waits for an answer."""
        transport = self._association.dul.socket
        raw = None if transport is None else transport.socket
        if raw is not None:
            with contextlib.suppress(OSError):  # it is closed already
                raw.shutdown(socket.SHUT_RDWR)

    def _next_id(self) -> int:
        """A message's number within the association."""
        self._message = self._message % 0xFFFF + 1
        return self._message


def _limit_silence(association: Association) -> None:
    """Wait for a peer that reads nothing no longer than for one that says nothing; the library would for ever."""
    transport = association.dul.socket
    raw = None if transport is None else transport.socket
    if raw is not None:
        with contextlib.suppress(OSError):  # it is closed already
            raw.settimeout(ANSWER_SECONDS)


def _event_handler(on_outcome: OnOutcome) -> Callable[[Any], tuple[int, None]]:
    """The library's handler of an answer to a storage commitment."""

    def handle(event: Any) -> tuple[int, None]:  # noqa: ANN401 - the library's event
        answer = read_answer(event)
        if answer is None:
            return 0x0110, None  # processing failure
        on_outcome(answer)
        return 0x0000, None

    return handle


def _identifier(delivery: Delivery) -> Dataset:
    """A query for one object, by all three UIDs, which the IMAGE level asks for."""
    import pydicom

    header = pydicom.dcmread(
        delivery.path, stop_before_pixels=True, specific_tags=["StudyInstanceUID", "SeriesInstanceUID"]
    )
    wanted = pydicom.Dataset()
    wanted.QueryRetrieveLevel = "IMAGE"
    wanted.StudyInstanceUID = header.StudyInstanceUID
    wanted.SeriesInstanceUID = header.SeriesInstanceUID
    wanted.SOPInstanceUID = delivery.object.sop_uid
    return wanted


def _transfer_syntax(delivery: Delivery) -> str:
    """The transfer syntax of the object's file."""
    from pydicom.filereader import read_file_meta_info

    return str(read_file_meta_info(delivery.path).TransferSyntaxUID)


def _implicit(delivery: Delivery) -> Dataset:
    """The object's data set in Implicit VR Little Endian."""
    import pydicom

    dataset = pydicom.dcmread(delivery.path)
    buffer = io.BytesIO()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(buffer, implicit_vr=True, little_endian=True, enforce_file_format=True)
    buffer.seek(0)
    return pydicom.dcmread(buffer)


def _broken() -> DestinationError:
    """The error for an association that ended within an exchange."""
    return DestinationError(
        "the association broke off", expected="an answer", got="none", remedy="check the destination and the network"
    )
