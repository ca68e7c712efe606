"""A DICOM file that arrives as a part of an HTTP body: to the disk under its cap, and from there to the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from brainseg_runtime.node.receiving.classes import TRANSFER_SYNTAXES
from brainseg_runtime.node.receiving.identity import MOST_HEAD, Identity, UnreadableError, meta_of
from brainseg_runtime.node.receiving.image_file import ImageFile, TooLargeError
from brainseg_runtime.node.receiving.multipart import MultipartError, MultipartReader, media_type
from brainseg_runtime.node.receiving.taking import Intake, Refusal, RefusedError, refusal_of
from brainseg_runtime.node.records import Caller

DICOM: Final = "application/dicom"


@dataclass(slots=True)
class Outcome:
    """What became of a body's images.

    Attributes:
        kept: Those that are taken, or were there.
        refused: Those that are not, with what they are if that could be read.
    """

    kept: list[Identity] = field(default_factory=list)
    refused: list[tuple[Identity | None, Refusal]] = field(default_factory=list)


class DicomBody:
    """Takes the images of a `multipart/related` body to the store as they arrive.

    Args:
        content_type: The body's.
        intake: Where images go.
        caller: Who sent the body.
        study_uid: The study that all of them must be of; None: any.
        most_parts: Most images.

    Attributes:
        outcome: What became of those that have arrived.

    Raises:
        MultipartError: The body is of another type.
    """

    def __init__(
        self, content_type: str, intake: Intake, caller: Caller, *, study_uid: str | None, most_parts: int
    ) -> None:
        name, parameters = media_type(content_type)
        if name != "multipart/related" or parameters.get("type", DICOM).lower() != DICOM:
            raise MultipartError("the body is of another type")
        self.outcome = Outcome()
        self._reader = MultipartReader(parameters.get("boundary", ""), self._begin)
        self._intake = intake
        self._caller = caller
        self._study_uid = study_uid
        self._parts_left = most_parts
        self._current: _ArrivingFile | None = None

    def feed(self, data: bytes) -> None:
        """Take more of the body.

        Raises:
            MultipartError: It is malformed.
        """
        self._reader.feed(data)

    def end(self) -> None:
        """The body ends here.

        Raises:
            MultipartError: It is cut off.
        """
        self._reader.end()

    def discard(self) -> None:
        """Keep nothing of an image that has not ended."""
        if self._current is not None:
            self._current.discard()

    def _begin(self, fields: Mapping[str, str]) -> _ArrivingFile:
        """Take a part."""
        self._parts_left -= 1
        if self._parts_left < 0:
            raise MultipartError("too many parts")
        name, _ = media_type(fields.get("content-type", DICOM))
        self._current = _ArrivingFile(self._intake, self._finish, refusal=None if name == DICOM else Refusal.UNREADABLE)
        return self._current

    def _finish(self, file: ImageFile | None, syntax: str, refusal: Refusal | None) -> None:
        """An image has ended."""
        try:
            if refusal is not None or file is None:
                self._intake.refuse(refusal or Refusal.UNREADABLE, self._caller)
            taken = self._intake.take(file, syntax, self._caller, study_uid=self._study_uid)
        except RefusedError as error:
            self.outcome.refused.append((error.identity, error.refusal))
        else:
            self.outcome.kept.append(taken.identity)


class _ArrivingFile:
    """One part.

    Args:
        intake: Where it goes.
        finish: Called at its end with the file, its transfer syntax, and why it is refused if that is known.
        refusal: Why it is refused from the beginning.
    """

    def __init__(
        self,
        intake: Intake,
        finish: Callable[[ImageFile | None, str, Refusal | None], None],
        *,
        refusal: Refusal | None,
    ) -> None:
        self._intake = intake
        self._finish = finish
        self._refusal = refusal
        self._head = bytearray()
        self._file: ImageFile | None = None
        self._syntax = ""

    def write(self, data: bytes) -> None:
        """More of it."""
        if self._refusal is not None:
            return
        if self._file is not None:
            self._append(self._file, data)
            return
        self._head += data
        if len(self._head) >= MOST_HEAD:
            self._open()

    def end(self) -> None:
        """That was all of it."""
        if self._refusal is None and self._file is None:
            self._open()
        self._finish(self._file, self._syntax, self._refusal)

    def discard(self) -> None:
        """Keep nothing."""
        if self._file is not None:
            self._file.discard()

    def _open(self) -> None:
        """The head is there: begin the file."""
        try:
            offset, self._syntax = _known_meta(bytes(self._head[:MOST_HEAD]))
            self._file = self._intake.open()
            self._file.write_head(bytes(self._head[:offset]))
        except UnreadableError:
            self._refuse(Refusal.UNREADABLE)
        except RefusedError as error:
            self._refuse(error.refusal)
        except OSError as error:
            self._refuse(refusal_of(error))
        else:
            self._append(self._file, bytes(self._head[offset:]))
        self._head.clear()

    def _append(self, file: ImageFile, data: bytes) -> None:
        """Write to the file."""
        try:
            file.write(data)
        except TooLargeError:
            self._refuse(Refusal.TOO_LARGE)
        except OSError as error:
            self._refuse(refusal_of(error))

    def _refuse(self, refusal: Refusal) -> None:
        """Keep nothing, and take nothing more."""
        self.discard()
        self._file = None
        self._refusal = refusal


def _known_meta(head: bytes) -> tuple[int, str]:
    """Where the data set begins, and its transfer syntax, if that is one that is taken."""
    offset, syntax = meta_of(head)
    if syntax not in TRANSFER_SYNTAXES:
        raise RefusedError(Refusal.SYNTAX)
    return offset, syntax
