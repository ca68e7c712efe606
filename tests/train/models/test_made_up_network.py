"""A network that nobody knew is a class and a line in the table: it trains by command, is compared, and is exported."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from torch import Tensor, nn

from brainseg_export.evidence.parity import ParityConfig
from brainseg_export.export import Options
from brainseg_export.graphs.fine_tune import TuneConfig
from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_train import models
from brainseg_train.models.blocks import Head, Stem, standardise
from tests.export.conftest import export_best
from tests.train.studies import run_command, tiny

QUICKLY = Options(
    methods=("minmax",), parity=ParityConfig(sizes=((64, 64),), adversarial=2), tuning=TuneConfig(steps=1)
)


class MadeUp(nn.Module):
    """A stem and a head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem, self.head = Stem(width), Head(width)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 1, H, W) logits."""
        logits: Tensor = self.head(self.stem(standardise(image)))
        return logits


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a file `made_up.py` in the folder and a line in the table would be."""
    module = ModuleType("made_up")
    module.MadeUp = MadeUp  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "brainseg_train.models.made_up", module)
    line = models._Network("made_up.MadeUp", "a made-up network (Nobody, 2026)")
    monkeypatch.setattr(models, "_NETWORKS", {**models._NETWORKS, "made-up": line})
    monkeypatch.setattr(models, "NAMES", (*models.NAMES, "made-up"))


@pytest.mark.usefixtures("made_up")
def test_it_trains_is_compared_and_becomes_a_bundle(small_patients: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert run_command("all", *tiny(small_patients, runs, "--models", "made-up")) == 0
    board = json.loads((runs / "leaderboard.json").read_text(encoding="utf-8"))
    assert [row["model"] for row in board["rows"]] == ["made-up"]
    assert "made-up" in (runs / "report.html").read_text(encoding="utf-8")
    bundle = export_best(runs, small_patients, tmp_path / "bundles", QUICKLY).path
    assert "a made-up network (Nobody, 2026)" in (bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert open_bundle(bundle).manifest.name == "made-up"
