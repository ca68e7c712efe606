"""`python -m benchmarks`: every benchmark, then results.json, the tables in README.md and the page, from that one run.

With `--pages` nothing is run; tables and page are made again from results.json. A copy of it under a name such as
results-amx.json keeps what another machine measured: its tables follow, folded.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from benchmarks.pages import render
from benchmarks.record import Figure
from benchmarks.tables import markdown, tables
from brainseg_runtime.safe_io.files import write_json, write_text

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS, README, PAGE = HERE / "results.json", HERE / "README.md", HERE / "results.html"
NOTHING_CHOSEN = 5  # pytest's exit code where the options left no benchmark
BEGIN, END = "<!-- tables:begin -->", "<!-- tables:end -->"


def main(arguments: list[str]) -> int:
    """Run what was asked for (pytest's options may follow) and write all three."""
    failed: list[str] = []
    if "--pages" not in arguments:
        record, failed = _run(arguments)
        if not record["figures"]:
            sys.stderr.write("nothing was measured: results.json is left as it was\n")
            return 1
        write_json(RESULTS, record)
    record = json.loads(RESULTS.read_text(encoding="utf-8"))
    figures = [Figure.from_json(value) for value in record["figures"]]
    write_text(README, _with_tables(README.read_text(encoding="utf-8"), record))
    write_text(PAGE, render(figures, record["machine"], _shipped_dice()))
    sys.stdout.write(f"{RESULTS}\n{README}\n{PAGE}\n")
    if failed:
        sys.stderr.write(f"failed, and missing from the record: {', '.join(failed)}\n")
    return int(bool(failed))


def _run(arguments: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Every file's benchmarks in a pytest of its own: the record, and the files that failed, whose figures it lacks."""
    figures: list[dict[str, Any]] = []
    failed = []
    for path in sorted(HERE.glob("test_*.py")):
        found = _figures(path, arguments)
        if found is None:
            failed.append(path.name)
        figures += found or []
    return {"machine": describe(), "measured": datetime.now(UTC).date().isoformat(), "figures": figures}, failed


def _figures(path: Path, arguments: list[str]) -> list[dict[str, Any]] | None:
    """What one file's benchmarks measured; None where one of them failed."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "benchmark.json"
        command = [sys.executable, "-m", "pytest", str(path), "--benchmark-only", f"--benchmark-json={out}"]
        options = ["-m", "slow or not slow", "--benchmark-columns=median,iqr,rounds", "--benchmark-sort=fullname"]
        code = subprocess.run([*command, *options, *arguments], cwd=ROOT, check=False).returncode
        if code == NOTHING_CHOSEN:
            return []
        if code or not out.is_file():
            return None
        measured = json.loads(out.read_text(encoding="utf-8"))["benchmarks"]
    return [Figure.from_benchmark(value).to_json() for value in measured]


def _with_tables(text: str, record: dict[str, Any]) -> str:
    """The README with its tables replaced: those of this record, then folded those of records from other machines."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    shown = [_tables(record)]
    for path in sorted(HERE.glob("results-*.json")):
        other = json.loads(path.read_text(encoding="utf-8"))
        title = f"On another machine, {other['measured']}: {', '.join(other['machine']['instructions'])}"
        shown.append(f"<details><summary>{title}</summary>\n\n{_tables(other)}\n</details>\n")
    made = "\n".join(shown)
    return f"{before}{BEGIN}\n{made}{END}{after}"


def _tables(record: dict[str, Any]) -> str:
    """A record's tables, under a line that says what they were measured on."""
    machine = record["machine"]
    where = f"{machine['processor']}, {machine['cores']} cores ({', '.join(machine['instructions'])})"
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    figures = [Figure.from_json(value) for value in record["figures"]]
    made = "\n".join(map(markdown, tables(figures)))
    return f"Measured on {where}; Python {machine['python']}, {versions}; {record['measured']}.\n\n{made}"


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
