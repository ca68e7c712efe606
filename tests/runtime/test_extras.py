"""What is told about a missing extra can be run as it stands: nothing of this project is on a package index."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from brainseg_runtime.extras import install_remedy
from tests.architecture.sources import sources
from tests.runtime.command_line import environment

EXTRAS = ("io", "cli", "node", "openvino", "sign", "study", "train", "export")


def installed(folder: Path, name: str, url: str | None, *, editable: bool = False) -> str:
    """What a fresh interpreter says where a distribution of this name is installed from a URL, and no other is."""
    info = folder / f"{name.replace('-', '_')}-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n", encoding="utf-8")
    if url is not None:
        record = {"url": url, "dir_info": {"editable": editable}}
        (info / "direct_url.json").write_text(json.dumps(record), encoding="utf-8")
    hidden = f"import sys, importlib.metadata as m; found = m.distribution({name!r})\n"
    script = (
        f"import sys; sys.path.insert(0, {str(folder)!r})\n{hidden}"
        "def only(name):\n"
        f"    if name != {name!r}: raise m.PackageNotFoundError(name)\n"
        "    return found\n"
        "m.distribution = only; m.version = lambda name: only(name).version\n"
        "from brainseg_runtime.extras import install_remedy; print(install_remedy('io')); print(install_remedy('sign'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(), check=True, timeout=60
    )
    return done.stdout


def test_the_wheel_that_was_installed_is_named(tmp_path: Path) -> None:
    wheel = tmp_path / "a folder" / "brainseg_runtime-9.9-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    told = installed(tmp_path, "brainseg-runtime", wheel.as_uri())
    assert f'pip install "{wheel}[io]"' in told
    assert f'pip install "{wheel}[sign]"' in told


def test_a_source_tree_is_named_and_stays_editable(tmp_path: Path) -> None:
    told = installed(tmp_path, "brainseg", tmp_path.as_uri(), editable=True).splitlines()
    assert told[0].endswith(f'pip install -e "{tmp_path}"'), "the whole package brings io"
    assert told[1].endswith(f'pip install -e "{tmp_path}[sign]"')


@pytest.mark.parametrize("url", [None, "file:///gone/for/good.whl", "https://example.org/a.whl"])
def test_where_it_came_from_is_unknown_or_gone(tmp_path: Path, url: str | None) -> None:
    told = installed(tmp_path, "brainseg-runtime", url)
    assert "PATH/brainseg_runtime-" in told
    assert 'in the source tree pip install "./runtime[io]"' in told


@pytest.mark.parametrize("extra", EXTRAS)
def test_no_remedy_asks_an_index_for_this_package(extra: str) -> None:
    told = install_remedy(extra)
    assert f"[{extra}]" in told
    assert "pip install" in told
    assert not re.search(r"pip install (?:-e )?['\"]?brainseg", told)


@pytest.mark.parametrize("source", sources(), ids=str)
def test_no_source_does_so_either(source: object) -> None:
    assert not re.search(r"pip install (?:-e )?['\"]*brainseg", getattr(source, "text", ""))


def test_the_extras_exist() -> None:
    try:
        known = importlib.metadata.metadata("brainseg").get_all("Provides-Extra") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("brainseg is not installed here")
    assert {"train", "export", "openvino", "sign"} <= set(known)
