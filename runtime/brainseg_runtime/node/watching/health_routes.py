"""Routes that say how the node is: alive, ready, its metrics, and draining it.

FastAPI reads a route's annotations when it is defined, inside a function: so they are not put off in this module.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from brainseg_runtime.node.watching.answers import DrainAnswer, HealthAnswer, ReadyAnswer
from brainseg_runtime.node.watching.metrics import CONTENT_TYPE, Metrics
from brainseg_runtime.version import __version__

if TYPE_CHECKING:
    from fastapi import APIRouter

    from brainseg_runtime.node.store.store import Store


def health_routes(store: "Store", metrics: Metrics, not_ready: Callable[[], Sequence[str]]) -> "APIRouter":
    """The routes.

    Args:
        store: The node's.
        metrics: What is scraped.
        not_ready: Why no images are taken; empty if they are.
    """
    from fastapi import APIRouter, Response

    routes = APIRouter()

    @routes.get("/health", summary="Whether the process answers")
    async def health() -> HealthAnswer:
        return HealthAnswer(alive=True, version=__version__)

    @routes.get(
        "/ready",
        summary="Whether images are taken, and why not",
        responses={503: {"model": ReadyAnswer, "description": "No images are taken now"}},
    )
    def ready(response: Response) -> ReadyAnswer:
        reasons = tuple(not_ready())
        response.status_code = 503 if reasons else 200
        return ReadyAnswer(ready=not reasons, reasons=reasons, draining=store.draining)

    @routes.get(
        "/metrics",
        summary="Figures for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    def scraped() -> Response:
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE})

    @routes.post("/drain", summary="Take no more images; what is held is still segmented and sent")
    def drain() -> DrainAnswer:
        store.drain(True)
        return DrainAnswer(draining=True)

    @routes.delete("/drain", summary="Take images again")
    def end_drain() -> DrainAnswer:
        store.drain(False)
        return DrainAnswer(draining=False)

    return routes
