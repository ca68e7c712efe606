"""What every test folder shares: real patients, a cache of the session's own, and how examples are drawn."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# No deadline: two test processes share a core with other work, and a slow example is no failure.
settings.register_profile("default-brainseg", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples every time, so that a red run says something about the change.
settings.register_profile("ci-brainseg", parent=settings.get_profile("default-brainseg"), derandomize=True)
settings.load_profile("ci-brainseg" if os.environ.get("CI") else "default-brainseg")

# A shell lets a job in the background ignore Ctrl-C, and whatever the job starts would ignore it as well.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_patients() -> Path:
    """The folder of real patients that BRAINSEG_DATA names; skips where it names none."""
    named = os.environ.get("BRAINSEG_DATA")
    if not named:
        pytest.skip("BRAINSEG_DATA names no folder of real patients")
    folder = Path(named)
    if not folder.is_dir():
        pytest.fail(f"BRAINSEG_DATA names {folder}, which is no folder")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Caches made by tests, and by the commands they start, go to a folder of this session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
