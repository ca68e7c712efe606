"""Every error that the runtime raises, in one tree.

BrainsegError
├── InputError                  what the caller passed is at fault
│   ├── ArgumentError           an argument other than the image is wrong (also a ValueError)
│   ├── ImageError              an array or an image file is not what the contract asks for
│   └── DataError               patients, slices or masks do not fit together
│       ├── DatasetError        a data set's folder is faulty; holds every problem found, not only the first
│       └── StudyError          a study or one of its series cannot be read or used
│           ├── GeometryError   where a series' voxels lie cannot be told, or they lie on no regular grid
│           └── RolesError      it cannot be told which series is FLAIR or T1
├── BundleError                 the model's folder is at fault
│   ├── BundleMissingError      the folder or one of its files is missing
│   ├── BundleTamperedError     a file is not the one that the manifest names
│   ├── BundleSchemaError       the manifest is damaged, or of an unknown schema
│   ├── BundleTooLargeError     a file exceeds its cap
│   ├── DigestMismatchError     the bundle is not the one that the caller pinned
│   └── SignatureError          the signature is missing or wrong, or cannot be checked
├── ProviderError               the requested execution provider is not available, or cannot run the model
├── ContractError               a model does not keep the contract
├── InferenceError              the model could not be run
│   ├── WorkerError             the isolated process crashed, hung or ran out of memory
│   └── CancelledError          the caller cancelled
├── FileWriteError              a result could not be written
├── OutOfMemoryError            there is not enough memory for what was asked
├── NodeError                   the node's state, or what is asked of it, is at fault
│   ├── NodeFolderError         its folder or its database is damaged, in use or of another version
│   ├── NodeFullError           nothing can be taken or written now; the same may succeed later
│   ├── StudyTooLargeError      a study or an image is beyond the caps
│   ├── UnknownStudyError       no study has this key
│   ├── NodeConflictError       what is asked does not fit the study's state
│   └── DestinationError        a destination cannot be reached, or did not answer
├── UsageError                  a command's options do not go together, whatever the data
└── MissingExtraError           an optional dependency is not installed
"""

from __future__ import annotations

from collections.abc import Sequence

from brainseg_runtime.problems import Problem, grouped


class BrainsegError(Exception):
    """Root of the tree: what is wrong, what was expected, what was found, and what to do about it.

    Args:
        what: One clause that names the thing at fault.
        expected: What would have been right.
        got: What was found.
        remedy: What the reader can do now.

    Examples:
        >>> str(BrainsegError("threads is wrong", expected="1 to 256", got=0, remedy="leave --threads out"))
        'threads is wrong; expected 1 to 256; got 0; remedy: leave --threads out'
    """

    def __init__(self, what: str, *, expected: object = None, got: object = None, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.expected = None if expected is None else str(expected)
        self.got = None if got is None else str(got)
        self.remedy = remedy

    def __str__(self) -> str:
        """The parts that are given, in one line."""
        parts = [self.what]
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        if self.got is not None:
            parts.append(f"got {self.got}")
        if self.remedy is not None:
            parts.append(f"remedy: {self.remedy}")
        return "; ".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        """Keeps every part when copied or pickled; exceptions with keyword arguments do not by default."""
        return _rebuild, (type(self), self.what), self.__dict__.copy()

    def to_json(self) -> dict[str, object]:
        """Kind and parts, as ``predictions.json`` and the worker's replies carry them."""
        return {
            "kind": type(self).__name__,
            "what": self.what,
            "expected": self.expected,
            "got": self.got,
            "remedy": self.remedy,
        }


class InputError(BrainsegError):
    """What the caller passed is at fault."""


class ArgumentError(InputError, ValueError):
    """An argument other than the image is wrong; the host's own code is at fault."""


class ImageError(InputError):
    """An array or an image file is not what the contract asks for."""


class DataError(InputError):
    """Patients, slices or masks do not fit together."""


class DatasetError(DataError):
    """A data set's folder is faulty.

    Args:
        what: One clause that names the data set.
        problems: Every problem found, each naming its file.
        remedy: What the reader can do now.

    Attributes:
        problems: Every problem, one line each.
        summary: The same, shortened: a line for each kind, with its count and the first few names.
    """

    def __init__(self, what: str, *, problems: Sequence[Problem | str] = (), remedy: str | None = None) -> None:
        super().__init__(what, remedy=remedy)
        self.problems = tuple(map(str, problems))
        self.summary = grouped(problems)

    def __str__(self) -> str:
        """The headline, and a line for each kind of problem."""
        return "\n".join([super().__str__(), *(f"  - {line}" for line in self.summary)])

    def to_json(self) -> dict[str, object]:
        """Kind, parts and every problem."""
        return {**super().to_json(), "problems": list(self.problems)}


class StudyError(DataError):
    """A study or one of its series cannot be read or used."""


class GeometryError(StudyError):
    """Where a series' voxels lie cannot be told, or they lie on no regular grid."""


class RolesError(StudyError):
    """It cannot be told which series is FLAIR, T1 before or T1 after contrast."""


class BundleError(BrainsegError):
    """The model's folder is at fault."""


class BundleMissingError(BundleError):
    """The bundle's folder or one of its files is missing."""


class BundleTamperedError(BundleError):
    """A file of the bundle is not the one that the manifest names."""


class BundleSchemaError(BundleError):
    """The manifest is damaged, or of an unknown schema."""


class BundleTooLargeError(BundleError):
    """A file of the bundle exceeds its cap."""


class DigestMismatchError(BundleError):
    """The bundle is not the one that the caller pinned."""


class SignatureError(BundleError):
    """The bundle's signature is missing or wrong, or cannot be checked."""


class ProviderError(BrainsegError):
    """The requested execution provider is not available, or cannot run the model."""


class ContractError(BrainsegError):
    """A model does not keep the contract: its file, or its inputs and outputs."""


class InferenceError(BrainsegError):
    """The model could not be run."""


class WorkerError(InferenceError):
    """The isolated process crashed, hung or ran out of memory; the next call starts a new one."""


class CancelledError(InferenceError):
    """The caller cancelled; nothing that was computed is returned."""


class FileWriteError(BrainsegError):
    """A result could not be written; the file that was at the path before is untouched."""


class NodeError(BrainsegError):
    """The node's state, or what is asked of it, is at fault."""


class NodeFolderError(NodeError):
    """The node's folder or its database is damaged, in use by another node or of another version."""


class NodeFullError(NodeError):
    """The node can take or write nothing now: a cap, a full or read-only disk, draining. Later it may."""


class StudyTooLargeError(NodeError):
    """A study or an image is beyond the caps; trying again does not help."""


class UnknownStudyError(NodeError):
    """No study has this key."""


class NodeConflictError(NodeError):
    """What is asked does not fit the state that the study is in."""


class DestinationError(NodeError):
    """A destination cannot be reached, or did not answer; what was to go there is tried again."""


class UsageError(BrainsegError):
    """A command's options do not go together, whatever the data: wrong usage, exit code 2."""


class OutOfMemoryError(BrainsegError):
    """There is not enough memory for what was asked; what was saved before is kept."""


class MissingExtraError(BrainsegError):
    """An optional dependency is not installed; the remedy names the extra that brings it."""


def _rebuild(kind: type[BrainsegError], what: str) -> BrainsegError:
    """Make an instance without running a subclass's own constructor; its state is set afterwards."""
    error = kind.__new__(kind)
    Exception.__init__(error, what)
    return error
