"""STOW-RS: images arrive over HTTP, in the body of a POST to `/dicom-web/studies`.

The body is taken apart and written to the disk as it comes, in threads, so that it neither fills the memory nor keeps
other requests waiting. Who may call is for the application to decide in which this is mounted.

Source: DICOM PS3.18, 10.5 (Store transaction).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.requests import ClientDisconnect

from brainseg_runtime.node.config import NodeConfig
from brainseg_runtime.node.receiving.identity import is_uid
from brainseg_runtime.node.receiving.multipart import MultipartError, media_type
from brainseg_runtime.node.receiving.parts import DicomBody, Outcome
from brainseg_runtime.node.receiving.stow_answer import JSON, XML, StowAnswer
from brainseg_runtime.node.receiving.taking import Intake
from brainseg_runtime.node.records import Caller
from brainseg_runtime.node.store.store import Store
from brainseg_runtime.node.watching.log import Log

PATH: Final = "/dicom-web/studies"

_PIECE: Final = 1 << 20
"""Bytes that are handed to a thread at a time."""

_JSON_TYPES: Final = frozenset({"*/*", "application/*", JSON, "application/json"})
_RETRY: Final = {"Retry-After": "60"}

_RESPONSES: Final[dict[int | str, dict[str, object]]] = {
    200: {"description": "All images are kept", "content": {JSON: {}, XML: {}}},
    202: {"description": "Some images are kept", "content": {JSON: {}, XML: {}}},
    400: {"description": "The path or the body is malformed"},
    406: {"description": "Answers are DICOM JSON or XML"},
    408: {"description": "The body did not come in time"},
    409: {"description": "No image is kept", "content": {JSON: {}, XML: {}}},
    413: {"description": "The body is too large; images before the limit are kept"},
    415: {"description": "The body is no multipart/related of application/dicom"},
    503: {"description": "No image is kept at present", "content": {JSON: {}, XML: {}}},
}
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {"multipart/related": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def stow_router(store: Store, config: NodeConfig, log: Log) -> APIRouter:
    """Routes that take images.

    Args:
        store: Takes the images.
        config: The node's settings.
        log: The node's log.
    """
    service = _Service(Intake(store, config.intake, log), config, log)
    router = APIRouter(tags=["DICOMweb"])
    for path, endpoint, name in (
        (PATH, service.store_any, "store_instances"),
        (PATH + "/{study_uid}", service.store_of_study, "store_instances_of_study"),
    ):
        router.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            name=name,
            operation_id=name,
            response_class=Response,
            responses=_RESPONSES,
            openapi_extra=_BODY,
        )
    return router


class _Service:
    """The routes' work."""

    def __init__(self, intake: Intake, config: NodeConfig, log: Log) -> None:
        self._intake = intake
        self._log = log
        self._most = config.http.max_request_mib << 20
        self._most_parts = config.intake.max_study_instances
        self._seconds = config.dicom.association_seconds
        self._free = config.dicom.max_associations

    async def store_any(self, request: Request) -> Response:
        """Store images of any study."""
        return await self._store(request, None)

    async def store_of_study(self, study_uid: str, request: Request) -> Response:
        """Store images of one study."""
        if not is_uid(study_uid):
            raise HTTPException(400, "the study in the path is not a UID")
        return await self._store(request, study_uid)

    async def _store(self, request: Request, study_uid: str | None) -> Response:
        """Store the images of a request, if there is room for one."""
        answer_type = _answer_type(request.headers.get("accept", "*/*"))
        if self._free <= 0:  # all of this runs in one thread, that of the event loop
            raise HTTPException(503, "too many requests at a time", _RETRY)
        self._free -= 1
        try:
            return self._answer(await self._take(request, study_uid), answer_type)
        finally:
            self._free += 1

    async def _take(self, request: Request, study_uid: str | None) -> Outcome:
        """Take a request's images."""
        if int(request.headers.get("content-length", "0")) > self._most:
            raise HTTPException(413, f"the body is larger than {self._most >> 20} MiB")
        host = "" if request.client is None else request.client.host
        caller = Caller(aet="", host=host, way="stow")
        try:
            body = DicomBody(
                request.headers.get("content-type", ""),
                self._intake,
                caller,
                study_uid=study_uid,
                most_parts=self._most_parts,
            )
        except MultipartError as error:
            raise HTTPException(415, str(error)) from error
        try:
            async for piece in self._pieces(request):
                await asyncio.to_thread(body.feed, piece)
            body.end()
        except MultipartError as error:
            raise HTTPException(400, str(error)) from error
        except ClientDisconnect as error:
            raise HTTPException(400, "the connection was closed") from error
        finally:
            body.discard()
        return body.outcome

    async def _pieces(self, request: Request) -> AsyncIterator[bytes]:
        """The body in pieces worth a thread, within its limits."""
        stream = aiter(request.stream())
        piece = bytearray()
        total = 0
        while True:
            try:
                data = await asyncio.wait_for(anext(stream), self._seconds)
            except StopAsyncIteration:
                break
            except TimeoutError as error:
                raise HTTPException(408, "the body did not come in time") from error
            total += len(data)
            if total > self._most:
                raise HTTPException(413, f"the body is larger than {self._most >> 20} MiB")
            piece += data
            if len(piece) >= _PIECE:
                yield bytes(piece)
                piece.clear()
        yield bytes(piece)

    def _answer(self, outcome: Outcome, answer_type: str) -> Response:
        """The answer, which is logged."""
        answer = StowAnswer(outcome)
        self._log.event(
            "stow_refused" if outcome.refused else "stow_received", images=len(outcome.kept), status=answer.status
        )
        content = answer.to_xml() if answer_type == XML else answer.to_json()
        headers = _RETRY if answer.status == 503 else None
        return Response(content, answer.status, headers=headers, media_type=answer_type)


def _answer_type(accept: str) -> str:
    """JSON unless XML alone is accepted."""
    accepted = set()
    for each in accept.split(","):
        try:
            name, parameters = media_type(each)
        except MultipartError:
            continue
        if parameters.get("q", "1") not in {"0", "0.0", "0.00", "0.000"}:
            accepted.add(name)
    if accepted & _JSON_TYPES or not accepted - {""}:
        return JSON
    if XML in accepted:
        return XML
    raise HTTPException(406, f"answers are {JSON} or {XML}")
