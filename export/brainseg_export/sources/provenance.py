"""What a bundle says about the data that its weights were trained on: recognised, stated, or left open.

Two data sets are recognised: the phantom by its mark and names, and `kaggle_3m` by its pixels. Of any other the bundle
gives what those who trained or exported stated, and says "not stated" where nobody did.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from brainseg_export.errors import ExportError
from brainseg_export.machine_paths import machine_paths
from brainseg_export.sources import kaggle_3m
from brainseg_runtime.bundles.manifest import Licence
from brainseg_runtime.safe_io.typed_json import to_json
from brainseg_train.data.source import DataSource, stated_beside
from brainseg_train.phantom.patients import MARK

if TYPE_CHECKING:
    from brainseg_export.sources.run_choice import Chosen
    from brainseg_runtime.safe_io.strict_json import Json
    from brainseg_train.data.dataset import DataSet

NOT_STATED: Final = "not stated"

PHANTOM: Final = Licence(
    id="Apache-2.0", note="Trained on drawn heads, not on patients: it shows that the software works and nothing else."
)
"""Licence of weights that were trained on the phantom."""

_DRAWN: Final = re.compile(r"[A-Za-z0-9]+_P[1-4]_[A-Za-z0-9-]+_[0-9]{8}")

Recognised = Literal["phantom", "kaggle_3m"]


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a bundle's training data comes from."""

    source: DataSource
    """What was recognised or stated."""
    recognised: Recognised | None
    """The data set, if it was recognised by its files."""
    patients: int
    """How many there are."""
    known: int
    """How many of them are patients of `kaggle_3m`, recognised by their pixels."""

    @property
    def licence(self) -> Licence:
        """The terms of the weights, as far as they are known.

        >>> ours = DataSource(name="Ward 7", licence="CC0-1.0")
        >>> print(Provenance(source=ours, recognised=None, patients=9, known=0).licence.note)
        Trained on Ward 7; whoever trained or exported states its licence as CC0-1.0.
        """
        if self.recognised == "phantom":
            return PHANTOM
        name, stated = self.source.name, self.source.licence
        data = kaggle_3m.TERMS if self.recognised else name or "data whose origin is not stated"
        if self.recognised and stated == kaggle_3m.LICENCE:
            terms = "; the weights are given under the same terms: not for commercial use."
        elif stated:
            terms = f"; whoever trained or exported states its licence as {stated}."
        else:
            terms = "; its licence is not stated either" if not name else "; its licence is not stated"
            terms += ": ask the maker of this bundle before using the weights."
        return Licence(id=stated or NOT_STATED, note=f"Trained on {data}{terms}{self._partly}")

    @property
    def _partly(self) -> str:
        """A sentence about patients of `kaggle_3m` among others, since its terms bind there too."""
        if self.recognised or not self.known:
            return ""
        return f" Of its {self.patients} patients {self.known} are, by their pixels, of {kaggle_3m.TERMS}."

    def to_json(self) -> dict[str, Json]:
        """As the manifest holds it; what is not stated is null."""
        return {
            **to_json(self.source),
            "recognised": self.recognised,
            "patients": self.patients,
            "patients_of_kaggle_3m": self.known,
        }


def provenance_of(dataset: DataSet, chosen: Chosen, stated: DataSource) -> Provenance:
    """What is known about the origin of a run's data.

    Args:
        dataset: The run's data.
        chosen: The run; its study may hold what was stated when it was trained.
        stated: What is stated now; it takes precedence over the study, and that over `dataset.json` beside the data.

    Raises:
        ConfigError: `dataset.json` is damaged.
        ExportError: A statement holds a path of this machine, or something is stated of the phantom.
    """
    if is_phantom(dataset):
        if stated:
            raise ExportError(
                "the data is the phantom", expected="no statement of origin",
                got=", ".join(f"--data-{key}" for key in stated.to_json()), remedy="export without those options",
            )  # fmt: skip
        own = DataSource(name="phantom", licence=PHANTOM.id)
        return Provenance(source=own, recognised="phantom", patients=len(dataset.patients), known=0)
    recorded = chosen.study.record.source if chosen.study else None
    source = stated.over(recorded or DataSource()).over(stated_beside(dataset.root))
    require_no_paths(source)
    recognised = kaggle_3m.is_the_set(dataset)
    if recognised:
        own = DataSource(name=kaggle_3m.NAME, licence=kaggle_3m.LICENCE, citation=kaggle_3m.CITATION)
        source = source.over(own)
    return Provenance(
        source=source,
        recognised="kaggle_3m" if recognised else None,
        patients=len(dataset.patients),
        known=len(kaggle_3m.known_patients(dataset)),
    )


def is_phantom(dataset: DataSet) -> bool:
    """Whether a data set was drawn: it has the phantom's mark, and all patients are named after its scanners."""
    return (dataset.root / MARK).is_file() and all(_DRAWN.fullmatch(patient.id) for patient in dataset.patients)


def require_no_paths(source: DataSource) -> None:
    """Refuse statements that would put a path of this machine into a bundle.

    Raises:
        ExportError: One of them would.
    """
    for key, text in source.to_json().items():
        if found := machine_paths(text):
            raise ExportError(
                f"the data set's {key} holds a path of this machine",
                expected="a name, terms, an address or a citation", got=found[0],
                remedy=f"state another with --data-{key}",
            )  # fmt: skip
