"""Which provider and variant are chosen, by a fixed rule that says why."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import onnxruntime
import pytest

from brainseg_runtime.bundles.manifest import Manifest
from brainseg_runtime.errors import ProviderError
from brainseg_runtime.inference.processor import Processor, inspect_processor, usable_cores
from brainseg_runtime.inference.providers import PROVIDERS, Provider, choose, find_provider, list_providers, openvino
from brainseg_runtime.inference.providers.openvino import OPENVINO
from brainseg_runtime.inference.sessions import session_options
from tests.runtime.inference.pretended import installed
from tests.runtime.tiny import TINY

MANIFEST = Manifest.from_json(json.loads((TINY / "manifest.json").read_text("utf-8")))
EXACT = Processor(architecture="x86_64", features=("avx2", "avx512_vnni"), cores=2, name=None)
OLD = replace(EXACT, features=("avx2",))


def measured_on(*names: str) -> Manifest:
    """The manifest with evidence of stable bits on these providers alone."""
    flags = dict.fromkeys(names, True)
    return replace(MANIFEST, variants={k: replace(v, same_bits=flags) for k, v in MANIFEST.variants.items()})


def test_an_openvino_that_onnxruntime_brings_itself_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes no `load_config`, without which it may compute in bfloat16."""
    every = frozenset(each.execution_provider for each in PROVIDERS)
    monkeypatch.setattr(openvino, "built_in", lambda: every)
    status = find_provider("openvino").status()
    assert not status.available
    assert "its own" in status.reason
    with pytest.raises(ProviderError, match="onnxruntime-openvino"):
        OPENVINO.require()
    assert choose(measured_on("openvino"), "auto", "auto", EXACT).provider == "cpu"


@pytest.mark.parametrize(
    ("there", "evidence", "processor", "provider", "variant"),
    [
        (["cpu"], ["openvino"], EXACT, "cpu", "int8"),
        (["cpu", "openvino"], ["openvino"], EXACT, "openvino", "int8"),
        (["cpu", "openvino"], [], EXACT, "cpu", "int8"),
        (["cpu", "openvino"], ["openvino"], OLD, "cpu", "fp32"),
        (["cpu", "openvino", "cuda"], ["openvino"], EXACT, "openvino", "int8"),
        (["cpu", "openvino", "cuda"], ["openvino", "cuda"], EXACT, "cuda", "int8"),
        (["cpu", "cuda", "tensorrt"], ["cuda", "tensorrt"], EXACT, "tensorrt", "int8"),
        (["cpu", "directml", "coreml"], ["directml", "coreml"], EXACT, "cpu", "int8"),
    ],
)
def test_auto_follows_the_stated_rule(
    there: list[str], evidence: list[str], processor: Processor, provider: str, variant: str
) -> None:
    with installed(there):
        choice = choose(measured_on(*evidence), "auto", "auto", processor)
    assert (choice.provider, choice.variant) == (provider, variant)


def test_auto_says_why_and_why_not() -> None:
    with installed(["cpu", "openvino"]):
        reasons = choose(measured_on(), "auto", "auto", OLD).reasons
        slower = choose(measured_on("openvino"), "auto", "auto", OLD).reasons
    assert any("no VNNI" in reason for reason in reasons)
    assert "not cuda: not installed" in reasons
    assert any(reason.startswith("not openvino: the bundle does not show") for reason in reasons)
    assert "not openvino: it is no faster than cpu in fp32" in slower


def test_a_bundle_without_int8_runs_in_fp32() -> None:
    manifest = replace(MANIFEST, variants={"fp32": MANIFEST.variants["fp32"]})
    with installed(["cpu", "openvino"]):
        assert choose(manifest, "auto", "auto", EXACT).variant == "fp32"


def test_what_was_named_is_taken() -> None:
    with installed(["cpu", "cuda"]):
        choice = choose(measured_on(), "cuda", "fp32", OLD)
    assert (choice.provider, choice.variant) == ("cuda", "fp32")


