"""Every command and every line of Python in README.md runs, in the order in which a reader meets them.

They run in a folder laid out as the repository is, on generated patients in the place of the real ones. Long ones get
options that shorten them, and nothing else is changed.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
SCRIPTS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PATIENT = "TCGA_CS_4941_19960909"
# The two set-up commands are .ci/run's own steps.
SET_UP = ["make demo", "make test"]
SHORTER = {
    "brainseg-train all": "--preset quick --epochs 1",
    "brainseg-train all --resume": "--preset quick --epochs 1",
    "pip wheel --no-deps -w dist ./runtime": "--no-build-isolation",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with patients where the README has them, and what the repository's root holds."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "runtime", folder / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "models", folder / "models")
    _run("brainseg-train phantom data/kaggle_3m --patients 8 --seed 5", folder)
    first = min(path for path in (folder / "data" / "kaggle_3m").iterdir() if path.is_dir())
    _rename_patient(first)
    return folder


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in SET_UP])
def test_command_runs(command: str, site: Path) -> None:
    done = _run(f"{command} {SHORTER.get(command, '')}", site)
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda text: f"{len(text.splitlines())}-lines")
def test_python_runs(script: str, site: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=site, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.match(r"\(\d+, 256, 256\) \d+ pixels\n", done.stdout), done.stdout


def test_the_set_up_commands_are_steps_of_ci() -> None:
    steps = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert COMMANDS[: len(SET_UP)] == SET_UP
    for command in SET_UP:
        assert re.search(rf"^{command}\b", steps, re.MULTILINE)


def test_every_shortened_command_is_in_the_readme() -> None:
    assert set(SHORTER) <= set(COMMANDS)


@pytest.mark.parametrize("page", [path.name for path in sorted(ROOT.glob("*.md"))])
def test_links_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert not [target for target in targets if not (ROOT / target).exists()]


def _run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    words = shlex.split(command)
    program = shutil.which(words[0], path=path)
    assert program, f"{words[0]} is not installed"
    start = [sys.executable, "-m", "pip"] if words[0] == "pip" else [program]  # the pip that sees the build's tools
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(
        [*start, *words[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def _rename_patient(folder: Path) -> None:
    for path in folder.iterdir():
        path.rename(folder / path.name.replace(folder.name, PATIENT))
    folder.rename(folder.parent / PATIENT)
