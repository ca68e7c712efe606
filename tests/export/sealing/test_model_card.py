"""The card says of the data what is known of it, and nothing of one set on weights of another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from brainseg_export.evidence.threshold import Calibration
from brainseg_export.sealing.model_card import Facts, write_card
from brainseg_export.sources import kaggle_3m, run_choice
from brainseg_export.sources.patients import validation_patients
from brainseg_export.sources.provenance import Provenance, Recognised
from brainseg_runtime.evaluation.evaluate import evaluate
from brainseg_train.config import AugmentConfig
from brainseg_train.data.dataset import load_dataset
from brainseg_train.data.source import DataSource

ONLY_OF_THE_SET = ("five hospitals", "lower-grade glioma", "kaggle", "CC BY-NC-SA", "Buda")


def nothing(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A network that marks nothing."""
    return np.zeros(images.shape[:3], np.uint8), np.full(images.shape[:3], 0.25, np.float32)


@pytest.fixture(scope="module")
def facts(runs: Path, phantom: Path) -> Facts:
    chosen = run_choice.best(runs)
    patients = validation_patients(load_dataset(phantom), chosen.split)
    evaluation = evaluate(patients.cases(), nothing, threshold=0.5, provider="cpu", variant="fp32", batch=8)
    calibration = Calibration(
        threshold=0.5, temperature=1.0, dice=0.5, dice_at_half=0.5, ece_before=0.1, ece_after=0.1
    )  # fmt: skip
    source = Provenance(source=DataSource(), recognised=None, patients=20, known=0)
    return Facts(
        version="1.0.0", chosen=chosen, calibration=calibration, validation=evaluation, test=None, variants=(),
        left_out={}, provenance=source, parameters=1234, guarded=True,
    )  # fmt: skip


def card(facts: Facts, source: DataSource, recognised: Recognised | None, known: int = 0) -> str:
    provenance = Provenance(source=source, recognised=recognised, patients=20, known=known)
    return write_card(replace(facts, provenance=provenance))


def test_own_data_of_which_nothing_is_stated_is_not_stated(facts: Facts) -> None:
    told = card(facts, DataSource(), None)
    assert "Data set: not stated." in told
    assert "Licence: not stated." in told
    assert not [text for text in ONLY_OF_THE_SET if text in told]


def test_statements_stand_as_they_were_made_and_without_effect(facts: Facts) -> None:
    source = DataSource(name="<b>Ward</b> |7|", licence="internal", url="https://x.org/7", citation="Doe_et_al. 2022.")
    told = card(facts, source, None)
    assert r"\<b\>Ward\</b\> \|7\|, as stated by whoever trained or exported." in told
    assert "- Licence: internal. " in told
    assert "- Address: <https://x.org/7>" in told
    assert r"- To cite: Doe\_et\_al. 2022." in told
    assert not [text for text in ONLY_OF_THE_SET if text in told]


def test_the_set_is_named_with_its_terms_and_its_limits(facts: Facts) -> None:
    source = DataSource(name=kaggle_3m.NAME, licence=kaggle_3m.LICENCE)
    told = card(facts, source, "kaggle_3m", known=20)
    assert "Data set: kaggle_3m, recognised by its pixels." in told
    assert "five hospitals" in told
    assert "Licence: CC-BY-NC-SA-4.0." in told


def test_another_name_for_the_set_does_not_hide_it(facts: Facts) -> None:
    told = card(facts, DataSource(name="ours", licence="CC0-1.0"), "kaggle_3m", known=20)
    assert "kaggle_3m, recognised by its pixels; ours, as stated" in told
    assert "CC BY-NC-SA 4.0" in told
    assert "Licence: CC0-1.0." in told


def test_patients_of_the_set_in_other_data_are_told(facts: Facts) -> None:
    assert "Of its 20 patients 7 are, by their pixels, of kaggle" in card(facts, DataSource(), None, known=7).replace(
        "\\", ""
    )


def test_without_a_fingerprint_no_warning_is_promised(facts: Facts) -> None:
    assert "the runtime warns" in write_card(facts)
    told = write_card(replace(facts, guarded=False))
    assert "the runtime warns" not in told
    assert "cannot warn" in told


def test_weights_that_do_not_say_how_they_learnt_get_no_recipe(facts: Facts) -> None:
    assert "Adam, learning rate" in write_card(facts)
    chosen = replace(facts.chosen, info=replace(facts.chosen.info, config=None))
    assert "Adam" not in write_card(replace(facts, chosen=chosen))


def test_notes_stand_as_they_are_between_training_and_results(facts: Facts) -> None:
    told = write_card(replace(facts, notes="## What to expect\n\n| `a` | <b> |"))
    assert "\n## What to expect\n\n| `a` | <b> |\n\n" in told
    assert told.index("## Training") < told.index("## What to expect") < told.index("## Results on the validation")


def test_a_last_epoch_is_not_called_the_best(facts: Facts) -> None:
    assert "best epoch" in write_card(facts)
    assert facts.chosen.config is not None
    config = replace(facts.chosen.config, keep="last", patience=None, augment=AugmentConfig(scalp=0.5, swap=0.05))
    info = replace(facts.chosen.info, config=config.to_json())
    told = write_card(replace(facts, chosen=replace(facts.chosen, info=info)))
    assert "best epoch" not in told
    assert f"the last epoch, {info.epoch}, kept whatever its score" in told
    assert "for the choice of threshold, temperature and variants," in told
    assert "scalp dimmed, brightened or removed (50% of the slices), T1s exchanged (5%)" in told
