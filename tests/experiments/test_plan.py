"""What the campaign consists of."""

from __future__ import annotations

from brainseg_train.config import AugmentConfig, preset
from brainseg_train.data.dataset import DataSet
from experiments.plan import FOLDS, NETWORKS, campaign


def test_every_patient_is_held_out_once_by_each_network_and_the_control(small_set: DataSet) -> None:
    everyone = sorted(patient.id for patient in small_set.patients)
    for group in (*NETWORKS, "control"):
        folds = [job for job in campaign(small_set) if job.name.startswith(f"{group}-fold")]
        assert len(folds) == FOLDS
        assert sorted(name for job in folds for name in job.held) == everyone


def test_networks_are_trained_by_the_shipped_preset(small_set: DataSet) -> None:
    for job in campaign(small_set):
        if job.rank == 0:
            assert job.config == preset("shipped", job.config.model)
            assert job.config.keep == "last"


def test_the_control_has_the_folds_and_seeds_of_unet_and_the_earlier_augmentation(small_set: DataSet) -> None:
    jobs = {job.name: job for job in campaign(small_set)}
    for name in ("final", *(f"fold{k}" for k in range(FOLDS))):
        control, unet = jobs[f"control-{name}"], jobs[f"unet-{name}"]
        assert (control.held, control.config.seed) == (unet.held, unet.config.seed)
        assert control.config.augment == AugmentConfig()
        assert control.rank > unet.rank


def test_a_patient_that_is_held_out_is_not_trained_on(small_set: DataSet) -> None:
    for job in campaign(small_set):
        split = job.split(small_set)
        assert set(split.validation) == job.held
        assert not set(split.train) & job.held
        assert len(split.train) + len(split.validation) == len(small_set.patients)
