"""What can go wrong in export, as one tree under the runtime's root.

    BrainsegError                    brainseg_runtime.errors: what, expected, got, remedy
    └── ExportError
        ├── SelectionError           no run can be exported, or not the requested one
        ├── ConversionError          a network cannot be converted to an ONNX graph
        │   └── AuditError           the graph holds something that a bundle must not; lists every finding
        ├── ParityError              the graph does not compute what the network computes
        ├── QuantizationError        a network cannot be quantised
        ├── GateError                a required variant did not pass its gate
        └── SigningError             a bundle cannot be signed

Errors about checkpoints, records and data are those of training and the runtime; export raises them unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

from brainseg_runtime.errors import BrainsegError


class ExportError(BrainsegError):
    """Any fault that export finds."""


class SelectionError(ExportError):
    """No run can be exported, or not the requested one."""


class ConversionError(ExportError):
    """A network cannot be converted to an ONNX graph."""


class AuditError(ConversionError):
    """The graph holds something that a bundle must not.

    Args:
        what: One clause that names the graph.
        findings: All of them, one clause each.
    """

    def __init__(self, what: str, *, findings: Sequence[str]) -> None:
        super().__init__(what, expected="a plain graph that fits the contract", got="; ".join(findings))
        self.findings = tuple(findings)


class ParityError(ExportError):
    """The graph does not compute what the network computes."""


class QuantizationError(ExportError):
    """A network cannot be quantised."""


class GateError(ExportError):
    """A required variant did not pass its gate."""


class SigningError(ExportError):
    """A bundle cannot be signed."""
