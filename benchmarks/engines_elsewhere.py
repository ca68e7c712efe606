"""Which other engines take the shipped files, and how right they are: `python -m benchmarks.engines_elsewhere`.

Each engine runs in a virtual environment of its own, with pinned versions, in one process for each file: a crash is an
outcome. A file is tried as shipped, then with a fixed shape, then with everything computed that a fixed shape settles;
the first that runs counts. Answers are compared with the golden cases, and on real slices with onnxruntime's.
Prints the table of `docs/engines.md`.

Legend: N batch, H rows, W columns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.engines_elsewhere_files import FORMS, Case, golden_cases, real_slices, write_form
from benchmarks.engines_elsewhere_outcomes import Outcome, compare, table, told
from benchmarks.machine import describe
from brainseg_runtime.bundles.bundle import Bundle, open_bundle
from brainseg_runtime.safe_io.files import write_json

CHILD: Final = Path(__file__).with_name("engines_elsewhere_child.py")
TIMEOUT: Final = 900
"""Seconds for one file, which a busy machine may need."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An engine and the packages of its environment."""

    name: str
    runs: str
    """The function of `engines_elsewhere_child`."""
    requires: tuple[str, ...]
    """Its own package first."""
    environment: str
    forms: tuple[str, ...] = FORMS


def _onnxruntime(release: str, *others: str) -> Engine:
    requires = (f"onnxruntime=={release}", *others)
    name = f"onnxruntime {release}"
    return Engine(name=name, runs="onnxruntime", requires=requires, environment=name, forms=FORMS[:1])


OLD_NUMPY: Final = "numpy==1.26.4"  # what wheels before 1.19 were built for
OPENVINO: Final = ("openvino==2026.4.1",)
ENGINES: Final = (
    _onnxruntime("1.32.0"),
    _onnxruntime("1.15.1", OLD_NUMPY),
    _onnxruntime("1.18.1", OLD_NUMPY),
    _onnxruntime("1.22.1"),
    _onnxruntime("1.26.0"),
    _onnxruntime("1.29.0"),
    Engine(
        name="onnxruntime 1.32.0, .ort format",
        runs="ort_format",
        requires=("onnxruntime==1.32.0",),
        environment="onnxruntime 1.32.0",
        forms=FORMS[:1],
    ),
    Engine(name="OpenVINO, default", runs="openvino", requires=OPENVINO, environment="openvino"),
    Engine(name="OpenVINO, f32 hint", runs="openvino_f32", requires=OPENVINO, environment="openvino"),
    Engine(name="tract", runs="tract", requires=("tract==0.23.9",), environment="tract"),
    Engine(name="OpenCV 4 DNN", runs="opencv", requires=("opencv-python-headless==4.14.0.94",), environment="opencv4"),
    Engine(name="OpenCV 5 DNN", runs="opencv", requires=("opencv-python-headless==5.0.0.93",), environment="opencv5"),
    Engine(
        name="LiteRT",
        runs="litert",
        requires=(
            "ai-edge-litert==2.1.0",
            "onnx2tf==1.29.24",
            "tensorflow-cpu==2.19.1",
            "tf_keras==2.19.0",
            "numpy==1.26.4",
            "onnx==1.19.1",
            "onnxruntime==1.23.0",
            "onnx-graphsurgeon==0.5.8",
            "onnxsim==0.4.36",
            "sng4onnx==2.0.1",
            "psutil==5.9.5",
        ),
        environment="litert",
    ),
    Engine(name="MNN", runs="mnn", requires=("MNN==3.6.1", "numpy==2.4.6"), environment="mnn"),
)
REFERENCE: Final = ENGINES[0]


@dataclass(frozen=True, kw_only=True)
class Material:
    """What every engine gets of one bundle."""

    bundle: Bundle
    golden: tuple[Case, ...]
    images: tuple[NDArray[np.uint8], ...]
    """Golden images, then real slices, each (1, H, W, 3)."""
    files: Path


