"""The page in Chromium: `web/tests/page/*.test.mjs`, on made patients and on a node with a made queue."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile

from brainseg_runtime.node.config import HttpSettings, IntakeSettings, NodeConfig
from brainseg_runtime.node.watching.app import create_app
from brainseg_runtime.node.watching.libraries import quieted
from brainseg_runtime.node.watching.log import Log
from brainseg_runtime.node.watching.page import PAGE_POLICY
from tests.runtime.node.watching.made_queue import IDENTIFYING, made_queue
from tests.runtime.node.watching.serving import serving
from tests.web.conftest import WEB
from tests.web.made_files import TINY, Made, picture

TOKEN = "a-token-for-tests-" + "7" * 16
LONGEST = 1200
"""Seconds for a file of tests: a browser on two cores that others use as well."""


@pytest.mark.parametrize("name", ["opening", "choosing", "names", "segmenting", "people", "hostile", "offline"])
def test_page(name: str, page: Path, made: Made) -> None:
    print(_run(name, page, made))  # noqa: T201 - the times, shown by -rP


def test_the_saved_masks_are_pythons(page: Path, made: Made) -> None:
    saved = made.folder / "saved"
    if not (saved / "save-tiff.zip").exists():
        _run("segmenting", page, made)
    with zipfile.ZipFile(saved / "save-tiff.zip") as archive:
        names = sorted(archive.namelist(), key=lambda name: int(re.findall(r"\d+", name)[-1]))
        slices = [tifffile.imread(io.BytesIO(archive.read(name))) for name in names]
    assert np.array_equal(np.stack(slices) > 0, made.mask > 0)
    volume = nibabel.load(saved / "save-nifti.nii.gz")
    assert isinstance(volume, nibabel.Nifti1Image)
    assert np.array_equal(np.asarray(volume.dataobj).transpose(2, 1, 0) > 0, made.mask > 0)


def test_page_of_a_node(page: Path, made: Made, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    with (
        _node(tmp_path / "open", HttpSettings(port=0), page) as (port, done),
        _node(tmp_path / "locked", HttpSettings(port=0, token_file=token), page) as (locked, _),
    ):
        urls = {"BRAINSEG_NODE": f"http://localhost:{port}/", "BRAINSEG_LOCKED_NODE": f"http://localhost:{locked}/"}
        _run("node", page, made, **urls, BRAINSEG_TOKEN=TOKEN, BRAINSEG_DONE=done)


def test_the_page_and_the_node_name_one_policy() -> None:
    source = (WEB / "offline.plugin.ts").read_text(encoding="utf-8")
    declared = re.search(r"export const POLICY =\n((?:  \".*\n)+)", source)
    assert declared
    assert "".join(re.findall(r'"([^"]*)"', declared[1])) == PAGE_POLICY


def test_the_document_states_the_sizes_of_what_is_built(page: Path) -> None:
    table = (WEB.parent / "docs" / "web.md").read_text(encoding="utf-8")
    stated = {what: float(size) for what, size in re.findall(r"^\| ([^|]+) \| ([\d.]+) [KM]B \|", table, re.MULTILINE)}
    files = {path.name: path.stat().st_size for path in page.rglob("*") if path.is_file()}
    workers = sorted((size for name, size in files.items() if name.startswith("worker-")), reverse=True)
    wasm = sum(size for name, size in files.items() if name.endswith(".wasm"))
    rest = sum(size for name, size in files.items() if not name.startswith("ort-") and not name.endswith(".js"))
    found = {
        "onnxruntime's WebAssembly (SIMD, threads; no WebGPU)": wasm / 1e6,
        "the page's script": sum(size for name, size in files.items() if re.fullmatch(r"page-.*\.js", name)) / 1e3,
        "the worker that opens images": workers[0] / 1e3,
        "the worker that segments": workers[1] / 1e3,
        "style sheet, HTML, service worker, icon": (rest + files["sw.js"]) / 1e3,
    }
    assert stated == {what: pytest.approx(size, rel=0.04) for what, size in found.items()}


@pytest.mark.parametrize("kind", ["", "faults.", "warnings."])
def test_both_languages_have_the_same_words_with_the_same_values(kind: str) -> None:
    english, german = (_words(WEB / "src" / "app" / "strings" / f"{kind}{code}.ts") for code in ("en", "de"))
    assert english
    assert english.keys() == german.keys()
    differing = {key for key, text in english.items() if _values(text) != _values(german[key])}
    assert not differing


def test_every_fault_and_warning_of_the_sources_has_words() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (WEB / "src").rglob("*.ts") if "strings" not in path.parts]
    used = {code for text in sources for code in re.findall(r"new (?:Page)?Fault\(\s*\"([a-z-]+)\"", text)}
    assert used
    assert not used - _words(WEB / "src" / "app" / "strings" / "faults.en.ts").keys()


def test_packages_come_from_the_registry_and_have_hashes() -> None:
    packages = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    installed = {name: each for name, each in packages.items() if name}
    assert installed
    assert not [name for name, each in installed.items() if not each["integrity"].startswith("sha512-")]
    urls = [each["resolved"] for each in installed.values() if "resolved" in each]
    assert not [url for url in urls if not url.startswith("https://registry.npmjs.org/")]
    wanted = json.loads((WEB / "package.json").read_text(encoding="utf-8"))
    versions = {**wanted["dependencies"], **wanted["devDependencies"]}
    assert not [name for name, version in versions.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)]


def _words(path: Path) -> dict[str, str]:
    """Keys and texts of a file of words; a fault's parts are one text."""
    text = path.read_text(encoding="utf-8")
    text = text[text.index("= {") :]
    blocks = re.findall(r'^  "([\w.-]+)":\s*(\{.*?^  \}|"(?:[^"\\]|\\.)*"),$', text, re.MULTILINE | re.DOTALL)
    return dict(blocks)


def _values(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+%?)\}", text))


def _run(name: str, page: Path, made: Made, **more: str) -> str:
    """Run one file of tests in Node.js.

    Returns:
        What it said.
    """
    node = shutil.which("node")
    assert node
    settings = {
        "BRAINSEG_PAGE": str(page),
        "BRAINSEG_MODEL": str(TINY),
        "BRAINSEG_MADE": str(made.folder),
        "BRAINSEG_DIGEST": made.digest,
        "BRAINSEG_VOXELS": str(made.voxels),
        "BRAINSEG_LARGEST": str(made.largest),
    }
    done = subprocess.run(
        [node, "--test", "--test-force-exit", "--test-reporter=spec", f"tests/page/{name}.test.mjs"],
        cwd=WEB,
        env={**os.environ, **settings, **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout


@contextmanager
def _node(folder: Path, http: HttpSettings, page: Path) -> Iterator[tuple[int, str]]:
    """A node with a made queue that serves the page; its port and the key of the study that is done."""
    queue = made_queue(folder / "state")
    for path in (folder / "state").rglob("preview.png"):
        picture(path)
    stream = io.StringIO()
    log = Log(stream)
    config = NodeConfig(folder=folder / "state", http=http, intake=IntakeSettings(min_free_mib=0))
    app = create_app(config, queue.store, log, page=page)
    with quieted(log), serving(app, http, log) as port:
        yield port, queue.keys["done"]
    queue.store.close()
    assert not [part for part in IDENTIFYING if part in stream.getvalue()]
