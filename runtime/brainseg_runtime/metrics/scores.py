"""The table of scores: what each is called, how it is computed, and what it is for empty masks.

Evaluations, their intervals, pages, tables in the terminal, help texts, the leaderboard and the model card list what
stands here, so a score is added by one line in this file and its function (in `counts.py`, `histogram.py`,
`surface.py` or `lesions.py`).

    >>> [score.key for score in table().pooled]
    ['dice', 'iou', 'precision', 'recall', 'f1', 'roc_auc', 'pr_auc']
    >>> score_of("dice").of(Counts(tp=3, fp=1, fn=1))
    0.75
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from brainseg_runtime.metrics.counts import Counts, dice, f1, iou, precision, recall
from brainseg_runtime.metrics.lengths import TOLERANCE

if TYPE_CHECKING:  # the table is read for help texts, which do not wait for numpy
    from brainseg_runtime.metrics.histogram import Histogram
    from brainseg_runtime.metrics.surface import SurfaceDistances
    from brainseg_runtime.metrics.volume import VolumePair

M = TypeVar("M")

UNDEFINED: Final = "undefined"
"""What the table says of a score that has no value; its function then returns NaN, and JSON has null."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Score(Generic[M]):
    """One score.

    Attributes:
        key: Its key in JSON.
        label: Its name for readers, with its unit; ``{tolerance:g}`` stands for the tolerance it was computed at.
        of: From what was measured to its value; NaN where undefined.
        both_empty: What it is where truth and prediction are empty.
        truth_empty: What it is where only the truth is empty.
        prediction_empty: What it is where only the prediction is empty.
        unit: Of its value: "", "pixels" or "mm".
        higher_is_better: Whether large values are good.
        needs_spacing: Whether it needs the spacing in mm.
        bound: How far the value can be from exact, for one that is not.
        in_every_record: Whether every record with scores of its kind has it, and never as null where its type is a
            number; a score that was added later may be missing, and is None then.
        same_as: Key of the score that it equals for these masks; short lists leave it out.
    """

    key: str
    label: str
    of: Callable[[M], float]
    both_empty: str
    truth_empty: str
    prediction_empty: str
    unit: str = ""
    higher_is_better: bool = True
    needs_spacing: bool = False
    bound: Callable[[M], float] | None = None
    in_every_record: bool = False
    same_as: str = ""

    def title(self, tolerance: float = TOLERANCE) -> str:
        """Its label, with the tolerance.

        >>> score_of("nsd_mm").title(1.5)
        'NSD, tolerance 1.5 mm'
        """
        return self.label.format(tolerance=tolerance)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreTable:
    """All scores, by what they are computed from.

    Attributes:
        counted: From counts of pixels: of all pixels together, and of each patient.
        areas: From a histogram of probabilities: of all pixels together.
        surface: From the surfaces of a patient's volume.
        lesions: From the lesions of a patient's volume.
    """

    counted: tuple[Score[Counts], ...]
    areas: tuple[Score[Histogram], ...]
    surface: tuple[Score[VolumePair], ...]
    lesions: tuple[Score[VolumePair], ...]

    @property
    def pooled(self) -> tuple[Score[Any], ...]:
        """Scores over all pixels together."""
        return (*self.counted, *self.areas)

    @property
    def of_volumes(self) -> Mapping[str, tuple[Score[VolumePair], ...]]:
        """Scores of a patient's volume, by the key of their group in JSON."""
        return {"surface": self.surface, "lesions": self.lesions}


def table() -> ScoreTable:
    """The table as it stands; ask for it where it is used, so that scores added with `added` are in it."""
    return _TABLE.get()


@contextmanager
def added(
    *,
    counted: Sequence[Score[Counts]] = (),
    areas: Sequence[Score[Histogram]] = (),
    surface: Sequence[Score[VolumePair]] = (),
    lesions: Sequence[Score[VolumePair]] = (),
) -> Iterator[None]:
    """Scores of one's own, for as long as the context lasts and in this thread.

    >>> error_rate = Score(key="error_rate", label="error rate", of=lambda counts: counts.fp / counts.pixels,
    ...     both_empty="0", truth_empty="above 0", prediction_empty="0", higher_is_better=False)
    >>> with added(counted=[error_rate]):
    ...     score_of("error_rate").of(Counts(fp=1, tn=3))
    0.25
    """
    now = table()
    wider = dataclasses.replace(
        now,
        counted=(*now.counted, *counted),
        areas=(*now.areas, *areas),
        surface=(*now.surface, *surface),
        lesions=(*now.lesions, *lesions),
    )
    token = _TABLE.set(wider)
    try:
        yield
    finally:
        _TABLE.reset(token)


