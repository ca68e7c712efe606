"""`archive.json`, field by field: how a run ended, what it was asked, and the figures of all rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from brainseg_runtime.archive.results.figures import Counted, Group, Spread
from brainseg_runtime.archive.results.outliers import Outlier, Unit

SCHEMA: Final = "brainseg/archive/1"
FILE: Final = "archive.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """The whole file.

    Attributes:
        schema: The file's form.
        status: How the run ended: every study done; some failed; stopped by the user; stopped by a fault.
        n_in: Studies that came in.
        n_done: Segmented by this run.
        n_failed: Failed, in this run or an earlier one.
        n_skipped: Known from an earlier run, or of the same pixels as another.
        n_known: Of those, known.
        n_duplicates: Of those, of the same pixels.
        n_rows: Rows of the table, which has those of earlier runs too.
        n_slices: Slices segmented by this run.
        bundle: The bundle's path and digest.
        provider: Execution provider.
        variant: Variant.
        threshold: Probability from which a voxel is marked.
        settings: What else decides rows and objects, in words.
        engine: "local" or "ray".
        workers: How many.
        seconds: From the start to the last row, s.
        first_seconds: To the first row, s; null if there is none.
        table: The table's file.
        left_out: What the source holds besides, in words.
        volume_unit: "mL" if any study's spacing is known; those whose spacing is not are then in no volume's figure.
        volume: Of studies with a mask.
        area: Largest area of each study with a mask, pixels.
        confidence: Of studies with a mask.
        warnings: Kinds of warnings and in how many studies each came.
        errors: Kinds of errors, likewise.
        sites: By hospital.
        scanners: By scanner.
        outliers: Studies to look at first.
        fault: What stopped the run; null otherwise.
    """

    schema: Literal["brainseg/archive/1"] = SCHEMA
    status: Literal["complete", "faulty", "interrupted", "stopped"]
    n_in: int
    n_done: int
    n_failed: int
    n_skipped: int
    n_known: int
    n_duplicates: int
    n_rows: int
    n_slices: int
    bundle: Mapping[str, str]
    provider: str
    variant: str
    threshold: float | None
    settings: Mapping[str, str]
    engine: Literal["local", "ray"]
    workers: int
    seconds: float
    first_seconds: float | None
    table: str | None
    left_out: tuple[str, ...]
    volume_unit: Unit
    volume: Spread
    area: Spread
    confidence: Spread
    warnings: tuple[Counted, ...]
    errors: tuple[Counted, ...]
    sites: tuple[Group, ...]
    scanners: tuple[Group, ...]
    outliers: tuple[Outlier, ...]
    fault: Mapping[str, str | None] | None = None
