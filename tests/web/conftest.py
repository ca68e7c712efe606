"""What the page needs to be tested: Node.js, its packages, Chromium, and the built page."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.web.made_files import Made, made_files

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
PAGE = ROOT / "runtime" / "brainseg_runtime" / "node" / "watching" / "page"


@pytest.fixture(scope="session")
def page() -> Path:
    """The built page's folder; skips where it, or what runs it, is missing."""
    for program, remedy in (("node", "install Node.js 20.19 or newer"), ("chromium", "install Debian's chromium")):
        if shutil.which(os.environ.get(f"BRAINSEG_{program.upper()}", program)) is None:
            pytest.skip(f"{program} is missing: {remedy}")
    if not (PAGE / "index.html").is_file() or not (WEB / "node_modules" / "playwright-core").is_dir():
        pytest.skip("the page is not built: make web")
    return PAGE


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Patients, damaged pictures and bundles."""
    return made_files(tmp_path_factory.mktemp("made"))
