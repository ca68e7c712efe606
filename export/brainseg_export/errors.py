"""What can go wrong in export, as one tree under the runtime's root.

    BrainsegError                    brainseg_runtime.errors: what, expected, got, remedy
    └── ExportError
        ├── SelectionError           no run can be taken, or the one that was asked for cannot
        ├── ConversionError          a network cannot be written as a graph
        │   └── AuditError           the written graph holds something that a bundle must not; holds every finding
        ├── ParityError              the graph does not compute what the network computes
        ├── QuantizationError        a network cannot be quantised
        ├── GateError                a variant that was required did not pass its gate
        └── SigningError             a bundle cannot be signed

Faults of checkpoints, records and data are training's and the runtime's, which export raises unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

from brainseg_runtime.errors import BrainsegError


class ExportError(BrainsegError):
    """Any fault that the export stage finds."""


class SelectionError(ExportError):
    """No run can be taken, or the one that was asked for cannot."""


class ConversionError(ExportError):
    """A network cannot be written as a graph."""


class AuditError(ConversionError):
    """The written graph holds something that a bundle must not.

    Args:
        what: One clause that names the graph.
        findings: Every finding, one clause each.
    """

    def __init__(self, what: str, *, findings: Sequence[str]) -> None:
        super().__init__(what, expected="a plain graph of the contract", got="; ".join(findings))
        self.findings = tuple(findings)


class ParityError(ExportError):
    """The graph does not compute what the network computes."""


class QuantizationError(ExportError):
    """A network cannot be quantised."""


class GateError(ExportError):
    """A variant that was required did not pass its gate."""


class SigningError(ExportError):
    """A bundle cannot be signed."""
