"""pynetdicom's listener, where it trusts a peer too much, made safe against hostile and broken ones.

What the library (3.0.4) does, and what is done about it here:

- TLS is negotiated in the thread that accepts connections, so a caller that says nothing stops everybody: it is
  negotiated in the connection's own thread, within a time limit.
- A PDU's length is believed, up to 4 GiB, and waited for without end, before anybody knows who calls: both are capped.
- Who connects and goes without a word holds a place until the time limit: it is given back at once.
- A data set is kept in memory until it ends: it flows to the disk (`messages`). Commands have a cap as well.
- Requests that nobody waits for pile up: only a few may.
- An answer to storage commitment gets a thread of its own, each: only so many may come in an association.
- What a damaged message raises ends a thread with a traceback that quotes it: the association is aborted, and quietly.
- The time for which a peer was silent includes the time that the node itself needed: the clock starts after it.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import N_EVENT_REPORT_RQ, DIMSEMessage
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from brainseg_runtime.node.receiving.messages import ArrivingDataSet, HostileError
from brainseg_runtime.studies.dicom.library import FAULTS

if TYPE_CHECKING:
    import ssl

    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.association import Association
    from pynetdicom.pdu_primitives import P_DATA

    from brainseg_runtime.node.receiving.admission import Admission, Unheard
    from brainseg_runtime.node.receiving.taking import Intake

MOST_PDU: Final = 1 << 17
"""Longest PDU that a peer is told it may send, bytes."""

_MOST_ANY_PDU: Final = 1 << 18
"""Longest PDU that is read: a request with 128 presentation contexts of all transfer syntaxes has 100 KB."""

_MOST_COMMAND: Final = 1 << 14
"""Longest command: a few UIDs, titles and a comment."""

_MOST_WAITING: Final = 16
"""Most requests of a peer that does not wait for answers; each may have an image on the disk."""

_MOST_REPORTS: Final = 256
"""Most answers to storage commitment in one association."""


class GuardedServer(ThreadedAssociationServer):
    """The listener: a thread for each connection, in which everything about it happens.

    Args:
        ae: The library's application entity.
        address: Address and port to listen on.
        handlers: The library's events and who handles them.
        admission: Who is let in.
        intake: Where images go.
        seconds: Longest silence of a peer, and longest time for a PDU, s.
        tls: The context, if TLS is spoken.
        ended: Called with each association when it is over.
        unheard: Told the address and the reason when a connection is closed before it could say anything.

    Raises:
        OSError: The address cannot be listened on.
    """

    daemon_threads = True  # a thread that a peer holds up must not keep the process from ending
    request_queue_size = 64

    def __init__(  # noqa: PLR0913 - what the listener, its limits and its log need
        self,
        ae: ApplicationEntity,
        address: tuple[str, int],
        handlers: list[Any],
        *,
        admission: Admission,
        intake: Intake,
        seconds: float,
        tls: ssl.SSLContext | None,
        ended: Callable[[Association], None],
        unheard: Callable[[str, Unheard], None],
    ) -> None:
        self.admission = admission
        self.intake = intake
        self.seconds = seconds
        self.ended = ended
        self.unheard = unheard
        self.faults = 0
        self._tls = tls
        super().__init__(
            ae, address, ae.ae_title, ae.supported_contexts, evt_handlers=handlers, request_handler=_Connection
        )

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection, and nothing more."""
        listening: Any = self.socket
        try:
            connection, address = listening.accept()
        except OSError:
            time.sleep(0.05)  # out of descriptors: the connection stays queued, and asking at once would be a busy loop
            raise
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401, ARG002 - the library's
        """Whether there is room for one more connection."""
        return self.admission.opens()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the library's
        """Start a connection's thread."""
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started
            self.admission.closes()
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the library's
        """All of a connection."""
        try:
            address = str(client_address[0])
            if not self.admission.knows(address):
                self.unheard(address, "address")
                return
            request.settimeout(self.seconds)
            request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                try:
                    request = self._tls.wrap_socket(request, server_side=True)
                except OSError:  # holds ssl.SSLError
                    self.unheard(address, "tls")
                    raise
            self.finish_request(request, client_address)
        except FAULTS:  # OSError, such as a failed handshake, among them
            self.faults += 1
        finally:
            self.shutdown_request(request)
            self.admission.closes()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - the library's
        """Count what the library would print with the peer's address."""
        self.faults += 1

    def shutdown(self) -> None:
        """Accept no more connections, and free the port."""
        socketserver.BaseServer.shutdown(self)
        self.server_close()

    @staticmethod
    def cut(association: Association) -> None:
        """Close the connection of an association that does not end."""
        wrapped = association.dul.socket
        if wrapped is not None and wrapped.socket is not None:
            with contextlib.suppress(OSError):
                wrapped.socket.shutdown(socket.SHUT_RDWR)


