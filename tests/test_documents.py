"""What the documents state about the code is so: figures, commands, and files for schedulers."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import re
import runpy
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import __main__ as benchmarks
from benchmarks.hosts import RECIPES, lines_of
from benchmarks.pages import render
from benchmarks.record import Figure
from brainseg_train import models

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
PROGRAMS = {"brainseg": "brainseg_runtime", "brainseg-train": "brainseg_train", "brainseg-export": "brainseg_export"}
PAGES = (*ROOT.glob("docs/*.md"), *ROOT.glob("hosts/*/README.md"), ROOT / "models" / "README.md")
SIDE = 352
"""Pixels; wider than any of the convolutional receptive fields."""


def _row(name: str) -> list[str]:
    return next(
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in NETWORKS.splitlines()
        if re.match(rf"\| `{name}`", line)
    )


@pytest.mark.parametrize("name", models.NAMES)
def test_networks_page_states_parameters_and_work(name: str) -> None:
    network = models.build(name).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 128, 128))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert _row(name)[1:3] == [f"{parameters / 1e6:.2f} M", f"{counter.get_total_flops() / 1e9:.2f}"]


@pytest.mark.parametrize("name", models.NAMES)
def test_networks_page_states_the_receptive_field(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column of NaN among standardised pixels reaches exactly those whose receptive field holds it."""
    monkeypatch.setattr(f"brainseg_train.models.{name}.standardise", lambda image: image)
    network = models.build(name, width=1).eval()
    columns = range(0, SIDE, 1)
    centre = slice(SIDE // 2 - 8, SIDE // 2 + 8)
    with torch.no_grad():
        reached = []
        for column in columns:
            image = torch.rand(1, 3, 16, SIDE)
            image[..., column] = torch.nan
            reached.append(network(image)[0, 0, 8, centre].isnan())
    widest = int(torch.stack(reached).sum(dim=0).max())
    assert _row(name)[3] == ("whole image" if widest == SIDE else f"{widest} pixels")


def test_every_decision_has_its_four_parts_and_its_number_once() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [page.name[:3] for page in pages if page.name != "README.md"]
    assert numbers == [f"{number:03d}" for number in range(1, len(numbers) + 1)]
    for page in pages:
        if page.name != "README.md":
            headings = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
            assert headings == ["Context", "Choice", "Measured", "What would change it"], page.name


def _commands() -> dict[str, list[str]]:
    """Every command line of the documents that is one of ours, in words."""
    found = {}
    for page in PAGES:
        whole = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^(?:    |\$ )?(brainseg(?:-train|-export)? .*)$", whole, re.MULTILINE):
            if words := _words(line):
                found[f"{page.name}: {' '.join(words)}"] = words
    return found


def _words(line: str) -> list[str]:
    """A command line in words, without its comment or the words beside it; none if it is prose."""
    try:
        words = shlex.split(line.partition("   ")[0], comments=True)
    except ValueError:
        return []
    prose = any(word.endswith((",", ";", ".", ":")) and not word.endswith("...") for word in words)
    return [] if prose or len(words) < 2 else words


@cache
def _program(name: str) -> Any:  # noqa: ANN401 - typer's own
    """A program, as its main function starts it."""
    module = importlib.import_module(f"{PROGRAMS[name]}.cli")
    made: list[typer.Typer] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "start", lambda _, build, __: made.append(build()))
        module.main([])
    return typer.main.get_command(made[0])


def _parsed(words: list[str]) -> dict[str, Any]:
    """What a command line gives each option and argument; an error if one does not exist."""
    command, rest = _program(words[0]), words[1:]
    context = command.make_context(words[0], [], resilient_parsing=True)
    while hasattr(command, "get_command"):
        name, *rest = rest
        command = command.get_command(context, name)
        assert command is not None, name
        context = command.make_context(name, [], resilient_parsing=True)
        command = context.command
    context.resilient_parsing = False
    given, left, _ = command.make_parser(context).parse_args(list(rest))
    assert not left, left
    return dict(given)


