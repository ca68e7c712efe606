"""What a worker asks of its process: a model, then studies; the answers are `MadeResult`s or errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from brainseg_runtime.errors import NodeError
from brainseg_runtime.node.records import ResultRow
from brainseg_runtime.safe_io.strict_json import Json
from brainseg_runtime.safe_io.typed_json import from_json, to_json
from brainseg_runtime.studies.written.predecessor import Predecessor

RESULT: Final = "result"
"""The name of a result's folder."""

PREDECESSOR: Final = "predecessor"
"""In a result's provenance: the report that its own replaces, or null."""


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """An earlier result of the study that went out.

    Attributes:
        report: Its report.
        input_sha256: Digest of its images.
        provenance: What computed it, without its predecessor.
        predecessor: The report that it replaced.
    """

    report: Predecessor
    input_sha256: str
    provenance: Mapping[str, Json]
    predecessor: Predecessor | None

    @classmethod
    def of(cls, row: ResultRow) -> Earlier | None:
        """The result of a row; None if it has no report."""
        reports = [each for each in row.made.objects if each.kind == "sr" and each.series_uid is not None]
        if not reports:
            return None
        provenance = dict(row.made.provenance)
        before = provenance.pop(PREDECESSOR, None)
        report = reports[0]
        return cls(
            report=Predecessor(
                sop_class=report.sop_class, sop_uid=report.sop_uid, series_uid=report.series_uid or report.sop_uid
            ),
            input_sha256=row.made.input_sha256,
            provenance=_json(provenance),
            predecessor=None if before is None else from_json(Predecessor, before, PREDECESSOR, error=NodeError),
        )

    def before(self, input_sha256: str, provenance: Mapping[str, Json]) -> Predecessor | None:
        """What a new result replaces: this one's report, or, if it is the same result again, what this one replaced.

        Args:
            input_sha256: Digest of the new result's images.
            provenance: What computed it, without its predecessor.
        """
        same = self.input_sha256 == input_sha256 and self.provenance == provenance
        return self.predecessor if same else self.report


@dataclass(frozen=True, kw_only=True)
class StudyRequest:
    """A study to segment.

    Attributes:
        inputs: The folder of its images.
        out: Where the result's folder is made.
        kinds: What to write.
        register: Whether T1s are brought onto FLAIR by what they show.
        threshold: Probability from which a voxel is marked; None: the model's own.
        partial: What becomes of a study whose FLAIR shows a part of a head.
        earlier: The last result of the study that went out; None if there is none.
    """

    inputs: Path
    out: Path
    kinds: tuple[str, ...]
    register: bool
    threshold: float | None
    partial: Literal["warn", "withhold"]
    earlier: Earlier | None

    def message(self) -> dict[str, Json]:
        """The request as a message's head."""
        return to_json(self)


def _json(value: Mapping[str, object]) -> dict[str, Json]:
    """A mapping that came from JSON."""
    return value  # type: ignore[return-value]  # the store read it from JSON
