"""STOW-RS on a free port, by the server that the node uses."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from brainseg_runtime.node.config import NodeConfig
from brainseg_runtime.node.receiving.stow import stow_router
from brainseg_runtime.node.store.store import Store
from brainseg_runtime.node.watching.log import Log
from tests.runtime.node.receiving.listening import until


@contextlib.contextmanager
def serving(store: Store, config: NodeConfig, log: Log) -> Iterator[str]:
    """The address of the service."""
    app = FastAPI()
    app.include_router(stow_router(store, config, log))
    # A level or a configuration would stay in the process, for other tests to meet.
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, log_level=None, ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        if not until(lambda: server.started):
            raise RuntimeError("the server did not start")
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(5)
