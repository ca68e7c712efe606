"""What a reference holds: units, each a patient's slices or a study, segmented one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from brainseg_runtime.archive.working.job import Job
    from brainseg_runtime.archive.working.rows import Row
    from brainseg_runtime.segmentation.base_segmenter import BaseSegmenter


class Unit(Protocol):
    """One study, in whatever files."""

    @property
    def name(self) -> str:
        """The patient's folder, or the study's name."""
        ...

    def segment(self, segmenter: BaseSegmenter, job: Job, out: Path) -> Row:
        """Segment it.

        Args:
            segmenter: A loaded model.
            job: What to compute and write.
            out: Gets a folder called after the row's identity, if anything is to be written.

        Returns:
            The row, without source, time and attempts; its objects' paths are from `out` on.

        Raises:
            BrainsegError: It cannot be read, segmented or written.
        """
        ...

    def preview(self, segmenter: BaseSegmenter, job: Job, out: Path, index: int) -> bytes:
        """A picture of it with its mask.

        Args:
            segmenter: A loaded model.
            job: What to compute.
            out: Where files may be written on the way.
            index: The slice to show, where one is shown.

        Returns:
            A PNG.

        Raises:
            BrainsegError: As for `segment`.
        """
        ...
