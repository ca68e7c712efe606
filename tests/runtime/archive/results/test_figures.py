"""Figures of the whole are numpy's own, group by group."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from brainseg_runtime.archive.results.figures import Spread, figures, kind_of_error, kind_of_warning
from brainseg_runtime.archive.working.rows import Row

RNG = np.random.default_rng(3)
ROWS = [
    Row(
        id=f"{n:064x}",
        status="failed" if n % 10 == 0 else "done",
        source=str(n),
        name=str(n),
        site=("A", "B", "")[n % 3],
        scanner=f"S{n % 2}",
        volume_px=int(RNG.integers(0, 5000)),
        volume_ml=float(RNG.uniform(1, 90)),
        areas=tuple(RNG.integers(0, 900, 20).tolist()),
        n_slices=20,
        confidence=float(RNG.uniform(0.5, 1)),
        warnings=("2 of 20 slices: blank slice: every pixel is the same",) if n % 4 == 0 else (),
        error={"kind": "StudyError", "what": "damaged"} if n % 10 == 0 else None,
    )
    for n in range(200)
]
GOOD = [row for row in ROWS if row.status == "done"]


def test_distributions_are_those_of_the_done_studies() -> None:
    made = figures(lambda: ROWS)
    volumes = [row.volume_ml or 0.0 for row in GOOD]
    assert made.volume.n == len(volumes)
    assert made.volume.mean == pytest.approx(np.mean(volumes))
    assert made.volume.quantiles == pytest.approx(np.quantile(volumes, (0.05, 0.25, 0.5, 0.75, 0.95)))
    assert sum(made.volume.counts) == len(volumes)
    assert made.area.mean == pytest.approx(np.mean([max(row.areas or (0,)) for row in GOOD]))


def test_volumes_of_two_units_are_never_mixed() -> None:
    """Slices without a spacing beside studies: mL alone are compared; slices alone: voxels."""
    half = [replace(row, volume_ml=None) if n % 2 else row for n, row in enumerate(GOOD)]
    mixed, bare = figures(lambda: half), figures(lambda: [replace(row, volume_ml=None) for row in GOOD])
    known = [row.volume_ml for row in half if row.volume_ml is not None]
    assert (mixed.volume_unit, mixed.volume.n) == ("mL", len(known))
    assert mixed.volume.mean == pytest.approx(np.mean(known))
    assert bare.volume_unit == "voxels"
    assert bare.volume.mean == pytest.approx(np.mean([row.volume_px for row in GOOD if row.volume_px]))
    assert not [each for each in mixed.outliers if each.volume_ml is None and "volume far" in " ".join(each.reasons)]


@pytest.mark.parametrize(("groups", "of"), [("sites", "site"), ("scanners", "scanner")])
def test_groups_hold_their_own_rows(groups: str, of: str) -> None:
    for group in getattr(figures(lambda: ROWS), groups):
        own = [row for row in ROWS if getattr(row, of) == group.name]
        good = [row for row in own if row.status == "done"]
        assert (group.n, group.failed) == (len(own), len(own) - len(good))
        assert group.warned == sum(bool(row.warnings) for row in good)
        assert group.volume == pytest.approx(np.quantile([row.volume_ml or 0.0 for row in good], (0.25, 0.5, 0.75)))


def test_kinds_of_warnings_and_errors_are_counted() -> None:
    made = figures(lambda: ROWS)
    assert [(each.kind, each.n) for each in made.warnings] == [("blank slice: every pixel is the same", 50)]
    assert [(each.kind, each.n) for each in made.errors] == [("StudyError: damaged", 20)]


@pytest.mark.parametrize(
    "text",
    [
        "fat-suppressed scalp: fat was suppressed on FLAIR (the edge is {} as bright as the brain); do not use it",
        "implausible mask: {}% of the head is marked and up to {}% of a slice, more than any tumour; do not use it",
        "squeezed slice: {}x256 is not square and this bundle squeezes it, which costs accuracy; pad it",
        "size: the head is {} mm long, expected 110 to 280 mm; check the spacing",
    ],
)
def test_a_kind_of_warning_is_the_same_whatever_its_figures(text: str) -> None:
    kinds = {kind_of_warning(text.format(figure, figure)) for figure in (3, 17, "0.47", "1,234")}
    assert len(kinds) == 1
    assert kinds.pop().startswith(text.partition(":")[0])


def test_a_kind_of_error_is_the_same_whatever_its_figures() -> None:
    rows = [replace(ROWS[0], error={"kind": "RolesError", "what": f"{n} series could be FLAIR"}) for n in (2, 3)]
    assert {kind_of_error(row) for row in rows} == {"RolesError: ... series could be FLAIR"}
    assert kind_of_error(replace(ROWS[0], error={"kind": "E", "what": "T1 is missing"})) == "E: T1 is missing"


def test_many_sites_end_in_one_line_for_the_rest() -> None:
    made = figures(lambda: [replace(row, site=f"H{n}") for n, row in enumerate(ROWS)])
    assert (len(made.sites), made.sites[-1].name, sum(each.n for each in made.sites)) == (41, "160 others", 200)


def test_nothing_is_no_distribution() -> None:
    assert Spread.of([]) == Spread(n=0)
    assert figures(list).n_rows == 0


@pytest.mark.parametrize("values", [[12.3, 12.300000000000002], [0.0, 0.0], [1e6] * 3, [1.0, 2.0]])
def test_values_that_hardly_differ_have_a_distribution(values: list[float]) -> None:
    made = Spread.of(values)
    assert sum(made.counts) == made.n == len(values)


@pytest.mark.parametrize(
    ("source", "what", "kind"),
    [
        ("e", "1 of 4 files cannot be used", "X: ... of ... files cannot be used"),
        ("a/e", "/data/a/e cannot be read", "X: ... cannot be read"),
        ("J Doe", "/data/J Doe cannot be read", "X: ... cannot be read"),
        ("e", "/data/e/1.dcm: cut off", "X: ... cut off"),
    ],
)
def test_a_kind_of_error_leaves_out_the_study_and_no_word(source: str, what: str, kind: str) -> None:
    row = Row(id="0" * 64, status="failed", source=source, name=source, error={"kind": "X", "what": what})
    assert kind_of_error(row) == kind