def _measuring() -> set[str]:
    """Every `python -m benchmarks...` and `python -m experiments...` of the documents, from its module on."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("hosts/*/README.md"), *ROOT.glob("models/*.md")]
    found = set()
    for page in [*pages, ROOT / "benchmarks" / "README.md"]:
        whole = page.read_text(encoding="utf-8").replace("\\\n", " ")
        whole = re.sub(r"(?<=\S)\n(?=\S)", " ", whole)  # a command in prose may go on in the next line
        for line in re.findall(r"`python -m ([^`\n]+)`|^(?:    |\$ )python -m (.+)$", whole, re.MULTILINE):
            words = "".join(line).partition("   ")[0].partition(" #")[0].strip()
            if re.match(r"(benchmarks|experiments)\b", words):
                found.add(words)
    return found


COMMANDS = _commands()
MEASURING = sorted(_measuring())


@pytest.mark.parametrize("line", list(COMMANDS))
def test_a_command_in_the_documents_has_the_options_that_it_is_given(line: str) -> None:
    given = _parsed(COMMANDS[line])
    if given.get("address") is not None:
        assert given.get("workers") is not None, "a cluster's address needs the number of workers"


class _ParsedError(Exception):
    """The command line of a program has been read."""


@pytest.mark.parametrize("line", [line for line in MEASURING if " " in line and line != "benchmarks --pages"])
def test_a_measurement_in_the_documents_has_the_options_that_it_is_given(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse = argparse.ArgumentParser.parse_args

    def parse_alone(parser: argparse.ArgumentParser, *arguments: Any) -> None:  # noqa: ANN401 - argparse's own
        parse(parser, *arguments)
        raise _ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_alone)
    name, *words = shlex.split(line)
    monkeypatch.setattr("sys.argv", [name, *words])
    place = ROOT / name.replace(".", "/")
    module = place / "__main__.py" if place.is_dir() else place.with_suffix(".py")
    with pytest.raises(_ParsedError):
        runpy.run_path(str(module), run_name="__main__")


def test_a_module_that_the_documents_measure_by_exists() -> None:
    assert len(MEASURING) > 10
    assert not [line for line in MEASURING if importlib.util.find_spec(line.split()[0]) is None]


def test_the_benchmarks_page_and_tables_are_those_of_their_records() -> None:
    record = json.loads(benchmarks.RESULTS.read_text(encoding="utf-8"))
    figures = [Figure.from_json(value) for value in record["figures"]]
    page = render(figures, record["machine"], benchmarks._shipped_dice())
    assert page == benchmarks.PAGE.read_text(encoding="utf-8"), "python -m benchmarks --pages makes it again"
    tables = benchmarks.README.read_text(encoding="utf-8")
    assert benchmarks._with_tables(tables, record) == tables, "python -m benchmarks --pages makes them again"


def test_the_documents_have_commands_of_every_program() -> None:
    assert {words[0] for words in COMMANDS.values()} == set(PROGRAMS)
    assert any("--address" in words and "--workers" in words for words in COMMANDS.values())


@pytest.mark.parametrize("path", sorted(ROOT.glob("deploy/*.sbatch")), ids=lambda path: path.name)
def test_a_job_for_slurm_is_a_script_whose_command_has_its_options(path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is missing")
    subprocess.run([bash, "-n", str(path)], check=True)
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = re.findall(r"-m brainseg_train\.cli (.*)$", text, re.MULTILINE)
    (example,) = re.findall(r"sbatch deploy/\S+ (.*)$", text, re.MULTILINE)
    assert "data" in _parsed(["brainseg-train", *shlex.split(line.replace('"$@"', example))])


def test_jobs_for_kubernetes_are_documents_whose_command_has_its_options() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    service, job = yaml.safe_load_all((ROOT / "deploy" / "train.kubernetes.yaml").read_text(encoding="utf-8"))
    assert service["metadata"]["name"] == job["spec"]["template"]["spec"]["subdomain"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    words = shlex.split(container["args"][0].partition(" brainseg_train.cli ")[2])
    assert "data" in _parsed(["brainseg-train", *words])
    page = (ROOT / "docs" / "archive.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (container,) = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"]
    assert "out" in _parsed(container["command"])
    held = re.findall(r"^COPY .* (/\S+)$", (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    places = [*held, *(each["mountPath"] for each in container["volumeMounts"])]
    named = [word for word in container["command"] if word.startswith("/")]
    assert not [word for word in named if not any(Path(word).is_relative_to(place) for place in places)]


def _stressed(name: str) -> dict[str, Any]:
    """The stress table of a shipped bundle's manifest, by perturbation."""
    manifest = json.loads((ROOT / "models" / name / "manifest.json").read_text(encoding="utf-8"))
    return {row["name"]: row for row in manifest["training"]["stress"]["rows"]}


@pytest.mark.parametrize(("column", "name"), [(0, "deeplab"), (1, "resunet"), (2, "unet")])
def test_the_stress_page_has_the_figures_of_the_shipped_bundles(column: int, name: str) -> None:
    page = (ROOT / "docs" / "stress.md").read_text(encoding="utf-8").replace("\N{MINUS SIGN}", "-")
    means, _, losses = page.partition("## Measured")[2].partition("Loss against the same bundle")
    rows = _stressed(name)
    cells = {row[0]: row[1:] for row in re.findall(r"^\| `([^`]+)` \| (.+) \| (.+) \| (.+) \|$", means, re.MULTILINE)}
    stated = {each: f"{row['dice']['mean']:.3f}" for each, row in rows.items()}
    assert {each: row[column].partition("→ ")[2].strip("*") for each, row in cells.items()} == stated
    lost = re.findall(
        r"^\| `([^`]+)` \| [^|]+ \| (.+) \| (.+) \| (.+) \|$", losses.partition("Bold: the aim")[0], re.MULTILINE
    )
    assert len(lost) > 10
    for each, *row in lost:
        mean, least = re.fullmatch(r".*→ \**([-+][.\d]+)\** \(lowest ([-+][.\d]+)\)", row[column]).groups()  # type: ignore[union-attr]
        found = rows[each]["difference"]
        assert (mean, least) == (f"{found['mean']:+.3f}", f"{found['min']:+.2f}"), each


def test_the_hosts_table_has_every_host_and_bundle_and_the_lines_of_today() -> None:
    page = (ROOT / "docs" / "hosts.md").read_text(encoding="utf-8")
    table = page.partition("<!-- hosts:begin -->")[2].partition("<!-- hosts:end -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[3:]]
    bundles = sorted(path.parent.name for path in (ROOT / "models").glob("*/manifest.json"))
    assert [(row[0], row[2]) for row in rows] == [(recipe.name, name) for recipe in RECIPES for name in bundles]
    lines = {recipe.name: [str(count) for count in lines_of(recipe)] for recipe in RECIPES}
    assert {row[0]: row[-2:] for row in rows} == lines