def score_of(key: str) -> Score[Any]:
    """The score with a key; among the lesions' keys, which repeat others, the first.

    Raises:
        KeyError: There is none.
    """
    now = table()
    by_key: dict[str, Score[Any]] = {score.key: score for score in reversed((*now.pooled, *now.surface, *now.lesions))}
    return by_key[key]


def names_text() -> str:
    """The scores in words, for help texts.

    >>> names_text()[:51]
    'Dice, IoU, precision, recall, F1, ROC-AUC, PR-AUC; '
    """
    now = table()
    pooled = ", ".join(score.label for score in now.pooled)
    by_patient = dict.fromkeys(score.label.partition(",")[0] for score in (*now.surface, *now.lesions))
    return f"{pooled}; by patient also {', '.join(by_patient)}"


def keys_text(scores: Sequence[Score[Any]]) -> str:
    """The scores' keys in JSON, for help texts."""
    return ", ".join(score.key for score in scores)


def _distances(
    unit: str, suffix: str, between: Callable[[VolumePair], SurfaceDistances]
) -> tuple[Score[VolumePair], ...]:
    """The scores of the distances between the surfaces, in one unit."""

    def distance(key: str, label: str, of: Callable[[VolumePair], float]) -> Score[VolumePair]:
        return Score(
            key=f"{key}_{suffix}",
            label=f"{label}, {unit}",
            of=of,
            both_empty="0",
            truth_empty=UNDEFINED,
            prediction_empty=UNDEFINED,
            unit=unit,
            higher_is_better=False,
            needs_spacing=unit == "mm",
            in_every_record=True,
        )

    return (
        distance("hd95", "HD95", lambda pair: between(pair).hd95()),
        distance("assd", "ASSD", lambda pair: between(pair).assd()),
        Score(
            key=f"nsd_{suffix}",
            label=f"NSD, tolerance {{tolerance:g}} {unit}",
            of=lambda pair: between(pair).nsd(pair.tolerance),
            both_empty="1",
            truth_empty="0",
            prediction_empty="0",
            needs_spacing=unit == "mm",
            in_every_record=True,
        ),
    )


def _lesion_wise(key: str, name: str, of: Callable[[VolumePair], float]) -> Score[VolumePair]:
    """A score over lesions."""
    return Score(
        key=key,
        label=f"lesion-wise {name}",
        of=of,
        both_empty="1",
        truth_empty="0",
        prediction_empty="0 (1 if all lesions are small)",
        in_every_record=True,
    )


def _area(
    key: str, label: str, of: Callable[[Histogram], float], bound: Callable[[Histogram], float]
) -> Score[Histogram]:
    """An area under a curve."""
    return Score(
        key=key,
        label=label,
        of=of,
        both_empty=UNDEFINED,
        truth_empty=UNDEFINED,
        prediction_empty="as the probabilities rank",
        bound=bound,
    )


def _overlap(key: str, label: str, of: Callable[[Counts], float], *, same_as: str = "") -> Score[Counts]:
    """A score that is 1 for two empty masks and 0 where one of them is empty."""
    return Score(
        key=key,
        label=label,
        of=of,
        both_empty="1",
        truth_empty="0",
        prediction_empty="0",
        in_every_record=True,
        same_as=same_as,
    )


_SHIPPED: Final = ScoreTable(
    counted=(
        _overlap("dice", "Dice", dice),
        _overlap("iou", "IoU", iou),
        Score(
            key="precision",
            label="precision",
            of=precision,
            both_empty=UNDEFINED,
            truth_empty="0",
            prediction_empty=UNDEFINED,
        ),
        Score(
            key="recall",
            label="recall",
            of=recall,
            both_empty=UNDEFINED,
            truth_empty=UNDEFINED,
            prediction_empty="0",
        ),
        _overlap("f1", "F1", f1, same_as="dice"),
    ),
    areas=(
        _area("roc_auc", "ROC-AUC", lambda pixels: pixels.roc_auc(), lambda pixels: pixels.roc_auc_bound()),
        _area("pr_auc", "PR-AUC", lambda pixels: pixels.pr_auc(), lambda pixels: pixels.pr_auc_bound()),
    ),
    surface=(
        *_distances("pixels", "px", lambda pair: pair.surface_px),
        *_distances("mm", "mm", lambda pair: pair.surface_mm),
    ),
    lesions=(
        _lesion_wise("dice", "Dice", lambda pair: pair.lesions.dice()),
        _lesion_wise("f1", "F1", lambda pair: pair.lesions.f1()),
    ),
)
_TABLE: ContextVar[ScoreTable] = ContextVar("scores", default=_SHIPPED)
