"""The process that segments a node's studies: loads the bundle, then answers for each folder of images.

Started by `worker.Worker` through `isolation.process.IsolatedProcess`. It ends as soon as its input is closed, even in
the middle of a study, so that nothing of it outlives a node that was killed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from brainseg_runtime.errors import BrainsegError, OutOfMemoryError, StudyError, WorkerError
from brainseg_runtime.isolation.messages import Message
from brainseg_runtime.isolation.server import Loader, Reply, answer_each
from brainseg_runtime.node.heap import give_back, keep_small
from brainseg_runtime.node.records import MadeObject, MadeResult
from brainseg_runtime.node.working.advice import advised
from brainseg_runtime.node.working.disk_faults import as_disk_fault
from brainseg_runtime.node.working.partial import why_partial
from brainseg_runtime.node.working.requests import PREDECESSOR, RESULT, StudyRequest
from brainseg_runtime.node.working.scrubbing import Scrubber
from brainseg_runtime.prediction.segment_studies import input_digest
from brainseg_runtime.safe_io.strict_json import Json
from brainseg_runtime.safe_io.system_faults import as_fault, kind_and_place
from brainseg_runtime.safe_io.typed_json import from_json, to_json
from brainseg_runtime.segmentation.base_segmenter import BaseSegmenter
from brainseg_runtime.studies.reading import read_study
from brainseg_runtime.studies.result import StudyResult
from brainseg_runtime.studies.segmenting import segment_study
from brainseg_runtime.studies.written.record import Output
from brainseg_runtime.studies.written.writing import write_study
from brainseg_runtime.version import __version__

BOOT: Final = (
    "from brainseg_runtime.node.working.server import serve; "
    "from brainseg_runtime.segmenter import Segmenter; "
    "serve(Segmenter)"
)
"""What the process runs."""

_OF_DICOM: Final = frozenset({"seg", "sr", "sc", "rtstruct"})


def serve(loader: Loader) -> None:
    """Answer messages until the host closes the pipe or dies.

    Args:
        loader: Loads the bundle that the first message names.
    """
    os.umask(0o077)
    keep_small(at_once=False)
    answer_each(loader, _loaded, _reply, lambda error: as_disk_fault(error) or _fault(error))


def _loaded(segmenter: BaseSegmenter) -> Reply:
    return {"info": to_json(segmenter.info)}, []


def _reply(segmenter: BaseSegmenter, message: Message) -> Reply:
    request = from_json(StudyRequest, message.head, "study", error=WorkerError, every_key=True)
    made = _answer(segmenter, request)
    give_back()
    return {"made": made}, []


def _answer(segmenter: BaseSegmenter, request: StudyRequest) -> dict[str, Json]:
    """Segment a study; what is said of it holds nothing that identifies the patient.

    Raises:
        BrainsegError: It could not be segmented.
    """
    try:
        made = segment(segmenter, request)
    except BrainsegError as error:
        raise _scrubbed(error, Scrubber.of(request.inputs)) from error
    if made.warnings:
        scrub = Scrubber.of(request.inputs)
        made = replace(made, warnings=tuple(map(scrub.text, made.warnings)))
    return to_json(made)


def segment(segmenter: BaseSegmenter, request: StudyRequest) -> MadeResult:
    """Read, segment and write one study.

    Args:
        segmenter: A loaded model.
        request: The study.

    Returns:
        What was made, in the folder `RESULT` of `request.out`.

    Raises:
        StudyError: FLAIR shows a part of a head, and the result of such a study is withheld.
        BrainsegError: As `read_study`, `segment_study` and `write_study`.
    """
    clock = time.perf_counter()
    study = replace(read_study(request.inputs), name=RESULT)
    read_seconds = time.perf_counter() - clock
    digest = input_digest(study)
    result = segment_study(segmenter, study, register=request.register, threshold=request.threshold)
    partial = why_partial(result.flair, result.grid)
    if partial is not None:
        result = _of_part(result, partial, withhold=request.partial == "withhold")
    provenance: dict[str, Json] = {
        "brainseg": __version__,
        "register": request.register,
        "model": to_json(result.provenance),
    }
    before = None if request.earlier is None else request.earlier.before(digest, provenance)
    clock = time.perf_counter()
    outputs = write_study(result, request.out, [*request.kinds, "preview"], deterministic_uids=True, predecessor=before)
    seconds = {"read": read_seconds, **result.seconds, "write": time.perf_counter() - clock}
    made_of = {**provenance, PREDECESSOR: None if before is None else to_json(before)}
    return _made(request.out, result, outputs, digest=digest, provenance=made_of, seconds=seconds)


def _of_part(result: StudyResult, why: str, *, withhold: bool) -> StudyResult:
    """The result of a part of a head, with a warning.

    Raises:
        StudyError: It is withheld.
    """
    if withhold:
        raise StudyError(
            "FLAIR shows a part of a head, and its result is withheld",
            expected="the whole head",
            got=why,
            remedy="send the rest of the series: then the study is segmented again; if there is no more of it, set "
            'work.partial = "warn" and run the study again',
        )
    return replace(result, warnings=(*result.warnings, f"part of a head: {why}; nothing is segmented there"))


def _made(
    out: Path,
    result: StudyResult,
    outputs: tuple[Output, ...],
    *,
    digest: str,
    provenance: Mapping[str, Json],
    seconds: Mapping[str, float],
) -> MadeResult:
    """What was written, as the node keeps it."""
    previews = [_inside(each) for each in outputs if each.kind == "preview"]
    return MadeResult(
        folder=out / RESULT,
        objects=tuple(_object(out, each) for each in outputs if each.kind in _OF_DICOM),
        preview=previews[0] if previews else None,
        volume_ml=result.volume_ml,
        warnings=tuple(result.warnings),
        input_sha256=digest,
        provenance=provenance,
        seconds=seconds,
    )


def _object(out: Path, output: Output) -> MadeObject:
    """A written DICOM object."""
    import pydicom

    header = pydicom.dcmread(out / output.file, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
    return MadeObject(
        kind=output.kind,
        path=_inside(output),
        sop_class=str(header.file_meta.MediaStorageSOPClassUID),
        sop_uid=str(header.file_meta.MediaStorageSOPInstanceUID),
        sha256=output.sha256,
        series_uid=str(header.SeriesInstanceUID),
    )


def _inside(output: Output) -> str:
    """A file's path from the result's folder on."""
    return output.file.partition("/")[2]


def _scrubbed(error: BrainsegError, scrub: Scrubber) -> BrainsegError:
    """The same error without what identifies the patient."""
    kind = type(error)
    made = kind.__new__(kind)
    parts = {"expected": error.expected, "got": error.got}
    shown = {name: None if part is None else scrub.text(part) for name, part in parts.items()}
    remedy = advised(kind, error.remedy)
    shown_remedy = None if remedy is None else scrub.text(remedy)
    BrainsegError.__init__(made, scrub.text(error.what), remedy=shown_remedy, **shown)
    return made


def _fault(error: Exception) -> BrainsegError:
    """An error of the system's, by name; any other by its kind and place alone, since its text may quote the study."""
    if isinstance(error, BrainsegError):
        return error
    named = as_fault(error)
    if isinstance(named, OutOfMemoryError):
        return OutOfMemoryError("the isolated process ran out of memory", remedy="raise work.memory_mib")
    if named is not None:
        return type(named)("the system refused a file", got=getattr(error, "strerror", None))
    return WorkerError("the isolated process met an unexpected fault", got=kind_and_place(error))
