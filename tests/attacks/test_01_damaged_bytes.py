"""Attack 1: damage any byte of a bundle.

In the suite 5,000 seeded mutants; with `-m slow` every bit of the small bundle, and 100,000 mutants of a shipped one,
or of the small one where none ships.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from brainseg_runtime.bundles.manifest import MANIFEST_NAME
from brainseg_runtime.inference.processor import usable_cores
from tests.attacks.victim import accepted, bounded_memory, mutant
from tests.runtime.tiny import TINY, copy_tiny, digest_of

MUTANTS = 5_000
SHIPPED_MUTANTS = 100_000
MODELS = Path(__file__).parents[2] / "models"


def survivors(bundle: Path, seed: int, count: int) -> list[str]:
    """Mutants that opened: each is one file changed in one way, then put back."""
    rng = np.random.default_rng(seed)
    digest = digest_of(bundle)
    files = sorted(path for path in bundle.iterdir())
    opened = []
    for number in range(count):
        path = files[number % len(files)]
        original = path.read_bytes()
        path.write_bytes(mutant(rng, original))
        # The manifest is what a host pins; every other file is vouched for by the manifest alone.
        if accepted(bundle, digest if path.name == MANIFEST_NAME else None) is not None:
            opened.append(f"{path.name}, mutant {number}")
        path.write_bytes(original)
    return opened


def test_no_mutant_opens(tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    with bounded_memory():
        assert survivors(bundle, seed=0, count=MUTANTS) == []
    assert accepted(bundle, digest_of(bundle)) is not None, "the attack left the bundle as it was"


@pytest.mark.slow
def test_no_flipped_bit_opens(tmp_path: Path) -> None:
    bundle = copy_tiny(tmp_path)
    digest = digest_of(bundle)
    for path in sorted(bundle.iterdir()):
        original = path.read_bytes()
        pin = digest if path.name == MANIFEST_NAME else None
        for bit in range(8 * len(original)):
            changed = bytearray(original)
            changed[bit // 8] ^= 1 << bit % 8
            path.write_bytes(changed)
            assert accepted(bundle, pin) is None, f"{path.name}, bit {bit}"
        path.write_bytes(original)


@pytest.mark.slow
def test_no_mutant_of_a_shipped_bundle_opens(tmp_path: Path) -> None:
    named = os.environ.get("BRAINSEG_ATTACK_BUNDLE")
    shipped = Path(named) if named else next((path.parent for path in sorted(MODELS.glob("*/manifest.json"))), TINY)
    workers = usable_cores()
    copies = [Path(shutil.copytree(shipped, tmp_path / f"copy{worker}")) for worker in range(workers)]
    share = -(-SHIPPED_MUTANTS // workers)
    with ProcessPoolExecutor(workers) as pool:
        found = pool.map(survivors, copies, range(workers), [share] * workers)
        assert [name for part in found for name in part] == []