class _Connection(RequestHandler):
    """One connection: its association, from the first byte until its threads have ended."""

    server: GuardedServer

    def handle(self) -> None:
        """Run the association."""
        association = self._create_association()
        dimse = _Dimse(association, self.server.intake)
        _guard(association, dimse, self.request, self.server)
        association.start()
        try:
            association.join()
            association.dul.join(self.server.seconds)
        finally:
            dimse.discard()
            self.server.ended(association)


def _guard(association: Association, dimse: _Dimse, connection: socket.socket, server: GuardedServer) -> None:
    """Put the guarded parts in the place of the library's."""
    association.dul.event_queue.get_nowait()  # "connected", which the new socket says again
    association.dul.socket = _Socket(association, connection, server.seconds)
    association.dimse = dimse
    for thread in (association, association.dul):
        thread.run = _quietly(thread.run, connection, server)  # type: ignore[method-assign]


def _quietly(run: Callable[[], None], connection: socket.socket, server: GuardedServer) -> Callable[[], None]:
    """A thread's work, whose faults end the connection and are counted, not printed."""

    def guarded() -> None:
        try:
            run()
        except Exception:  # noqa: BLE001 - a thread's edge: what a hostile peer makes the library raise is not known
            server.faults += 1
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    return guarded


class _Socket(AssociationSocket):
    """A connection that believes no length and waits for nobody without end."""

    def __init__(self, association: Association, connection: socket.socket, seconds: float) -> None:
        super().__init__(association, client_socket=connection)
        self._seconds = seconds

    def recv(self, nr_bytes: int) -> bytearray:
        """Exactly so many bytes, or fewer if the connection was closed.

        Raises:
            OSError: There are too many, or they did not come in time; the library then closes the connection.
        """
        try:
            data = self._read(nr_bytes)
        except OSError:
            self._give_up()
            raise
        if len(data) < nr_bytes:
            self._give_up()
        return data

    def _read(self, count: int) -> bytearray:
        """Read within the limits."""
        connection = self.socket
        if connection is None or count > _MOST_ANY_PDU:
            raise ConnectionAbortedError("the connection is closed, or a PDU is too long")
        until = time.monotonic() + self._seconds
        data = bytearray(count)
        view = memoryview(data)
        got = 0
        while got < count:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError("a PDU did not come in time")
            connection.settimeout(left)
            read = connection.recv_into(view[got:])
            if read == 0:
                break
            got += read
        connection.settimeout(self._seconds)
        view.release()
        del data[got:]
        return data

    def _give_up(self) -> None:
        """Wake the association if it still waits for its request."""
        if self.assoc.requestor.primitive is None:
            self.assoc.dul.to_user_queue.put(None)  # what its time limit comes to


class _Dimse(DIMSEServiceProvider):
    """Messages, their sizes and number capped, images flowing to the disk."""

    def __init__(self, association: Association, intake: Intake) -> None:
        super().__init__(association)
        self._intake = intake
        self._arrivals: list[ArrivingDataSet] = []
        self._reports = 0

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take a part of a message; a hostile one ends the association."""
        if self.message is None:
            self.message = DIMSEMessage()
            self.message.data_set = self._data_set(self.message)
        message = self.message
        try:
            super().receive_primitive(primitive)
            self._check(message)
        except Exception:  # noqa: BLE001 - what a damaged message makes the library raise is not known
            self.message = None
            self.dul.event_queue.put("Evt19")  # an invalid PDU: the association is aborted

    def discard(self) -> None:
        """Delete what is on the disk and was never taken."""
        for each in self._arrivals:
            each.discard()

    def _data_set(self, message: DIMSEMessage) -> ArrivingDataSet:
        """The data set of a new message."""

        def syntax_of(context: int) -> str:
            return str(self.assoc._accepted_cx[context].transfer_syntax[0])

        self._arrivals = [each for each in self._arrivals if not each.done]
        self._arrivals.append(ArrivingDataSet(message, self._intake, syntax_of))
        return self._arrivals[-1]

    def _check(self, message: DIMSEMessage) -> None:
        """Check what a sound peer keeps to."""
        if message.encoded_command_set.tell() > _MOST_COMMAND:
            raise HostileError("a command is too long")
        if self.msg_queue.qsize() > _MOST_WAITING:
            raise HostileError("requests pile up")
        if self.message is None and isinstance(message, N_EVENT_REPORT_RQ):
            self._reports += 1
            if self._reports > _MOST_REPORTS:
                raise HostileError("too many answers to storage commitment")
