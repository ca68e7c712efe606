"""Records say what made them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from brainseg_train.runs import provenance


def test_versions_are_those_in_use() -> None:
    found = provenance.versions()
    assert (found["torch"], found["numpy"]) == (torch.__version__, np.__version__)
    assert set(found) >= {"python", "brainseg", "safetensors"}


def test_the_machine_is_named() -> None:
    found = provenance.hardware(torch.device("cpu"))
    assert found["cores"] == os.cpu_count()
    assert json.loads(json.dumps(found)) == found


def test_the_commit_is_the_one_that_git_names() -> None:
    folder = Path(provenance.__file__).parent
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not run from a repository")
    provenance.git_state.cache_clear()
    state = provenance.git_state()
    assert state is not None
    assert len(state["commit"]) == len(done.stdout.strip())
    assert isinstance(state["dirty"], bool)


def test_without_git_the_state_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    provenance.git_state.cache_clear()
    assert provenance.git_state() is None
    provenance.git_state.cache_clear()
