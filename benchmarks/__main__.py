"""`python -m benchmarks`: every benchmark, then results.json, the tables in README.md and the page, from that one run.

With `--pages` nothing is run; tables and page are made again from results.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from benchmarks.pages import render
from benchmarks.record import Figure
from benchmarks.tables import markdown, tables
from brainseg_runtime.files import write_json, write_text

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS, README, PAGE = HERE / "results.json", HERE / "README.md", HERE / "results.html"
BEGIN, END = "<!-- tables:begin -->", "<!-- tables:end -->"


def main(arguments: list[str]) -> int:
    """Run what was asked for (pytest's options may follow) and write all three."""
    if "--pages" not in arguments:
        code, record = _run(arguments)
        if record is None:
            return code
        write_json(RESULTS, record)
    record = json.loads(RESULTS.read_text(encoding="utf-8"))
    figures = [Figure.from_json(value) for value in record["figures"]]
    write_text(README, _with_tables(README.read_text(encoding="utf-8"), figures, record["machine"]))
    write_text(PAGE, render(figures, record["machine"], _shipped_dice()))
    sys.stdout.write(f"{RESULTS}\n{README}\n{PAGE}\n")
    return 0


def _run(arguments: list[str]) -> tuple[int, dict[str, Any] | None]:
    """All benchmarks in one pytest; exit code and record, which is None where there is nothing to keep."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "benchmark.json"
        command = [sys.executable, "-m", "pytest", str(HERE), "--benchmark-only", f"--benchmark-json={out}"]
        options = ["-m", "slow or not slow", "--benchmark-columns=median,iqr,rounds", "--benchmark-sort=fullname"]
        code = subprocess.run([*command, *options, *arguments], cwd=ROOT, check=False).returncode
        if code or not out.is_file():
            sys.stderr.write("a benchmark failed: results.json is left as it was\n")
            return code or 1, None
        measured = json.loads(out.read_text(encoding="utf-8"))
    figures = [Figure.from_benchmark(value).to_json() for value in measured["benchmarks"]]
    return 0, {"machine": describe(), "measured": measured["datetime"][:10], "figures": figures}


def _with_tables(text: str, figures: list[Figure], machine: dict[str, Any]) -> str:
    """The README with its tables replaced."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    where = f"{machine['processor']}, {machine['cores']} cores ({', '.join(machine['instructions'])})"
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    shown = "\n".join(map(markdown, tables(figures)))
    return f"{before}{BEGIN}\nMeasured on {where}; Python {machine['python']}, {versions}.\n\n{shown}{END}{after}"


def _shipped_dice() -> dict[str, dict[str, float]]:
    """Mean volume Dice of every variant that the shipped bundles' manifests state."""
    found: dict[str, dict[str, float]] = {}
    for manifest in sorted((ROOT / "models").glob("*/manifest.json")):
        variants = json.loads(manifest.read_text(encoding="utf-8")).get("variants", {})
        for variant, value in variants.items():
            score = (value.get("accuracy") or {}).get("validation_volume_dice")
            if isinstance(score, (int, float)):
                found.setdefault(manifest.parent.name, {})[variant] = float(score)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
