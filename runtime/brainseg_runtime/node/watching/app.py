"""The node's HTTP application: routes, errors as JSON, the page, and the guard before all of it.

GET    /                               the page with its files, or a list of the studies
GET    /health  /ready  /metrics       how the node is
GET    /studies  /studies/{key}        the queue
GET    /studies/{key}/preview.png  /studies/{key}/results/{name}
POST   /studies/{key}/rerun  /studies/{key}/resend
POST   /drain, DELETE /drain           take no more images, take them again
GET    /openapi.json                   all of this, for programs
POST   /dicom-web/studies              STOW-RS, where the settings allow it
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from brainseg_runtime.errors import (
    BrainsegError,
    DestinationError,
    MissingExtraError,
    NodeConflictError,
    NodeFullError,
    StudyTooLargeError,
    UnknownStudyError,
)
from brainseg_runtime.extras import install_remedy
from brainseg_runtime.node.config import NodeConfig
from brainseg_runtime.node.watching.access import access
from brainseg_runtime.node.watching.answers import ANSWERS, ErrorAnswer, error_parts
from brainseg_runtime.node.watching.documented import describe
from brainseg_runtime.node.watching.guard import App, Guard
from brainseg_runtime.node.watching.health_routes import health_routes
from brainseg_runtime.node.watching.log import Log, kind_of
from brainseg_runtime.node.watching.metrics import Metrics
from brainseg_runtime.node.watching.page import add_page, page_paths
from brainseg_runtime.node.watching.study_routes import study_routes
from brainseg_runtime.version import __version__

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

    from brainseg_runtime.node.store.store import Store

STATUS: Final[tuple[tuple[type[BrainsegError], int], ...]] = (
    (UnknownStudyError, 404),
    (NodeConflictError, 409),
    (StudyTooLargeError, 413),
    (DestinationError, 502),
    (NodeFullError, 503),
    (BrainsegError, 500),
)
"""The status of each kind of error; the first that fits."""

PAGE: Final = Path(__file__).parent / "page"
"""Where the page's files are, if the wheel has them."""


def create_app(
    config: NodeConfig,
    store: Store,
    log: Log,
    *,
    not_ready: Callable[[], Sequence[str]] = tuple,
    wake: Callable[[], None] = lambda: None,
    routers: Iterable[APIRouter] = (),
    page: Path = PAGE,
) -> App:
    """The ASGI application.

    Args:
        config: The node's settings.
        store: The node's store.
        log: The node's log; its events are counted for the metrics from now on.
        not_ready: Further reasons why the node is not ready, beside those of the store; short words.
        wake: Called when a study is to be segmented or sent again, so that no pause is waited for.
        routers: Further routes, such as STOW-RS.
        page: The folder of the page's files.

    Raises:
        UsageError: The settings would let everybody in.
        MissingExtraError: The extra "node" is not installed.
    """
    try:
        from fastapi import FastAPI
    except ImportError as error:
        raise MissingExtraError("HTTP needs fastapi, which is missing", remedy=install_remedy("node")) from error

    rules = access(config.http)

    def reasons() -> list[str]:
        writable = store.writable(config.intake)
        return [*([] if writable is None else [writable]), *not_ready()]

    metrics = Metrics(log, counts=store.counts, not_ready=reasons)
    errors: dict[int | str, dict[str, Any]] = {
        "default": {"model": ErrorAnswer, "description": "Why the request was not fulfilled"}
    }
    app = FastAPI(
        title="brainseg node",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        responses=errors,
        redirect_slashes=False,
    )
    app.include_router(health_routes(store, metrics, reasons))
    app.include_router(study_routes(store, wake))
    for each in routers:
        app.include_router(each)
    _answer_errors(app, log)
    add_page(app, store, page)
    describe(app, ANSWERS, token=rules.token is not None)
    most = config.http.max_request_mib << 20
    return Guard(app, rules, log, max_body=most, seen=metrics.request, public=page_paths(page))


def _answer_errors(app: FastAPI, log: Log) -> None:
    """Every error is answered as the same JSON, without a word of what the client sent."""
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException

    def answer(status: int, kind: str, what: str, headers: Any = None, **parts: object) -> Response:  # noqa: ANN401
        error = error_parts({"kind": kind, "what": what, **parts})
        return JSONResponse(asdict(ErrorAnswer(error=error)), status, headers=headers)

    async def named(_: Request, error: Exception) -> Response:
        if not isinstance(error, BrainsegError):
            raise error
        status = next(status for kind, status in STATUS if isinstance(error, kind))
        if status >= 500:
            log.event("server_fault", error=kind_of(error), status=status)
        parts = {name: value for name, value in error.to_json().items() if name in ("expected", "got", "remedy")}
        return answer(status, kind_of(error), error.what, **parts)

    async def of_http(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        headers = {"allow": _allowed(app, request)} if error.status_code == 405 else error.headers
        what = {404: "there is nothing at this path", 405: "the method is not allowed here"}.get(
            error.status_code, "the request cannot be fulfilled"
        )
        return answer(error.status_code, "RequestError", what, headers, remedy="see /openapi.json")

    async def invalid(_: Request, error: Exception) -> Response:
        if not isinstance(error, RequestValidationError):
            raise error
        places = {".".join(map(str, each["loc"][:2])) for each in error.errors()}
        return answer(
            422,
            "RequestError",
            f"{', '.join(sorted(places))} is wrong",
            expected="see /openapi.json",
            remedy="correct it",
        )

    async def unforeseen(_: Request, error: Exception) -> Response:
        return answer(500, kind_of(error), "the node failed at this request", remedy="see the node's log")

    app.add_exception_handler(BrainsegError, named)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, unforeseen)


def _allowed(app: FastAPI, request: Request) -> str:
    """The methods of a path, of all routes that match it; Starlette names those of the first alone."""
    from starlette.routing import Match

    asked = ({**request.scope, "method": method} for method in ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"))
    return ", ".join(
        scope["method"] for scope in asked if any(route.matches(scope)[0] is Match.FULL for route in app.routes)
    )
