"""Checkpoints come back as they were, and whatever is damaged is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brainseg_train import models
from brainseg_train.checkpoint import (
    ResumeState,
    WeightsInfo,
    drop_resume,
    fill,
    load_network,
    load_resume,
    load_weights,
    save_resume,
    save_weights,
)
from brainseg_train.errors import CheckpointError

INFO = WeightsInfo(
    run="run",
    model="unet",
    width=2,
    epoch=3,
    validation_dice=0.75,
    averaged=True,
    data_digest="d" * 64,
    split_digest="s" * 64,
)


@pytest.fixture
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return models.build("unet", width=2)


@pytest.fixture
def saved(tmp_path: Path, network: torch.nn.Module) -> Path:
    save_weights(tmp_path, network.to(memory_format=torch.channels_last).state_dict(), INFO)  # type: ignore[call-overload]
    return tmp_path


def _states(folder: Path, *steps: int) -> None:
    for step in steps:
        save_resume(folder, ResumeState(step=step, tensors={"a": torch.full((3,), float(step))}, state={"at": step}))


def test_weights_come_back_bit_for_bit(saved: Path, network: torch.nn.Module) -> None:
    weights, info = load_weights(saved)
    assert replace(info, sha256="") == INFO
    state = network.state_dict()
    assert weights.keys() == state.keys()
    assert all(
        torch.equal(tensor, state[name]) and tensor.dtype == state[name].dtype for name, tensor in weights.items()
    )


def test_a_network_comes_back_ready_to_evaluate(saved: Path, network: torch.nn.Module) -> None:
    loaded, _ = load_network(saved / "best.safetensors")
    image = torch.rand(1, 3, 32, 32)
    assert not loaded.training
    assert torch.allclose(loaded(image), network.eval()(image), atol=1e-5)  # the saved one has another layout


def test_the_same_weights_are_the_same_bytes(saved: Path, network: torch.nn.Module) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    save_weights(saved, dict(reversed(network.state_dict().items())), INFO)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_any_flipped_bit_is_refused_by_name(saved: Path, data: st.DataObject) -> None:
    path = saved / data.draw(st.sampled_from(["best.safetensors", "best.json"]))
    whole = path.read_bytes()
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    changed = bytearray(whole)
    changed[bit // 8] ^= 1 << bit % 8
    path.write_bytes(bytes(changed))
    try:
        with pytest.raises(CheckpointError, match="best"):
            load_weights(saved)
    finally:
        path.write_bytes(whole)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.data())
def test_any_truncation_is_refused_by_name(saved: Path, data: st.DataObject) -> None:
    path = saved / data.draw(st.sampled_from(["best.safetensors", "best.json"]))
    whole = path.read_bytes()
    # The JSON's last byte is the end of its line, which says nothing.
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 2))])
    try:
        with pytest.raises(CheckpointError, match="best"):
            load_weights(saved)
    finally:
        path.write_bytes(whole)


def test_longer_tensors_than_stated_are_not_even_read_whole(saved: Path) -> None:
    with (saved / "best.safetensors").open("ab") as file:
        file.write(b"\0" * 1000)
    with pytest.raises(CheckpointError, match=r"best\.safetensors.*too large"):
        load_weights(saved)


def test_a_checkpoint_of_another_kind_is_refused(tmp_path: Path) -> None:
    _states(tmp_path, 1)
    with pytest.raises(CheckpointError, match="not a checkpoint of this kind"):
        load_weights(tmp_path / "resume-000000001.safetensors")


def test_missing_weights_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"best\.json"):
        load_weights(tmp_path)


def test_a_pickle_is_not_read(saved: Path) -> None:
    head = json.loads((saved / "best.json").read_text(encoding="utf-8"))
    assert "pickle" not in json.dumps(head)
    assert (saved / "best.safetensors").read_bytes()[8:9] == b"{"


def test_weights_of_another_network_leave_it_untouched(saved: Path) -> None:
    torch.manual_seed(1)
    other = models.build("unet", width=3)
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(CheckpointError, match="does not fit"):
        fill(other, load_weights(saved)[0], "these weights")
    assert all(torch.equal(tensor, before[name]) for name, tensor in other.state_dict().items())


def test_the_last_two_states_are_kept(tmp_path: Path) -> None:
    _states(tmp_path, 1, 2, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "resume-000000002.json",
        "resume-000000002.safetensors",
        "resume-000000003.json",
        "resume-000000003.safetensors",
    ]


def test_the_newest_state_is_loaded(tmp_path: Path) -> None:
    _states(tmp_path, 9, 10)
    state, refused = load_resume(tmp_path)
    assert state is not None
    assert (state.step, state.state, refused) == (10, {"at": 10}, ())
    assert torch.equal(state.tensors["a"], torch.full((3,), 10.0))


@pytest.mark.parametrize("name", ["resume-000000002.safetensors", "resume-000000002.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
def test_a_damaged_state_is_refused_by_name_and_the_one_before_used(tmp_path: Path, name: str, damage: str) -> None:
    _states(tmp_path, 1, 2)
    path = tmp_path / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data if damage == "flip" else data[: len(data) // 2])
    if damage == "delete":
        path.unlink()
    state, refused = load_resume(tmp_path)
    assert state is not None
    assert state.step == 1
    if name.endswith(".json") and damage == "delete":
        assert refused == ()  # tensors that no JSON vouches for are none
    else:
        assert "resume-000000002" in str(refused[0])


def test_a_refused_state_goes_once_a_new_one_is_written(tmp_path: Path) -> None:
    _states(tmp_path, 1, 9)
    _states(tmp_path, 2)
    assert sorted(path.stem for path in tmp_path.glob("*.json")) == ["resume-000000001", "resume-000000002"]


def test_tensors_without_their_json_are_cleared_away(tmp_path: Path) -> None:
    _states(tmp_path, 1)
    (tmp_path / "resume-000000000.safetensors").write_bytes(b"half")
    drop_resume(tmp_path, keep=[1])
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["resume-000000001"] * 2


def test_no_state_at_all_is_no_error_and_only_damaged_ones_are(tmp_path: Path) -> None:
    assert load_resume(tmp_path) == (None, ())
    _states(tmp_path, 1, 2)
    for path in tmp_path.glob("*.safetensors"):
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"resume-000000002.*resume-000000001"):
        load_resume(tmp_path)
