"""What the parts of a store begin with: its folder, its database and its clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from brainseg_runtime.node.store.database import Database
    from brainseg_runtime.node.store.folder import NodeFolder


class StorePart:
    """A part of a store.

    Args:
        folder: The state folder.
        database: Its database.
        clock: Tells the time, s since 1970.
    """

    def __init__(self, folder: NodeFolder, database: Database, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._database = database
        self._clock = clock
