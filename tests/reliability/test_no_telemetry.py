"""onnxruntime, whose official builds report to their maker by default, is kept from it: no identifier, no call.

An audit hook sees Python's own sockets and files alone; what native code would leave behind is looked for in its cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.tiny import TINY

LOAD = f"from brainseg_runtime import Segmenter; Segmenter.load({str(TINY)!r}, provider='cpu')"
ISOLATED = (
    f"from brainseg_runtime import IsolatedSegmenter; IsolatedSegmenter.load({str(TINY)!r}, provider='cpu').close()"
)
QUANTIZE = "import brainseg_export.graphs.quantize"


def kept(cache: Path, code: str, **environment: str) -> list[str]:
    """What a process that runs this code leaves in its user's cache."""
    cache.mkdir()
    inherited = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    own = {"PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(cache), "XDG_CACHE_HOME": str(cache)}
    subprocess.run([sys.executable, "-c", code], env={**inherited, **own, **environment}, timeout=120, check=True)
    return [each.name for each in cache.rglob("*") if each.is_file()]


@pytest.mark.parametrize("code", [LOAD, ISOLATED, QUANTIZE])
def test_no_identifier_is_kept_for_reports(code: str, tmp_path: Path) -> None:
    assert kept(tmp_path / "cache", code) == []


@pytest.mark.skipif(sys.platform != "linux", reason="where the identifier lies is known for Linux")
def test_the_identifier_would_be_seen(tmp_path: Path) -> None:
    if "deviceid" not in kept(tmp_path / "cache", LOAD, ORT_DISABLE_TELEMETRY="0"):
        pytest.skip("this build of onnxruntime reports nothing")
