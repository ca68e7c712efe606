"""What STOW-RS answers: which images are kept and which are not, as DICOM JSON or native XML.

Source: DICOM PS3.18, 10.5.3 and table I.1-1; F.2 (JSON); PS3.19, A.1 (XML).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, Literal
from xml.sax.saxutils import escape

from brainseg_runtime.node.receiving.identity import Identity
from brainseg_runtime.node.receiving.parts import Outcome

JSON: Final = "application/dicom+json"
XML: Final = "application/dicom+xml"

_FAILED: Final = ("00081198", "FailedSOPSequence")
_KEPT: Final = ("00081199", "ReferencedSOPSequence")
_OTHER: Final = ("0008119A", "OtherFailuresSequence")
_REASON: Final = ("00081197", "FailureReason")
_CLASS: Final = ("00081150", "ReferencedSOPClassUID")
_INSTANCE: Final = ("00081155", "ReferencedSOPInstanceUID")

_Item = Sequence[tuple[tuple[str, str], Literal["UI", "US"], str | int]]


class StowAnswer:
    """The answer to a request.

    Args:
        outcome: What became of its images.
    """

    def __init__(self, outcome: Outcome) -> None:
        self._kept = outcome.kept
        self._refused = outcome.refused

    @property
    def status(self) -> int:
        """Of HTTP: 200 all kept, 202 some, 409 none, 503 none for now, 400 there were none."""
        if not self._refused:
            return 200 if self._kept else 400
        if self._kept:
            return 202
        return 503 if any(refusal.transient for _, refusal in self._refused) else 409

    def to_json(self) -> bytes:
        """As DICOM JSON."""
        dataset = {
            tag: {
                "vr": "SQ",
                "Value": [_json_item(item) for item in items],
            }
            for (tag, _), items in self._sequences()
        }
        return json.dumps(dataset).encode("ascii")

    def to_xml(self) -> bytes:
        """As a native DICOM model in XML."""
        sequences = "".join(
            _xml(name, "SQ", "".join(_xml_item(number, item) for number, item in enumerate(items, 1)))
            for name, items in self._sequences()
        )
        model = (
            f'<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">{sequences}</NativeDicomModel>'
        )
        return ('<?xml version="1.0" encoding="UTF-8"?>' + model).encode("ascii")

    def _sequences(self) -> list[tuple[tuple[str, str], list[_Item]]]:
        """The sequences that are not empty, in the order of their tags."""
        kept: list[_Item] = [_references(each) for each in self._kept]
        failed: list[_Item] = [
            (*_references(identity), (_REASON, "US", refusal.status)) for identity, refusal in self._refused if identity
        ]
        other: list[_Item] = [((_REASON, "US", refusal.status),) for identity, refusal in self._refused if not identity]
        return [(name, items) for name, items in ((_FAILED, failed), (_KEPT, kept), (_OTHER, other)) if items]


def _references(identity: Identity) -> _Item:
    """The elements that name an image."""
    return ((_CLASS, "UI", identity.sop_class), (_INSTANCE, "UI", identity.sop_uid))


def _json_item(item: _Item) -> dict[str, object]:
    """An item of a sequence."""
    return {name[0]: {"vr": vr, "Value": [value]} for name, vr, value in item}


def _xml_item(number: int, item: _Item) -> str:
    """An item of a sequence."""
    elements = "".join(
        _xml(name, vr, f'<Value number="1">{escape(str(value))}</Value>')
        for name, vr, value in sorted(item, key=lambda each: each[0][0])
    )
    return f'<Item number="{number}">{elements}</Item>'


def _xml(name: tuple[str, str], vr: str, inner: str) -> str:
    """An element."""
    return f'<DicomAttribute tag="{name[0]}" vr="{vr}" keyword="{name[1]}">{inner}</DicomAttribute>'
