"""Draws depend on what they are for and on nothing else."""

from __future__ import annotations

import hashlib

import torch
from hypothesis import given
from hypothesis import strategies as st

from brainseg_train.learning.randomness import derive_seed, generator

positions = st.lists(st.integers(0, 10**6), max_size=3)


@given(st.integers(0, 2**31), positions, st.integers(0, 2**31), positions)
def test_different_places_have_different_seeds(seed: int, at: list[int], other: int, elsewhere: list[int]) -> None:
    assert (derive_seed(seed, "order", *at) == derive_seed(other, "order", *elsewhere)) == (
        (seed, at) == (other, elsewhere)
    )


def test_the_scheme_is_the_one_that_records_state() -> None:
    digest = hashlib.sha256(b"brainseg/7/augment/3/12/0").digest()
    assert derive_seed(7, "augment", 3, 12, 0) == int.from_bytes(digest[:8], "big") // 2


def test_drawing_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    first, second = (torch.rand(3, generator=generator(1, "order", 2)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)
