"""`archive.html`: the archive for a reader: distributions, sites, scanners, and the studies to look at first."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.archive.results.figures import Group, Spread
from brainseg_runtime.archive.results.outliers import BETWEEN, Outlier
from brainseg_runtime.archive.results.summary import Archive
from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.html.charts import Trace, line_chart
from brainseg_runtime.html.page import NOT_DEFINED, number_text, render
from brainseg_runtime.images.libraries import pillow
from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io.files import read_capped

if TYPE_CHECKING:
    from markupsafe import Markup

PAGE: Final = "archive.html"
_MOST_PREVIEW: Final = 64 << 20
_WIDEST: Final = 640
"""Pixels of a picture on the page; larger ones are shown smaller."""


def archive_page(archive: Archive, out: Path) -> str:
    """The whole page.

    Args:
        archive: What was measured.
        out: Where the previews lie.

    Returns:
        A document that loads nothing.

    Raises:
        MissingExtraError: jinja2 or pillow is not installed.
    """
    unit = archive.volume_unit
    return render(
        Path(__file__).with_name("page.html"),
        title="Archive",
        archive=archive,
        size=f"{counted(archive.n_rows, 'study', 'studies')} on {archive.provider} ({archive.variant})",
        facts=_facts(archive),
        ended=_ended(archive),
        left_out_of_volumes=_left_out_of_volumes(archive),
        charts=[
            _histogram(archive.volume, "Marked volume", f"volume, {unit}"),
            _histogram(archive.area, "Largest area of a slice", "area, pixels"),
            _histogram(archive.confidence, "Confidence", "mean probability of the marked voxels"),
        ],
        groups=[
            _groups(archive.sites, "site", f"By hospital; quartiles of volume in {unit}"),
            _groups(archive.scanners, "scanner", f"By scanner; quartiles of volume in {unit}"),
        ],
        warnings=[(each.kind, each.n) for each in archive.warnings],
        errors=[(each.kind, each.n) for each in archive.errors],
        outliers=_outliers(archive.outliers, unit),
        pictures=[(each, _caption(each)) for each in archive.outliers if each.preview is not None],
        shown={each.id: _picture(out / each.preview) for each in archive.outliers if each.preview is not None},
        run=_ran(archive),
    )


def _facts(archive: Archive) -> list[tuple[str, object]]:
    return [
        ("studies that came in", archive.n_in),
        ("done", archive.n_done),
        ("failed", archive.n_failed),
        ("skipped: known", archive.n_known),
        ("skipped: same pixels", archive.n_duplicates),
        ("rows in the table", archive.n_rows),
    ]


def _ended(archive: Archive) -> str | None:
    """What to know of a run that is not complete."""
    if archive.status == "interrupted":
        return "The run was interrupted: studies are missing. The same command again goes on."
    if archive.status == "stopped":
        return "An error stopped the run: studies are missing. The same command again goes on."
    if archive.n_failed:
        failed = counted(archive.n_failed, "study", "studies")
        return f"{failed} failed: quarantine.csv says which and why, and brainseg archive --retry-failed tries again."
    return None


def _left_out_of_volumes(archive: Archive) -> str | None:
    """How many studies with a mask are in no volume's figure, as their files say no spacing."""
    missing = archive.area.n - archive.volume.n
    if archive.volume_unit != "mL" or missing <= 0:
        return None
    of = f"{archive.volume.n:,} of {archive.area.n:,} studies with a mask"
    return f"Volumes are of {of}; the others' spacing is not known."


def _histogram(spread: Spread, title: str, label: str) -> Markup:
    """A histogram as a line around its bins."""
    x: list[float] = []
    y: list[float] = []
    for index, count in enumerate(spread.counts):
        x += [spread.edges[index], spread.edges[index + 1]]
        y += [float(count)] * 2
    if x:
        x, y = [x[0], *x, x[-1]], [0.0, *y, 0.0]
    return line_chart([Trace(name="", x=x, y=y)], title=title, x_label=label, y_label="studies")


def _groups(groups: Sequence[Group], what: str, caption: str) -> tuple[list[str], list[tuple[object, ...]], str]:
    headers = [what, "studies", "failed", "with a warning", "nothing marked", "volume", "largest area", "confidence"]
    rows: list[tuple[object, ...]] = [
        (
            each.name or "unknown",
            each.n,
            each.failed,
            each.warned,
            each.empty,
            _quartiles(each.volume),
            _quartiles(each.area),
            _quartiles(each.confidence),
        )
        for each in groups
    ]
    return headers, rows, caption


def _quartiles(values: tuple[float, ...] | None) -> str:
    if values is None:
        return NOT_DEFINED
    low, middle, high = map(number_text, values)
    return f"{middle} ({low} \N{EN DASH} {high})"


def _outliers(outliers: Sequence[Outlier], unit: str) -> list[tuple[object, ...]]:
    return [
        (
            place,
            each.name,
            each.score,
            each.volume_ml if unit == "mL" else each.volume_px,
            each.confidence,
            "; ".join(each.reasons),
        )
        for place, each in enumerate(outliers, start=1)
    ]


def _caption(outlier: Outlier) -> str:
    return f"{outlier.name}: {outlier.reasons[0].partition(BETWEEN)[0]}"


def _picture(path: Path) -> NDArray[np.uint8]:
    """A preview as pixels, made smaller if it is wide; grey if it cannot be read."""
    try:
        image = pillow().open(io.BytesIO(read_capped(path, _MOST_PREVIEW))).convert("RGB")
    except (BrainsegError, OSError, ValueError):
        return np.full((32, 32, 3), 128, np.uint8)
    image.thumbnail((_WIDEST, _WIDEST))
    return np.asarray(image, np.uint8)


def _ran(archive: Archive) -> list[tuple[str, object]]:
    rate = archive.n_slices / archive.seconds if archive.seconds > 0 else None
    return [
        ("bundle", archive.bundle["digest"]),
        ("provider and variant", f"{archive.provider}, {archive.variant}"),
        ("threshold", archive.threshold),
        *((name, value) for name, value in archive.settings.items() if name != "threshold"),
        ("engine and workers", f"{archive.engine}, {archive.workers}"),
        ("seconds of this run", archive.seconds),
        ("slices a second", rate),
        *(("left out", each) for each in archive.left_out),
    ]
