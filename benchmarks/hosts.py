"""Runs every host on every bundle and prints the table of `docs/hosts.md`: `python -m benchmarks.hosts`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnxruntime

from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.installation.golden_files import write_golden

ROOT: Final = Path(__file__).resolve().parents[1]
HOSTS: Final = ROOT / "hosts"
JARS: Final = os.pathsep.join(
    f"/usr/share/java/{name}.jar" for name in ("jna", "jackson-core", "jackson-databind", "jackson-annotations")
)
COLUMNS: Final = ("host", "onnxruntime", "bundle", "Δ fp32", "Δ int8", "pixels", "s fp32", "s int8", "lines", "of code")
BEGIN, END = "<!-- hosts:begin -->", "<!-- hosts:end -->"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a host is built and started; `{made}` is a folder for what is built, `{library}` onnxruntime's."""

    name: str
    needs: tuple[str, ...]
    build: tuple[str, ...]
    run: tuple[str, ...]
    sources: str


RECIPES: Final = (
    Recipe(
        name="cpp",
        needs=("g++",),
        build=("g++", "-std=c++17", "-O2", "host.cpp", "-o", "{made}/host", "-lcrypto", "-ldl"),
        run=("{made}/host", "--library", "{library}"),
        sources="*.[ch]pp",
    ),
    Recipe(
        name="csharp",
        needs=("mcs", "mono"),
        build=("mcs", "-out:{made}/host.exe", "*.cs"),
        run=("mono", "{made}/host.exe", "--library", "{library}"),
        sources="*.cs",
    ),
    Recipe(
        name="java",
        needs=("javac", "java"),
        build=("javac", "-cp", JARS, "-d", "{made}", "*.java"),
        run=("java", "-cp", f"{{made}}{os.pathsep}{JARS}", "Host", "--library", "{library}"),
        sources="*.java",
    ),
    Recipe(name="node", needs=("node",), build=(), run=("node", f"{HOSTS}/node/host.js"), sources="*.js"),
)


def main() -> int:
    """Prints the table; the exit code is 1 if a host that could be built fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="also puts the table into docs/hosts.md")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="brainseg-hosts-") as folder:
        golden = dict(_write_cases(Path(folder) / "golden"))
        rows, faults = [], 0
        for recipe in RECIPES:
            command = _build(recipe, Path(folder) / recipe.name)
            for bundle, cases in golden.items() if command else ():
                row = _row(recipe, command, bundle, cases)
                faults += row is None
                rows += [row] if row else []
    table = "\n".join([_line(COLUMNS), "|---" * len(COLUMNS) + "|", *rows])
    sys.stdout.write(f"{table}\n")
    if asked.write:
        page = ROOT / "docs" / "hosts.md"
        before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
        page.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return int(faults > 0)


def _write_cases(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Each shipped bundle and its golden cases as raw bytes."""
    for manifest in sorted((ROOT / "models").glob("*/manifest.json")):
        bundle = manifest.parent
        write_golden(open_bundle(bundle), folder / bundle.name)
        yield bundle, folder / bundle.name


def _build(recipe: Recipe, made: Path) -> list[str]:
    """The command that starts a host, once it is built; empty where this machine lacks what it needs."""
    missing = [each for each in recipe.needs if shutil.which(each) is None]
    if recipe.name == "node" and not (HOSTS / "node" / "node_modules").is_dir():
        missing.append("`npm ci` in hosts/node")
    if missing:
        sys.stderr.write(f"{recipe.name} is left out: {', '.join(missing)} missing\n")
        return []
    made.mkdir()
    library = min((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.*"))
    folder = HOSTS / recipe.name
    words = [word.format(made=made, library=library) for word in recipe.build]
    files = [str(path) for word in words if "*" in word for path in sorted(folder.glob(word))]
    if words:
        subprocess.run([*(word for word in words if "*" not in word), *files], cwd=folder, check=True)
    return [word.format(made=made, library=library) for word in recipe.run]


def _row(recipe: Recipe, command: list[str], bundle: Path, golden: Path) -> str | None:
    """A line of the table: both variants of one bundle; None if one of them fails."""
    found = {
        variant: _run([*command, bundle, "--variant", variant, "--golden", golden]) for variant in ("fp32", "int8")
    }
    if None in found.values():
        return None
    reports = [found["fp32"] or {}, found["int8"] or {}]
    largest = [max(case["max_probability_difference"] for case in each["cases"]) for each in reports]
    pixels = sum(case["mask_pixels_different"] for each in reports for case in each["cases"])
    differences = [f"{each:.1e}" if each else "0" for each in largest]
    seconds = [f"{each['seconds']:.2f}" for each in reports]
    return _line(
        [recipe.name, reports[0]["onnxruntime"], bundle.name, *differences, pixels, *seconds, *lines_of(recipe)]
    )


def lines_of(recipe: Recipe) -> tuple[int, int]:
    """Lines of a host's sources, and those of them that are neither blank nor a comment."""
    lines = [
        line.strip()
        for path in (HOSTS / recipe.name).glob(recipe.sources)
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return len(lines), sum(not line.startswith(("//", "/*", "*", "#!")) for line in lines if line)


def _line(cells: Iterable[object]) -> str:
    """A line of a table in Markdown."""
    return f"| {' | '.join(map(str, cells))} |"


def _run(command: list[object]) -> dict[str, Any] | None:
    """A host's report; None if it found a fault, which goes to standard error."""
    done = subprocess.run([*map(str, command), "--json"], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(f"{' '.join(map(str, command))}\n{done.stderr}\n")
        return None
    report: dict[str, Any] = json.loads(done.stdout)
    return report


if __name__ == "__main__":
    sys.exit(main())
