"""Figures that the documents state about the code are the code's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from brainseg_train import models

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
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
