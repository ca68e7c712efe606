"""What benchmarks share: the bundles, found or made once."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from benchmarks.bundles import find_or_make

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives a network's bundle by name."""
    folder = tmp_path_factory.mktemp("bundles")
    return cache(lambda name: find_or_make(name, folder))
