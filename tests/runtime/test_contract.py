"""The contract's limits and tensors."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from brainseg_runtime.contract import CONTRACT, Contract, Limits
from brainseg_runtime.errors import ArgumentError, BundleSchemaError
from brainseg_runtime.safe_io.typed_json import from_json, to_json


def test_the_contract_is_what_hosts_in_other_languages_were_told() -> None:
    assert to_json(CONTRACT) == {
        "input": {"name": "image", "dtype": "uint8", "shape": ["N", "H", "W", "3"]},
        "outputs": [
            {"name": "mask", "dtype": "uint8", "shape": ["N", "H", "W"]},
            {"name": "probability", "dtype": "float32", "shape": ["N", "H", "W"]},
        ],
        "limits": {"max_batch": 64, "min_side": 16, "max_side": 2048},
    }


def read(value: Any) -> Contract:  # noqa: ANN401 - untyped JSON
    return from_json(Contract, value, "contract", error=BundleSchemaError, every_key=True)


def test_it_comes_back_from_json() -> None:
    assert read(to_json(CONTRACT)) == CONTRACT


def test_a_model_may_have_tighter_limits() -> None:
    value: dict[str, Any] = to_json(CONTRACT)
    value["limits"] = {"max_batch": 8, "min_side": 64, "max_side": 512}
    assert read(value).limits.max_side == 512


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value["input"].update(name="pixels"),
        lambda value: value["input"].update(shape=["N", "3", "H", "W"]),
        lambda value: value["outputs"].reverse(),
        lambda value: value["outputs"].pop(),
        lambda value: value["outputs"][1].update(dtype="float16"),
        lambda value: value["limits"].update(max_side=4096),
        lambda value: value["limits"].update(min_side=2048, max_side=16),
        lambda value: value["limits"].update(more=1),
        lambda value: value.update(outputs="mask"),
    ],
)
def test_another_contract_is_refused(change: Any) -> None:  # noqa: ANN401 - a lambda over untyped JSON
    value = to_json(CONTRACT)
    change(value)
    with pytest.raises(BundleSchemaError):
        read(value)


@pytest.mark.parametrize(
    "wrong",
    [{"max_batch": 0}, {"max_batch": 65}, {"min_side": 15}, {"max_side": 2049}, {"min_side": 300, "max_side": 200},
     {"max_manifest_bytes": 0}, {"max_files": 0}],
)  # fmt: skip
def test_limits_that_the_contract_does_not_allow_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ArgumentError, match="wrong"):
        Limits(**wrong)


def test_limits_cannot_be_changed_after_the_fact() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Limits().max_side = 4096  # type: ignore[misc]
