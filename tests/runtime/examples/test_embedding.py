"""The example host runs as the document says, and its audit log tells every series's fate."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.runtime.tiny import TINY, digest_of

ROOT = Path(__file__).parents[3]
HOST = ROOT / "examples" / "embedding_host.py"


def run_host(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Start the host as a user would."""
    return subprocess.run([sys.executable, HOST, *arguments], capture_output=True, text=True, check=False, timeout=120)


def test_every_series_leaves_an_audit_line(tmp_path: Path) -> None:
    done = run_host(TINY, digest_of(TINY), tmp_path / "audit.jsonl")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text("utf-8").splitlines()]
    assert [(line["series"], line["outcome"]) for line in lines] == [
        ("series-0", "done"), ("series-1", "cancelled"), ("series-2", "done"), ("series-wrong-size", "refused"),
    ]  # fmt: skip
    assert lines[0]["bundle_digest"] == digest_of(TINY)
    assert lines[0]["model"] == "tiny 1.0.0"
    assert lines[0]["tumour_pixels"] > 0
    assert lines[3]["error"]["kind"] == "ImageError"


def test_a_bundle_that_was_not_approved_does_not_start(tmp_path: Path) -> None:
    done = run_host(TINY, "0" * 64, tmp_path / "audit.jsonl")
    assert done.returncode == 1
    assert "is not the pinned one" in done.stderr
    assert not (tmp_path / "audit.jsonl").exists()


def test_the_document_shows_the_example_as_it_is() -> None:
    text = (ROOT / "docs" / "embedding.md").read_text("utf-8")
    assert HOST.read_text("utf-8").split('"""', 2)[2].strip() in text