def main() -> int:
    """Measures what the JSON file does not hold yet, and prints the table of all that it holds then."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundles", type=Path, default=Path("models"))
    parser.add_argument("--data", type=Path, default=os.environ.get("BRAINSEG_DATA"), help="real patients")
    parser.add_argument("--slices", type=int, default=90)
    parser.add_argument("--engine", nargs="*", help="only these")
    parser.add_argument("--work", type=Path, help="for environments and models, kept; a temporary one without it")
    parser.add_argument("--json", type=Path, required=True, help="gets the outcomes")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="brainseg-engines-") as temporary:
        _measure(asked, (asked.work or Path(temporary)).resolve())
    held = json.loads(asked.json.read_text(encoding="utf-8"))
    _say("\n".join(table([Outcome(**each) for each in held["outcomes"]], [engine.name for engine in ENGINES])))
    return 0


def _measure(asked: argparse.Namespace, work: Path) -> None:
    held = json.loads(asked.json.read_text(encoding="utf-8"))["outcomes"] if asked.json.exists() else []
    outcomes = [Outcome(**each) for each in held]
    slices = real_slices(asked.data, asked.slices) if asked.data else ()
    engines = [each for each in ENGINES if _wanted(each, asked.engine)]
    for path in sorted(asked.bundles.glob("*/manifest.json")):
        material = _prepare(path.parent, work / "files" / path.parent.name, slices)
        for variant in material.bundle.manifest.variants:
            for engine in engines:
                outcome = _outcome(engine, variant, material, work, outcomes)
                if outcome is None:
                    continue
                outcomes.append(outcome)
                _say(f"{engine.name}, {material.bundle.manifest.name} {variant}: {told(outcome)}")
                facts = {"date": datetime.now(UTC).date().isoformat(), "machine": describe()}
                write_json(asked.json, {**facts, "outcomes": [asdict(each) for each in outcomes]})


def _wanted(engine: Engine, names: Sequence[str] | None) -> bool:
    return engine is REFERENCE or not names or engine.name in names


def _prepare(folder: Path, files: Path, slices: Sequence[NDArray[np.uint8]]) -> Material:
    """Open a bundle and lay its images as files."""
    bundle = open_bundle(folder)
    golden = golden_cases(bundle)
    images = (*(case.image for case in golden), *slices)
    files.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        np.save(files / f"{number}.npy", image)
    return Material(bundle=bundle, golden=golden, images=images, files=files)


def _outcome(
    engine: Engine, variant: str, material: Material, work: Path, outcomes: Sequence[Outcome]
) -> Outcome | None:
    """Run an engine; None if its outcome is known and its answers are not needed."""
    bundle = material.bundle
    known = {each.engine: each for each in outcomes if (each.bundle, each.variant) == (bundle.digest, variant)}
    answers = material.files / f"{variant}-{engine.name}.npz"
    reference = material.files / f"{variant}-{REFERENCE.name}.npz"
    if engine.name in known and (engine is not REFERENCE or answers.exists()):
        return None
    identity: dict[str, Any] = {"engine": engine.name, "network": bundle.manifest.name, "bundle": bundle.digest}
    errors: list[str] = []
    python = environment(engine, work / "environments")
    if isinstance(python, str):
        return Outcome(**identity, variant=variant, errors=(python,))
    for form in engine.forms:
        ran = _run(engine, python, form, variant, material, answers)
        if isinstance(ran, str):
            errors.append(f"{form}: {ran}")
            continue
        base = ran["seconds"] if engine is REFERENCE else known[REFERENCE.name].seconds
        facts = compare(variant, material.bundle, material.golden, np.load(answers), np.load(reference))
        ratio = ran["seconds"] / base if base and ran["seconds"] else None
        same = {**identity, "variant": variant, "form": form, "errors": tuple(errors)}
        outcome = Outcome(**same, version=ran["version"], seconds=ran["seconds"], ratio=ratio, **facts)
        return None if engine.name in known else outcome
    return Outcome(**identity, variant=variant, errors=tuple(errors))


def environment(engine: Engine, folder: Path) -> Path | str:
    """The Python of an engine's environment, made if needed; or why it cannot be made."""
    home = folder / engine.environment.replace(" ", "-")
    python = home / "bin" / "python"
    ready = home / "ready"
    if ready.exists():
        return python
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-compile",
        "--only-binary=:all:",
    ]
    done = subprocess.run([*install, *engine.requires], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"pip: {_reason(done.stderr)}"
    ready.touch()
    return python


def _run(
    engine: Engine, python: Path, form: str, variant: str, material: Material, answers: Path
) -> dict[str, Any] | str:
    """Run one form of a file in a process; what it told, or why it failed."""
    shapes = {image.shape[1:3] for image in material.images}
    models = write_form(form, material.bundle.model(variant), shapes, material.files / f"{variant}-{engine.runs}")
    if isinstance(models, str):
        return models
    job = {
        "engine": engine.runs,
        "package": engine.requires[0].partition("==")[0],
        "models": models,
        "images": [str(material.files / f"{number}.npy") for number in range(len(material.images))],
        "timed": len(material.golden),
        "out": str(answers),
    }
    asked = answers.with_suffix(".json")
    asked.write_text(json.dumps(job), encoding="utf-8")
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [str(python), "-I", str(CHILD), str(asked)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT, check=False, env=settings, cwd=material.files
        )
    except subprocess.TimeoutExpired:
        return f"took more than {TIMEOUT} s"
    if done.returncode < 0:
        return f"the process was killed by signal {-done.returncode}"
    if done.returncode > 0:
        return _reason(done.stderr)
    ran: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return ran


def _reason(text: str) -> str:
    """The line of a traceback or log that says why."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    wanted = [line for line in lines if "rror" in line and not line.startswith(("File", "WARNING"))]
    return (wanted or lines or ["no reason given"])[-1][:200]


def _say(text: str) -> None:
    """A line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
