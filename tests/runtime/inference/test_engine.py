"""The engine: what it accepts as a model, what as an answer, and what it refuses."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from brainseg_runtime.errors import ContractError, InferenceError, ProviderError
from brainseg_runtime.inference import engine as engines
from brainseg_runtime.inference.engine import Engine, check_answer
from brainseg_runtime.inference.providers import Provider, Session, find_provider
from brainseg_runtime.inference.providers.openvino import OPENVINO
from brainseg_runtime.inference.sessions import USUAL, check_assignment, open_session
from tests.runtime.onnx_bytes import (
    FLOAT,
    UINT8,
    block,
    brightest_channel,
    contract_model,
    node,
    number,
)
from tests.runtime.tiny import TINY, slice_image

MODEL = (TINY / "model.onnx").read_bytes()
needs_openvino = pytest.mark.skipif(
    not find_provider("openvino").status().available, reason="openvino is not available"
)


def test_the_answer_is_the_graphs() -> None:
    image = slice_image()[None]
    mask, probability = Engine(brightest_channel(), provider="cpu", threads=1).run(image)
    np.testing.assert_allclose(probability, image.max(axis=-1) / 255, atol=1e-6)
    np.testing.assert_array_equal(mask, image.max(axis=-1) >= 128)


@pytest.mark.parametrize(
    "model",
    [
        b"",
        b"no model",
        MODEL[:-100],
        brightest_channel(mask="mosk"),
        contract_model([], image=("image", FLOAT, ("N", "H", "W", 3))),
        contract_model([], image=("image", 2, ("N", 3, "H", "W"))),
        contract_model([], image=("image", 2, ("N", "H", "W", "C"))),
        brightest_channel(image=("image", UINT8, (1, 256, 256, 3))),
        brightest_channel(image=("image", UINT8, ("N", 256, "W", 3))),
        brightest_channel(image=("image", UINT8, ("H", "H", "W", 3))),
        contract_model([node("NoSuchOperator", ["image"], ["mask"])]),
    ],
)
def test_what_is_no_model_of_the_contract_is_refused(model: bytes) -> None:
    with pytest.raises(ContractError):
        Engine(model, provider="cpu", threads=1)


@pytest.mark.parametrize("last", ["doubled", "undefined"])
def test_an_answer_that_is_no_probability_is_an_error_and_not_a_mask(last: str) -> None:
    engine = Engine(brightest_channel(last=last), provider="cpu", threads=1)
    with pytest.raises(InferenceError, match="probability"):
        engine.run(slice_image()[None])


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, int]]:
    """The lengths that each session was made for, in order."""
    made: list[dict[str, int]] = []

    def recorded(model: bytes, *, provider: Provider, threads: int, fixed: Mapping[str, int]) -> Session:
        made.append(dict(fixed))
        return open_session(model, provider=provider, threads=threads, fixed=fixed)

    monkeypatch.setattr(engines, "open_session", recorded)
    return made


def test_the_usual_size_has_a_session_of_its_own_and_the_others_share_one_made_for_the_first(
    opened: list[dict[str, int]],
) -> None:
    engine = Engine(MODEL, provider="cpu", threads=1)
    engine.run(slice_image(256, 256)[None])
    assert opened == [dict(USUAL)]
    for size in ((128, 128), (256, 255), (255, 256), (256, 256), (40, 60)):
        engine.run(slice_image(*size)[None])
    assert opened == [dict(USUAL), {}]


def test_callers_at_once_make_the_second_session_once(opened: list[dict[str, int]]) -> None:
    engine = Engine(MODEL, provider="cpu", threads=1)
    start = threading.Barrier(8)

    def call() -> None:
        start.wait()
        engine.run(slice_image(40, 40)[None])

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert opened == [dict(USUAL), {}]


@pytest.mark.parametrize("size", [(256, 256), (128, 128)])
def test_either_session_computes_what_a_plain_one_does(size: tuple[int, int]) -> None:
    image = slice_image(*size)[None]
    plain = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    _, probability = Engine(MODEL, provider="cpu", threads=1).run(image)
    np.testing.assert_allclose(probability, plain.run(["probability"], {"image": image})[0], atol=1e-6)


@pytest.mark.parametrize("axes", [("batch", "rows", "columns", 3), ("W", "N", "H", 3), ("", "", "", 3)])
def test_a_model_may_name_its_axes_as_it_likes(axes: tuple[str | int, ...]) -> None:
    engine = Engine(brightest_channel(image=("image", UINT8, axes), axes=axes[:3]), provider="cpu", threads=1)
    for size in ((256, 256), (40, 60)):
        image = slice_image(*size)[None]
        _, probability = engine.run(image)
        np.testing.assert_allclose(probability, image.max(axis=-1) / 255, atol=1e-6)


def test_a_second_session_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(MODEL, provider="cpu", threads=1)

    def refused(*_: object, **__: object) -> Session:
        raise ProviderError("out of luck")

    monkeypatch.setattr(engines, "open_session", refused)
    with pytest.raises(InferenceError, match=r"no session could be made for an image of \(40, 40\).*out of luck"):
        engine.run(slice_image(40, 40)[None])
    engine.run(slice_image(256, 256)[None])


def test_a_model_that_names_another_file_does_not_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(4))
    monkeypatch.chdir(tmp_path)
    # A constant with external_data 13 {key 1, value 2} and data_location 14 = EXTERNAL.
    entry = block(13, block(1, "location") + block(2, "secret.bin"))
    constant = block(5, number(2, FLOAT) + block(8, "secret") + entry + number(14, 1))
    stolen = [node("Mul", ["pixels", "secret"], ["probability"]), constant]
    with pytest.raises(ContractError, match=r"data in another file"):
        Engine(contract_model(stolen), provider="cpu", threads=1)


def test_a_provider_that_is_not_there_is_an_error() -> None:
    if find_provider("cuda").status().available:
        pytest.skip("cuda is installed here")
    with pytest.raises(ProviderError):
        Engine(MODEL, provider="cuda", threads=1)


@needs_openvino
def test_openvino_really_has_the_nodes() -> None:
    engine = Engine(MODEL, provider="openvino", threads=1)
    assert set(engine.nodes) == {"openvino"}
    assert engine.nodes["openvino"] > 10


def test_work_left_to_another_provider_is_an_error() -> None:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
    with pytest.raises(ProviderError, match=r"openvino would leave work to cpu; expected all \['MatMul'"):
        check_assignment(session, OPENVINO)


@needs_openvino
def test_replacing_a_session_changes_no_bit() -> None:
    engine = Engine(MODEL, provider="openvino", threads=1)
    image = slice_image(40, 40)[None]
    _, before = engine.run(image)
    for side in range((OPENVINO.sizes_per_session or 0) + 2):
        engine.run(slice_image(16 + side, 16)[None])
    _, after = engine.run(image)
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("value", "taken"),
    [(0.0, True), (-0.0, True), (1e-45, True), (1.0, True), (np.nextafter(np.float32(1), np.float32(2)), False),
     (-1e-45, False), (-1.0, False), (np.nan, False), (-np.nan, False), (np.inf, False), (-np.inf, False)],
)  # fmt: skip
def test_one_value_outside_zero_to_one_makes_an_answer_no_probability(value: float, taken: bool) -> None:
    probability = np.full((1, 40, 40), 0.5, np.float32)
    probability[0, 17, 23] = value
    mask = np.zeros((1, 40, 40), np.uint8)
    if taken:
        check_answer(mask, probability, (1, 40, 40))
    else:
        with pytest.raises(InferenceError, match="not a mask and a probability"):
            check_answer(mask, probability, (1, 40, 40))
