"""Data sets of DIMSE messages as they arrive: images flow to the disk, everything else is small and stays in memory.

pynetdicom keeps a message's data set in a `BytesIO` that grows until the last fragment has come, however large, and
its own way to the disk leaves files behind when an association ends early. So a message gets a `BytesIO` here that
writes an image to the store's incoming folder, under its cap, and remembers what went wrong until it is asked.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from brainseg_runtime.node.receiving.image_file import ImageFile, TooLargeError
from brainseg_runtime.node.receiving.taking import Intake, Refusal, RefusedError, refusal_of

if TYPE_CHECKING:
    from pynetdicom.dimse_messages import DIMSEMessage
    from typing_extensions import Buffer

_MOST_IN_MEMORY: Final = 1 << 22
"""Largest data set that is no image: an answer to storage commitment, about 150 bytes an object."""

_MOST_IGNORED: Final = 1 << 28
"""Bytes of a refused image that are read and dropped, so that its sender hears why; beyond, it is cut off."""


class HostileError(ValueError):
    """A peer does what no sound one does; its association ends. Never leaves this folder."""


class ArrivingDataSet(io.BytesIO):
    """The data set of one message.

    Args:
        message: The message, whose command is decoded before its data set comes.
        intake: Where images go.
        syntax_of: The transfer syntax of a presentation context; raises KeyError for one that was not accepted.

    Attributes:
        file: The image; None before its first byte, and if it was refused.
        syntax: Its transfer syntax UID.
        refusal: Why it is not taken, as far as is known already.
        done: Whether its request was answered.
    """

    def __init__(self, message: DIMSEMessage, intake: Intake, syntax_of: Callable[[int], str]) -> None:
        super().__init__()
        self.file: ImageFile | None = None
        self.syntax = ""
        self.refusal: Refusal | None = None
        self.done = False
        self._message = message
        self._intake = intake
        self._syntax_of = syntax_of
        self._begun = False
        self._ignored = 0

    def write(self, data: Buffer, /) -> int:
        """Append a fragment.

        Raises:
            HostileError: More than any sound peer sends.
        """
        from pynetdicom.dimse_messages import C_STORE_RQ

        fragment = memoryview(data)
        if isinstance(self._message, C_STORE_RQ):
            self._write_image(fragment)
        elif self.tell() + len(fragment) > _MOST_IN_MEMORY:
            raise HostileError("a message is too large")
        else:
            super().write(fragment)
        return len(fragment)

    def discard(self) -> None:
        """Delete what is on the disk; nothing if the store has it."""
        if self.file is not None:
            self.file.discard()

    def _write_image(self, fragment: memoryview) -> None:
        """Append a fragment to the file, or drop it."""
        try:
            if not self._begun:
                self._begun = True
                self._begin()
            if self.file is not None:
                self.file.write(fragment)
                return
        except TooLargeError:
            self._refuse(Refusal.TOO_LARGE)
        except RefusedError as error:
            self._refuse(error.refusal)
        except OSError as error:
            self._refuse(refusal_of(error))
        self._ignored += len(fragment)
        if self._ignored > max(_MOST_IGNORED, self._intake.most_bytes):
            raise HostileError("a refused image does not end")

    def _begin(self) -> None:
        """Open the file and write its head."""
        command = self._message.command_set
        sop_class, sop_uid = str(command.AffectedSOPClassUID), str(command.AffectedSOPInstanceUID)
        context = self._message.context_id
        self.syntax = self._syntax_of(-1 if context is None else context)
        head = _file_head(sop_class, sop_uid, self.syntax)
        self.file = self._intake.open()
        self.file.write_head(head)

    def _refuse(self, refusal: Refusal) -> None:
        """Remember why the image is not taken, and keep nothing of it."""
        self.refusal = self.refusal or refusal
        self.discard()
        self.file = None


def _file_head(sop_class: str, sop_uid: str, syntax: str) -> bytes:
    """Preamble and file meta information (DICOM PS3.10, 7.1)."""
    from pydicom.uid import UID
    from pynetdicom.dsutils import create_file_meta, encode_file_meta

    from brainseg_runtime.node.receiving.identity import is_uid

    if not (is_uid(sop_class) and is_uid(sop_uid)):
        raise RefusedError(Refusal.MISMATCH)
    meta = create_file_meta(sop_class_uid=UID(sop_class), sop_instance_uid=UID(sop_uid), transfer_syntax=UID(syntax))
    return b"\0" * 128 + b"DICM" + encode_file_meta(meta)
