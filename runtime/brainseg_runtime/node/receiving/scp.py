"""The DICOM listener: C-ECHO, C-STORE of MR images, and a PACS's answers to storage commitment."""

from __future__ import annotations

import logging
import math
import threading
import time
import warnings
from typing import TYPE_CHECKING, Final, cast

from brainseg_runtime.errors import BrainsegError, UsageError
from brainseg_runtime.node.commitment_answer import read_answer, record
from brainseg_runtime.node.config import NodeConfig
from brainseg_runtime.node.receiving.admission import Admission, Unheard
from brainseg_runtime.node.receiving.classes import IMAGE_CLASSES, TRANSFER_SYNTAXES
from brainseg_runtime.node.receiving.taking import Intake, Refusal, RefusedError
from brainseg_runtime.node.records import Caller
from brainseg_runtime.node.store.store import Store
from brainseg_runtime.node.tls import server_context
from brainseg_runtime.node.watching.log import Label, Log, kind_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.association import Association
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.events import Event
    from pynetdicom.pdu_primitives import A_ASSOCIATE

    from brainseg_runtime.node.receiving.guarded import GuardedServer
    from brainseg_runtime.node.receiving.messages import ArrivingDataSet

_VERIFICATION: Final = "1.2.840.10008.1.1"
_COMMITMENT: Final = "1.2.840.10008.1.20.1"
_NATIVE_SYNTAXES: Final = list(TRANSFER_SYNTAXES[:2])
_REQUEST_SECONDS: Final = 10.0
"""Longest wait for the request after a connection was made, s: what comes before TLS and admission is short."""

_TOLD_SECONDS: Final = 60.0
_MOST_TOLD: Final = 1000  # addresses that are remembered

_POLL: Final = 0.05
"""Pause between looks at what must end, s."""


