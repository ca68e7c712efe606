"""A training run in a process of its own, to be killed: a tiny network on made-up slices, saved every other step."""

from __future__ import annotations

from pathlib import Path

from brainseg_train.config import TrainConfig
from brainseg_train.runs.fit import fit
from tests.train.arrays import make_dataset, make_split


def train(model: str, folder: str) -> None:
    """Begin the run in a folder, or take it up, and see it through."""
    dataset = make_dataset()
    config = TrainConfig(
        model=model, width=2, epochs=3, batch=8, schedule="cosine", rate=5e-3, ema_decay=0.9, device="cpu"
    )
    fit(config, dataset, make_split(dataset), Path(folder), resume=True, threads=1, save_every=2)
