"""Studies: from a scanner's DICOM or a researcher's NIfTI to a mask in the scanner's own geometry.

    from brainseg_runtime.studies import read_study, segment_study

    study = read_study("PATH")  # series, roles, geometry, and why
    result = segment_study(segmenter, study)  # .mask on FLAIR's own grid, .volume_ml, .registration, .warnings
    result.write("OUT", kinds=("seg", "sr", "sc", "nifti"))

The modules, from the ground up:

- `geometry`, `series`, `study`: grids and volumes; a series before its pixels are read; a study and its choices
  (`series` and `study` are tested by `roles/test_choice` and `test_reading`).
- `dicom`, `nifti`: files to series.
- `roles`: which series is FLAIR, T1 before and T1 after contrast.
- `reading`: `read_study` and `find_studies`.
- `inspection`: what `brainseg inspect` shows (tested by `test_inspect`).
- `intensity`: voxel values to grey levels 0 to 255.
- `head`: where the head is in a volume.
- `frame`: the 256 x 256 slices that the network sees, and the way back to FLAIR's grid.
- `result`: what segmenting gives (tested by `test_segmenting` and `test_writing`).
- `registration`: the T1s on FLAIR's grid.
- `guard`: reasons to distrust a study, and its mask.
- `steps`, `framing`: a run's progress and time by part; a study to the network's slices (tested by `test_segmenting`).
- `segmenting`: `segment_study`, the way through all of it.
- `written`: DICOM objects, NIfTI, pictures and the record of a result.

Names are imported on first use, so that a command that reads no study does without numpy.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # as `typing` has it, whose import takes longer
if TYPE_CHECKING:
    from brainseg_runtime.studies.frame import Frame
    from brainseg_runtime.studies.geometry import Grid, Volume
    from brainseg_runtime.studies.reading import FoundStudy, find_studies, read_study
    from brainseg_runtime.studies.registration.resampling import resample
    from brainseg_runtime.studies.registration.rigid import register
    from brainseg_runtime.studies.result import Registration, StudyResult
    from brainseg_runtime.studies.segmenting import segment_study
    from brainseg_runtime.studies.series import Series, SeriesHeader
    from brainseg_runtime.studies.study import Choice, Study
    from brainseg_runtime.studies.written.settings import SegmentSettings

__all__ = [
    "Choice",
    "FoundStudy",
    "Frame",
    "Grid",
    "Registration",
    "SegmentSettings",
    "Series",
    "SeriesHeader",
    "Study",
    "StudyResult",
    "Volume",
    "find_studies",
    "read_study",
    "register",
    "resample",
    "segment_study",
]

_HOMES = {
    "Choice": "study",
    "FoundStudy": "reading",
    "Frame": "frame",
    "Grid": "geometry",
    "Registration": "result",
    "SegmentSettings": "written.settings",
    "Series": "series",
    "SeriesHeader": "series",
    "Study": "study",
    "StudyResult": "result",
    "Volume": "geometry",
    "find_studies": "reading",
    "read_study": "reading",
    "register": "registration.rigid",
    "resample": "registration.resampling",
    "segment_study": "segmenting",
}
"""The module that holds each public name."""


def __getattr__(name: str) -> object:
    """A public name, imported from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names beside the module's own."""
    return sorted({*globals(), *__all__})