class Receiver:
    """Listens for DICOM associations.

    Args:
        config: The node's settings.
        store: Takes the images.
        log: The node's log.

    Raises:
        UsageError: The senders or the TLS files cannot be used.
    """

    def __init__(self, config: NodeConfig, store: Store, log: Log) -> None:
        self._settings = config.dicom
        self._retry = config.retry
        self._store = store
        self._log = log
        self._intake = Intake(store, config.intake, log)
        self._admission = Admission(config.dicom)
        self._tls = None if config.dicom.tls is None else server_context(config.dicom.tls)
        self._sessions: dict[Association, _Session] = {}
        self._told: dict[tuple[str, Unheard], float] = {}
        self._lock = threading.Lock()
        self._server: GuardedServer | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; 0 before `start`."""
        return 0 if self._server is None else int(self._server.server_address[1])

    @property
    def connections(self) -> int:
        """Connections that are open, those that are about to be turned away among them."""
        return self._admission.connections

    def start(self) -> None:
        """Listen, in threads of its own.

        Raises:
            UsageError: The address cannot be listened on.
        """
        from pynetdicom import evt

        from brainseg_runtime.node.receiving.guarded import GuardedServer

        silence_libraries()
        handlers = [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_ASYNC_OPS, self._one_at_a_time),
            (evt.EVT_C_ECHO, self._echo),
            (evt.EVT_C_STORE, self._store_image),
            (evt.EVT_N_EVENT_REPORT, self._commitment),
        ]
        try:
            self._server = GuardedServer(
                self._entity(),
                (self._settings.host.strip("[]"), self._settings.port),
                handlers,
                admission=self._admission,
                intake=self._intake,
                seconds=self._settings.association_seconds,
                tls=self._tls,
                ended=self._ended,
                unheard=self._unheard,
            )
        except OSError as error:
            raise UsageError(
                "the DICOM port cannot be listened on",
                expected="a free port at an address of this machine",
                got=f"{self._settings.host}:{self._settings.port}: {error.strerror or error}",
                remedy="set dicom.host and dicom.port, or end what listens there",
            ) from error
        threading.Thread(target=self._server.serve_forever, args=(_POLL,), name="brainseg-dicom", daemon=True).start()

    def stop(self, seconds: float = 5.0) -> None:
        """Accept no more; what is under way may go on for a while, then it is aborted.

        Args:
            seconds: How long.
        """
        server = self._server
        if server is None:
            return
        self._admission.stop()
        server.shutdown()
        self._wait(seconds)
        for association in self._running():
            threading.Thread(target=association.abort, name="brainseg-abort", daemon=True).start()
        self._wait(1.0)
        for association in self._running():
            server.cut(association)
        self._wait(1.0)
        self._server = None

    def _entity(self) -> ApplicationEntity:
        """The library's application entity, with what is supported."""
        from pynetdicom.ae import ApplicationEntity

        from brainseg_runtime.node.receiving.guarded import MOST_PDU

        entity = ApplicationEntity(self._settings.aet)
        entity.maximum_pdu_size = MOST_PDU
        entity.maximum_associations = 1 << 16  # `Admission` counts
        entity.acse_timeout = min(_REQUEST_SECONDS, self._settings.association_seconds)
        entity.dimse_timeout = entity.network_timeout = self._settings.association_seconds
        entity.add_supported_context(_VERIFICATION, _NATIVE_SYNTAXES)
        for each in sorted(IMAGE_CLASSES):
            entity.add_supported_context(each, list(TRANSFER_SYNTAXES))
        # The PACS calls, and yet it is the provider: it proposes to change roles, or just assumes it.
        entity.add_supported_context(_COMMITMENT, _NATIVE_SYNTAXES, scu_role=True, scp_role=True)
        return entity

    def _requested(self, event: Event) -> None:
        """Let an association in, or reject it."""
        association = event.assoc
        request = cast("A_ASSOCIATE", association.requestor.primitive)
        caller = Caller(aet=str(request.calling_ae_title), host=str(association.requestor.address), way="dimse")
        title, host = self._intake.label(caller.aet), self._intake.label(caller.host)
        rejection = self._admission.enters(called=str(request.called_ae_title), calling=caller.aet, address=caller.host)
        if rejection is None:
            with self._lock:
                self._sessions[association] = _Session(caller)
            self._log.event("association_accepted", tls=self._tls is not None, caller=title, host=host)
            return
        self._log.event("association_rejected", reason=Label(rejection.reason), caller=title, host=host)
        association.acse.send_reject(rejection.result, rejection.source, rejection.diagnostic)
        association.kill()  # waits until the answer is sent, as the library's own rejections do

    def _unheard(self, address: str, reason: Unheard) -> None:
        """A connection was closed before it could say anything: a line a minute for each address at most."""
        now = time.monotonic()
        with self._lock:
            if now - self._told.get((address, reason), -math.inf) < _TOLD_SECONDS:
                return
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            self._told[address, reason] = now
        self._log.event("association_rejected", reason=Label(reason), host=self._intake.label(address))

    @staticmethod
    def _one_at_a_time(_: Event) -> None:
        """Being bound is enough: the answer is one operation at a time."""

    def _echo(self, _: Event) -> int:
        """C-ECHO."""
        self._log.event("echo")
        return 0x0000

    def _store_image(self, event: Event) -> Dataset:
        """C-STORE."""
        request = cast("C_STORE", event.request)
        arrived = cast("ArrivingDataSet", request.DataSet)
        session = self._sessions[event.assoc]
        try:
            study_uid = self._take(request, str(event.context.abstract_syntax), arrived, session)
        except RefusedError as error:
            return _status(error.refusal.status, error.refusal.comment)
        finally:
            arrived.discard()
            arrived.done = True
            event.assoc.dul._idle_timer.restart()
        session.images += 1
        session.studies.add(study_uid)
        return _status(0x0000)

    def _take(self, request: C_STORE, context: str, arrived: ArrivingDataSet, session: _Session) -> str:
        """Take an image that came in a context of a SOP class; its StudyInstanceUID."""
        sop_class, sop_uid = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
        refusal = arrived.refusal
        if context != sop_class or sop_class not in IMAGE_CLASSES:
            refusal = Refusal.SOP_CLASS
        elif self._admission.stopping:
            refusal = Refusal.STOPPING
        if refusal is None and arrived.file is None:
            refusal = Refusal.UNREADABLE  # no data set came
        if refusal is not None or arrived.file is None:
            self._intake.refuse(refusal or Refusal.UNREADABLE, session.caller)
        taken = self._intake.take(arrived.file, arrived.syntax, session.caller, announced=(sop_class, sop_uid))
        return taken.identity.study_uid

    def _commitment(self, event: Event) -> tuple[int, None]:
        """N-EVENT-REPORT of storage commitment."""
        answer = read_answer(event)
        if answer is None:
            return 0x0110, None  # processing failure
        try:
            record(answer, self._store, self._retry)
        except BrainsegError as error:  # such as a full disk: the PACS may say it again
            self._log.event("receiver_fault", error=kind_of(error))
            return 0x0110, None
        self._log.event("commitment_received", objects=len(answer.kept) + answer.n_failed)
        return 0x0000, None

    def _ended(self, association: Association) -> None:
        """An association is over, one way or another."""
        with self._lock:
            session = self._sessions.pop(association, None)
        if session is None:
            return
        self._admission.leaves()
        if association.is_released and session.studies:
            self._released(session)
        self._log.event(
            "association_released" if association.is_released else "association_aborted",
            images=session.images,
            seconds=time.monotonic() - session.begun,
            caller=self._intake.label(session.caller.aet),
            host=self._intake.label(session.caller.host),
        )

    def _released(self, session: _Session) -> None:
        """Count an association for its studies; if that cannot be, they are complete when they are quiet."""
        try:
            self._store.association_released(session.studies)
        except BrainsegError as error:
            self._log.event("receiver_fault", error=kind_of(error))

    def _running(self) -> list[Association]:
        """Associations that are not over."""
        with self._lock:
            return list(self._sessions)

    def _wait(self, seconds: float) -> None:
        """Wait until all associations are over, but not longer."""
        until = time.monotonic() + seconds
        while self._running() and time.monotonic() < until:
            time.sleep(_POLL)


class _Session:
    """What is remembered of an association.

    Args:
        caller: Who called.
    """

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.begun = time.monotonic()
        self.images = 0
        self.studies: set[str] = set()


def silence_libraries() -> None:
    """Keep pynetdicom and pydicom from quoting messages and values in warnings and logs, in the whole process."""
    from pynetdicom import _config

    _config.LOG_HANDLER_LEVEL = "none"
    for name in ("pynetdicom", "pydicom"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
        warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")


def _status(code: int, comment: str | None = None) -> Dataset:
    """A status with its comment."""
    from pydicom.dataset import Dataset

    status = Dataset()
    status.Status = code
    if comment is not None:
        status.ErrorComment = comment
    return status
