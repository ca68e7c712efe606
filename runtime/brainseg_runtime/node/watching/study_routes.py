"""Routes to the studies: the queue, one study, its picture and files, and doing it again.

A file is found by its name in the queue's list of a result's files; no path is ever made of what a client sends.
FastAPI reads a route's annotations when it is defined, inside a function: so they are not put off in this module.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from brainseg_runtime.errors import UnknownStudyError
from brainseg_runtime.node.records import ResultRow
from brainseg_runtime.node.watching.answers import (
    StudiesAnswer,
    StudyAnswer,
    StudySummary,
    current_result,
    object_name,
    study_answer,
    study_summary,
)

if TYPE_CHECKING:
    from fastapi import APIRouter

    from brainseg_runtime.node.store.store import Store

KEY: Final = "^[0-9a-f]{16}$"
MOST_STUDIES: Final = 1000
"""Most studies of one page of the queue."""

_PNG: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}
_DICOM: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/dicom": {"schema": {"type": "string", "format": "binary"}}}}
}


def study_routes(store: "Store", wake: Callable[[], None] = lambda: None) -> "APIRouter":
    """The routes.

    Args:
        store: The node's.
        wake: Called when a study is to be segmented or sent again.
    """
    from fastapi import APIRouter, Query
    from fastapi import Path as InPath
    from fastapi.responses import FileResponse

    routes = APIRouter()
    Key = Annotated[str, InPath(pattern=KEY, description="The study's key")]  # noqa: N806 - a type

    @routes.get("/studies", summary="The queue, newest first")
    def studies(
        limit: Annotated[int, Query(ge=1, le=MOST_STUDIES, description="Most studies to list")] = 100,
        after: Annotated[str | None, Query(pattern=KEY, description="The last key of the page before")] = None,
    ) -> StudiesAnswer:
        rows = store.studies(limit, after)
        more = rows[-1].key if len(rows) == limit else None
        return StudiesAnswer(studies=tuple(map(study_summary, rows)), after=more)

    @routes.get("/studies/{key}", summary="A study, what was made of it, and where that went")
    def study(key: Key) -> StudyAnswer:
        return study_answer(store.study(key), store.results(key), store.deliveries(key))

    @routes.get(
        "/studies/{key}/preview.png",
        summary="A picture of the mask over the images",
        response_class=FileResponse,
        responses=_PNG,
    )
    def preview(key: Key) -> FileResponse:
        result = _current(store, key)
        if result.made.preview is None:
            raise UnknownStudyError("there is no picture of this study", remedy="look at its results")
        return FileResponse(_file(result, result.made.preview), media_type="image/png")

    @routes.get(
        "/studies/{key}/results/{name:path}",
        summary="A DICOM file of the study's current result",
        response_class=FileResponse,
        responses=_DICOM,
    )
    def result_file(
        key: Key, name: Annotated[str, InPath(max_length=200, description="The file's name")]
    ) -> FileResponse:
        result = _current(store, key)
        path = next((each.path for each in result.made.objects if object_name(each) == name), None)
        if path is None:
            raise UnknownStudyError("the study's result has no such file", remedy="see the study's list of objects")
        return FileResponse(_file(result, path), media_type="application/dicom", filename=Path(path).name)

    @routes.post("/studies/{key}/rerun", status_code=202, summary="Segment a study again, as a new revision")
    def rerun(key: Key) -> StudySummary:
        store.rerun(key)
        wake()
        return study_summary(store.study(key))

    @routes.post("/studies/{key}/resend", status_code=202, summary="Send again what could not be sent")
    def resend(key: Key) -> StudySummary:
        store.resend(key)
        wake()
        return study_summary(store.study(key))

    return routes


def _current(store: "Store", key: str) -> ResultRow:
    """The study's result, if its files are there."""
    store.study(key)  # tells a study that nobody knows from one without files
    result = current_result(store.results(key))
    if result is None:
        raise UnknownStudyError(
            "the study has no files",
            expected="a study that is done",
            remedy="see its state; results are deleted after a time",
        )
    return result


def _file(result: ResultRow, name: str) -> Path:
    """A file of a result that is there."""
    path = result.made.folder / name
    if not path.is_file():
        raise UnknownStudyError("the file is gone", remedy="results are deleted after a time; re-run the study")
    return path
