"""Attack 2: put a file of one whole bundle into another, or in another's place."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.attacks.victim import accepted
from tests.runtime.tiny import copy_tiny, digest_of, replace_file

NAMES = sorted(path.name for path in Path(__file__).parents[1].joinpath("bundles", "tiny").iterdir())


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two whole bundles whose files all differ."""
    first, second = copy_tiny(tmp_path, "first"), copy_tiny(tmp_path, "second")
    for path in second.iterdir():
        if path.name != "manifest.json":
            replace_file(second, path.name, path.read_bytes() + b"\0")
    return first, second


@pytest.mark.parametrize("name", NAMES)
def test_no_file_of_another_bundle_is_taken(pair: tuple[Path, Path], name: str) -> None:
    first, second = pair
    digest = digest_of(first)
    assert accepted(second) is not None, "the other bundle is whole"
    (first / name).write_bytes((second / name).read_bytes())
    assert accepted(first) is None
    assert accepted(first, digest) is None


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(NAMES, 2)))
def test_no_two_files_of_one_bundle_can_change_places(tmp_path: Path, one: str, other: str) -> None:
    bundle = copy_tiny(tmp_path)
    first, second = (bundle / one).read_bytes(), (bundle / other).read_bytes()
    (bundle / one).write_bytes(second)
    (bundle / other).write_bytes(first)
    assert accepted(bundle) is None


def test_a_whole_other_bundle_is_not_the_pinned_one(pair: tuple[Path, Path]) -> None:
    first, second = pair
    assert accepted(second, digest_of(first)) is None
