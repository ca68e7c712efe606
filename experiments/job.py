"""One run of a campaign: a network, its settings, and the patients that it learns from and is measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from brainseg_train.data.split import Split

if TYPE_CHECKING:
    from brainseg_train.config import TrainConfig
    from brainseg_train.data.dataset import DataSet


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A run that is planned."""

    name: str
    """Unique in its campaign; the name of its run's folder."""
    config: TrainConfig
    """What is trained; its last epoch is kept."""
    held: frozenset[str]
    """Patients that it is measured on and that decide nothing: every other patient trains."""
    rank: int
    """Jobs of a lower rank end first, so that a cut costs least."""

    def split(self, dataset: DataSet) -> Split:
        """The job's patients as a split, the held ones as its validation."""
        names = [patient.id for patient in dataset.patients]
        return Split(
            train=tuple(name for name in names if name not in self.held),
            validation=tuple(name for name in names if name in self.held),
            test=(),
            seed=0,
            data_digest=dataset.digest,
        )
