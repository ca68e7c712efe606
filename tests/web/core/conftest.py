"""The page's core in Chromium: built once a session, driven by jobs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.core.core_page import CorePage

WEB = Path(__file__).parents[3] / "web"


@pytest.fixture(scope="session")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CorePage]:
    """The core on a bare page; skips where node, its packages or Chromium are missing."""
    node = shutil.which("node") or pytest.skip("needs node")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or pytest.skip("needs Chromium")
    if not (WEB / "node_modules/vite").is_dir():
        pytest.skip("needs the page's packages: npm ci in web/")
    build, results = tmp_path_factory.mktemp("core-build"), tmp_path_factory.mktemp("core-results")
    command = [
        node,
        "node_modules/vite/bin/vite.js",
        "build",
        "--mode",
        "core",
        "--outDir",
        str(build),
        "--logLevel",
        "warn",
    ]
    done = subprocess.run(command, cwd=WEB, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    page = CorePage(node, chromium, WEB, build, results)
    yield page
    page.close()