@pytest.mark.parametrize("provider", PROVIDERS[2:], ids=lambda provider: provider.name)
def test_a_provider_that_was_named_and_is_not_there_is_an_error_with_a_remedy(provider: Provider) -> None:
    with installed(["cpu"]), pytest.raises(ProviderError, match=f"{provider.name} is not available") as caught:
        choose(MANIFEST, provider.name, "auto", EXACT)
    assert caught.value.remedy == provider.install


@pytest.mark.parametrize(("provider", "variant"), [("cpu", "fp16"), ("cpu", ""), ("auto", "INT8")])
def test_a_variant_that_is_not_in_the_bundle_is_an_error(provider: str, variant: str) -> None:
    with pytest.raises(ProviderError, match=r"\['fp32', 'int8'\]"):
        choose(MANIFEST, provider, variant, EXACT)


def test_a_provider_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(ProviderError, match="auto or one of cpu, openvino"):
        choose(MANIFEST, "gpu", "auto", EXACT)


def test_every_provider_is_listed_and_cpu_is_always_there() -> None:
    statuses = {status.name: status for status in list_providers()}
    assert list(statuses) == [provider.name for provider in PROVIDERS]
    assert statuses["cpu"].available


def test_a_plug_in_that_supports_no_processor_here_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intel's plug-in loads on other makers' processors and offers nothing there."""
    monkeypatch.setattr(openvino, "built_in", frozenset)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr(openvino, "plugin_devices", list)
    status = find_provider("openvino").status()
    assert not status.available
    assert "Intel processors only" in status.reason
    assert choose(measured_on("openvino"), "auto", "auto", EXACT).provider == "cpu"
    with pytest.raises(ProviderError, match="Intel processors only") as caught:
        OPENVINO.require()
    assert "auto" in str(caught.value.remedy)  # installing what is installed would not help
    assert "install" not in str(caught.value.remedy)
    with pytest.raises(ProviderError, match="supports no processor here"):
        OPENVINO.prepare()


def test_a_plug_in_that_is_missing_or_broken_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "built_in", frozenset)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert find_provider("openvino").status().reason == "not installed"
    with pytest.raises(ProviderError, match=r"\[openvino\]"):
        OPENVINO.require()

    def broken() -> list[object]:
        raise ProviderError("a library is missing")

    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr(openvino, "plugin_devices", broken)
    assert find_provider("openvino").status().available  # so that using it says why it fails
    with pytest.raises(ProviderError, match="a library is missing"):
        OPENVINO.prepare()


@pytest.mark.skipif(not find_provider("openvino").status().available, reason="openvino is not available")
def test_the_plug_in_is_registered_once_by_however_many_threads() -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(OPENVINO.devices()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 8
    assert find_provider("openvino").status().available


def test_this_machines_processor_is_told() -> None:
    processor = inspect_processor()
    assert processor.cores == usable_cores() >= 1
    assert processor == inspect_processor()


@pytest.mark.parametrize("feature", ["avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm"])
def test_each_of_these_multiplies_integers_exactly(feature: str) -> None:
    assert replace(OLD, features=(feature,)).exact_integers
    assert not OLD.exact_integers


def test_the_plug_in_opens_a_session_on_its_device_with_its_own_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device is that of onnxruntime's own provider here, so that this runs on any maker's processor."""
    own = [device for device in onnxruntime.get_ep_devices() if device.ep_name == "CPUExecutionProvider"]
    monkeypatch.setattr(openvino, "plugin_devices", lambda: own * 2)
    options = session_options(OPENVINO, 3)
    session = OPENVINO.open((TINY / "model.onnx").read_bytes(), options)
    assert session.get_providers() == ["CPUExecutionProvider"]
    told = json.loads(options.get_session_config_entry("ep.cpuexecutionprovider.load_config"))
    assert told["CPU"]["INFERENCE_PRECISION_HINT"] == "f32"  # its own default is bfloat16 where that is faster
    assert told["CPU"]["INFERENCE_NUM_THREADS"] == "3"
