"""Whether an image is taken: it is what it was announced as, fits, and is handed to the store; or why it is not."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import dataclass
from enum import Enum
from typing import Literal, NoReturn

from brainseg_runtime.errors import BrainsegError, NodeFullError, StudyTooLargeError
from brainseg_runtime.node.config import IntakeSettings
from brainseg_runtime.node.receiving.classes import IMAGE_CLASSES
from brainseg_runtime.node.receiving.identity import Identity, UnreadableError, read_identity
from brainseg_runtime.node.receiving.image_file import DiskFault, ImageFile, Written, disk_fault
from brainseg_runtime.node.receiving.wholeness import is_whole
from brainseg_runtime.node.records import Arrival, Caller
from brainseg_runtime.node.store.store import Store
from brainseg_runtime.node.watching.log import Label, Log


class Refusal(Enum):
    """Why an image is not taken: the status of C-STORE, which is STOW-RS's failure reason too, and what it says.

    Source: DICOM PS3.4, B.2.3 and PS3.7, C; PS3.18, table 10.5.3-1.
    """

    DISK_FULL = ("disk_full", 0xA700, "The disk is full", True)
    READ_ONLY = ("read_only", 0xA700, "The disk cannot be written", True)
    DISK_FAULT = ("disk_fault", 0xA700, "The disk reports a fault", True)
    FULL = ("full", 0xA700, "No more images are held at present", True)
    STOPPING = ("stopping", 0xA700, "The node is stopping", True)
    MISMATCH = ("mismatch", 0xA900, "The data set is not what the request says", False)
    CUT_OFF = ("cut_off", 0xC000, "The image is cut off", False)
    UNREADABLE = ("unreadable", 0xC000, "The data set cannot be read", False)
    TOO_LARGE = ("too_large", 0xC000, "The image is too large", False)
    STUDY_TOO_LARGE = ("study_too_large", 0xC000, "The study is too large", False)
    SOP_CLASS = ("sop_class", 0x0122, "Only MR images are taken", False)
    SYNTAX = ("syntax", 0xC122, "The transfer syntax is not read", False)

    def __init__(self, label: str, status: int, comment: str, transient: bool) -> None:
        self.label = label
        self.status = status
        self.comment = comment
        self.transient = transient


_DISK: dict[DiskFault, Refusal] = {
    "disk_full": Refusal.DISK_FULL,
    "read_only": Refusal.READ_ONLY,
    "disk_fault": Refusal.DISK_FAULT,
}


_WHY = {"read-only": Refusal.READ_ONLY, "disk full": Refusal.DISK_FULL}
"""The refusals for what the store says of itself."""


def refusal_of(error: OSError) -> Refusal:
    """The refusal for a fault of the disk."""
    return _DISK[disk_fault(error)]


class RefusedError(BrainsegError):
    """An image is not taken. Never leaves this folder.

    Args:
        refusal: Why.
        identity: What it is, if that could be read.
    """

    def __init__(self, refusal: Refusal, identity: Identity | None = None) -> None:
        super().__init__(refusal.comment)
        self.refusal = refusal
        self.identity = identity


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """An image that is taken.

    Attributes:
        identity: What it is.
        how: "new", "same" (it was there), "replaced" (another was there under its identifier), or "own" (the node made
            it; it is not kept, so that a result that comes back ends here).
    """

    identity: Identity
    how: Literal["new", "same", "replaced", "own"]


class Intake:
    """The one way from a file to the store. Thread-safe if the store is.

    Args:
        store: The node's store.
        limits: How much is taken.
        log: The node's log.
    """

    def __init__(self, store: Store, limits: IntakeSettings, log: Log) -> None:
        self.store = store
        self._limits = limits
        self._log = log

    @property
    def most_bytes(self) -> int:
        """Largest image."""
        return self._limits.max_instance_mib << 20

    def open(self) -> ImageFile:
        """A file for an image that is about to arrive.

        Raises:
            RefusedError: Nothing is taken at present.
        """
        why = self.store.writable()
        if why not in {None, "draining"}:  # a study that is half received may be completed: `accept` decides
            raise RefusedError(_WHY.get(why or "", Refusal.FULL))
        try:
            if shutil.disk_usage(self.store.folder.incoming).free < self._limits.min_free_mib << 20:
                raise RefusedError(Refusal.DISK_FULL)
            return ImageFile(self.store.folder.incoming, self.most_bytes)
        except OSError as error:
            raise RefusedError(refusal_of(error)) from error

    def take(
        self,
        file: ImageFile,
        syntax: str,
        caller: Caller,
        *,
        announced: tuple[str, str] | None = None,
        study_uid: str | None = None,
    ) -> Taken:
        """Take an image; whatever happens, its file is the store's or gone afterwards.

        Args:
            file: The image, all of it written.
            syntax: Its transfer syntax UID.
            caller: Who sent it.
            announced: SOPClassUID and SOPInstanceUID that the request names.
            study_uid: The study that the request is about; None if it names none.

        Raises:
            RefusedError: It is not taken.
        """
        try:
            taken = self._take(file, syntax, caller, announced, study_uid)
        except RefusedError as error:
            self._log_refused(error.refusal, caller)
            raise
        finally:
            file.discard()  # nothing if the store has moved it
        key = self.store.key_of(taken.identity.study_uid)
        if taken.how == "own":
            self._log.event("loop_ended", study=key, way=Label(caller.way), caller=self.label(caller.aet))
        else:
            self._log.event("image_received", study=key, state=Label(taken.how), size=file.size, way=Label(caller.way))
        return taken

    def refuse(self, refusal: Refusal, caller: Caller) -> NoReturn:
        """Log that an image is not taken, and raise.

        Raises:
            RefusedError: Always.
        """
        self._log_refused(refusal, caller)
        raise RefusedError(refusal)

    def _log_refused(self, refusal: Refusal, caller: Caller) -> None:
        """Log that an image is not taken."""
        self._log.event(
            "image_refused",
            reason=Label(refusal.label),
            status=refusal.status,
            way=Label(caller.way),
            caller=self.label(caller.aet),
            host=self.label(caller.host),
        )

    def label(self, text: str) -> Label:
        """A title's or address's name in the log."""
        return Label(self.store.label(text))

    def _take(
        self,
        file: ImageFile,
        syntax: str,
        caller: Caller,
        announced: tuple[str, str] | None,
        study_uid: str | None,
    ) -> Taken:
        """Check an image and hand it to the store."""
        try:
            written = file.finish()
            identity = read_identity(written.path, written.offset, syntax)
        except OSError as error:
            raise RefusedError(refusal_of(error)) from error
        except UnreadableError as error:
            raise RefusedError(Refusal.UNREADABLE) from error
        announced = announced or (identity.sop_class, identity.sop_uid)
        if announced != (identity.sop_class, identity.sop_uid) or study_uid not in {None, identity.study_uid}:
            raise RefusedError(Refusal.MISMATCH, identity)
        if self._is_own(identity):
            return Taken(identity=identity, how="own")
        if identity.sop_class not in IMAGE_CLASSES:
            raise RefusedError(Refusal.SOP_CLASS, identity)
        self._check_whole(written, identity, syntax)
        return Taken(identity=identity, how=self._accept(written, identity, caller))

    @staticmethod
    def _check_whole(written: Written, identity: Identity, syntax: str) -> None:
        """Check that an image is not cut off."""
        try:
            whole = is_whole(written.path, written.offset, syntax)
        except OSError as error:
            raise RefusedError(refusal_of(error), identity) from error
        if not whole:
            raise RefusedError(Refusal.CUT_OFF, identity)

    def _is_own(self, identity: Identity) -> bool:
        """Whether the node itself made the object."""
        try:
            return self.store.own(identity.sop_uid)
        except (sqlite3.Error, BrainsegError) as error:
            raise RefusedError(Refusal.DISK_FAULT, identity) from error

    def _accept(self, written: Written, identity: Identity, caller: Caller) -> Literal["new", "same", "replaced"]:
        """Hand an image to the store."""
        arrival = Arrival(
            study_uid=identity.study_uid,
            sop_uid=identity.sop_uid,
            path=written.path,
            size=written.size,
            sha256=written.sha256,
            content_sha256=written.content_sha256,
            caller=caller,
        )
        try:
            return self.store.accept(arrival, self._limits)
        except NodeFullError as error:
            raise RefusedError(Refusal.FULL, identity) from error
        except StudyTooLargeError as error:
            raise RefusedError(Refusal.STUDY_TOO_LARGE, identity) from error
        except OSError as error:
            raise RefusedError(refusal_of(error), identity) from error
        except (sqlite3.Error, BrainsegError) as error:
            raise RefusedError(Refusal.DISK_FAULT, identity) from error
