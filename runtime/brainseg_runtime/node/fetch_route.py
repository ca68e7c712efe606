"""The HTTP route that `brainseg node fetch` asks: a study's images are fetched from the PACS, as if they had been sent.

FastAPI reads a route's annotations when it is defined, inside a function: so they are not put off in this module.
"""

from typing import TYPE_CHECKING, Final

from brainseg_runtime.errors import NodeFullError
from brainseg_runtime.node.config import NodeConfig
from brainseg_runtime.node.receiving.fetching import Fetched, fetch_study
from brainseg_runtime.node.store.store import Store
from brainseg_runtime.node.watching.log import Log

if TYPE_CHECKING:
    from fastapi import APIRouter

PATH: Final = "/fetch"
_UID: Final = r"^[0-2](\.(0|[1-9][0-9]*))+$"


def fetch_router(store: Store, config: NodeConfig, log: Log) -> "APIRouter":
    """The route.

    Args:
        store: Takes the images.
        config: The node's settings; without a destination of kind "stow" there is nobody to ask.
        log: The node's log.
    """
    from fastapi import APIRouter
    from pydantic import Field
    from pydantic.dataclasses import dataclass as checked

    @checked(frozen=True)
    class FetchRequest:
        """Which study."""

        study_uid: str = Field(pattern=_UID, max_length=64, description="StudyInstanceUID")

    routes = APIRouter()

    @routes.post(PATH, summary="Fetch a study's MR images from the PACS by QIDO-RS and WADO-RS")
    def fetch(request: FetchRequest) -> Fetched:
        if reason := store.writable():
            raise NodeFullError("no images are taken now", got=reason, remedy="see /ready")
        return fetch_study(request.study_uid, config=config, store=store, log=log)

    return routes
