"""What hosts keep beyond the contract's own tests: strict JSON, the model's tensors, NaN, files that are written."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import pytest

from tests.hosts.contract import Golden, assert_nothing_done, assert_refused
from tests.hosts.host import Host, Slices
from tests.runtime.tiny import TINY, edit_manifest, replace_file


def repeat_a_key(bundle: Path) -> None:
    """Name the bundle twice."""
    text = (bundle / "manifest.json").read_text(encoding="utf-8")
    (bundle / "manifest.json").write_text(text.replace("{", '{"name": "other",', 1), encoding="utf-8")


def say_bytes_in(bundle: Path, encoding: str) -> None:
    """Write the manifest in another encoding than UTF-8."""
    path = bundle / "manifest.json"
    path.write_bytes(path.read_text(encoding="utf-8").replace('"tiny"', '"t\u00efny"').encode(encoding))


def say(bundle: Path, old: str, new: str) -> None:
    """Write a word of the manifest otherwise."""
    path = bundle / "manifest.json"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def put(bundle: Path, key: str, text: str) -> None:
    """Give a key of the manifest a value that is written as it stands."""
    edit_manifest(bundle, lambda value: value.update({key: "@"}))
    path = bundle / "manifest.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"@"', text), encoding="utf-8")


def list_card_as(bundle: Path, name: str) -> None:
    """Have the bundle keep its card under another name."""
    edit_manifest(bundle, lambda value: value["files"].update({name: value["files"].pop("MODEL_CARD.md")}))
    (bundle / "MODEL_CARD.md").rename(bundle / name)


def rename_an_output(bundle: Path) -> None:
    """Put in a model with another output's name, in a bundle whose hashes hold."""
    model = onnx.load(bundle / "model.onnx")

    def renamed(name: str) -> str:
        return "chance" if name == "probability" else name

    for node in model.graph.node:
        node.output[:] = map(renamed, node.output)
        node.input[:] = map(renamed, node.input)
    for output in model.graph.output:
        output.name = renamed(output.name)
    replace_file(bundle, "model.onnx", model.SerializeToString())


STRICT: Final[dict[str, Callable[[Path], object]]] = {
    "a-repeated-key": repeat_a_key,
    "a-comment": lambda bundle: say(bundle, "{", "{/* no JSON */"),
    "single-quotes": lambda bundle: say(bundle, '"name"', "'name'"),
    "a-comma-too-many": lambda bundle: say(bundle, "}", ",}"),
    "something-after-it": lambda bundle: (bundle / "manifest.json").write_bytes(
        (bundle / "manifest.json").read_bytes() + b"{}"
    ),
    "something-after-a-nul": lambda bundle: (bundle / "manifest.json").write_bytes(
        (bundle / "manifest.json").read_bytes() + b"\0{}"
    ),
    "a-byte-order-mark": lambda bundle: (bundle / "manifest.json").write_bytes(
        b"\xef\xbb\xbf" + (bundle / "manifest.json").read_bytes()
    ),
    "33-levels": lambda bundle: put(bundle, "x", "[" * 32 + "]" * 32),
    "half-a-surrogate-pair": lambda bundle: put(bundle, "x", r'"\ud800"'),
    "half-a-surrogate-pair-for-a-key": lambda bundle: put(bundle, "x", r'{"\udc00": 1}'),
    "an-integer-beyond-all": lambda bundle: put(bundle, "x", "9" * 400),
    "a-tensor-with-a-key-more": lambda bundle: edit_manifest(
        bundle, lambda value: value["contract"]["input"].update(layout="NHWC")
    ),
    "training-in-a-word": lambda bundle: edit_manifest(bundle, lambda value: value.update(training="kept")),
    "no-training": lambda bundle: edit_manifest(bundle, lambda value: value.pop("training")),
    "tolerances-in-a-word": lambda bundle: edit_manifest(
        bundle, lambda value: value["variants"]["fp32"].update(tolerances="none")
    ),
    "a-device-for-a-name": lambda bundle: list_card_as(bundle, "con.md"),
    "latin-1": lambda bundle: say_bytes_in(bundle, "latin-1"),
    "utf-16": lambda bundle: say_bytes_in(bundle, "utf-16"),
    "another-output": rename_an_output,
    "outputs-in-another-order": lambda bundle: edit_manifest(
        bundle, lambda value: value["contract"]["outputs"].reverse()
    ),
    "a-manifest-that-is-cut-off": lambda bundle: (bundle / "manifest.json").write_bytes(
        (bundle / "manifest.json").read_bytes()[:-9]
    ),
    "no-manifest": lambda bundle: (bundle / "manifest.json").unlink(),
}


class HostStrictness:
    """The tests; a subclass has `host`, as for `HostContract`."""

    @pytest.mark.parametrize("damage", STRICT)
    def test_a_bundle_that_is_not_the_contracts_is_refused(
        self, host: Host, tiny: Path, raw_slices: Slices, tmp_path: Path, damage: str
    ) -> None:
        STRICT[damage](tiny)
        assert_nothing_done(host, tiny, raw_slices, tmp_path / "mask")

    def test_what_json_lets_one_write_otherwise_is_the_same(
        self, host: Host, tiny: Path, raw_slices: Slices, tmp_path: Path
    ) -> None:
        put(tiny, "x", "[" * 31 + r'"\ud83d\ude00"' + "]" * 31)
        edit_manifest(tiny, lambda value: value["contract"]["limits"].update(min_side=16.0))
        edit_manifest(
            tiny, lambda value: value["variants"]["fp32"]["tolerances"].update(cpu={"probability": 0, "mask": 1})
        )
        edit_manifest(tiny, lambda value: value["variants"]["fp32"]["tolerances"].update(default=None))
        ran = host.segment(tiny, raw_slices, tmp_path / "mask")
        assert ran.code == 0, ran.err

    @pytest.mark.parametrize("wrong", [2.0, math.nan])
    def test_one_wrong_probability_is_no_success(
        self, host: Host, golden: Golden, tmp_path: Path, wrong: float
    ) -> None:
        folder = Path(shutil.copytree(golden(TINY), tmp_path / "golden"))
        index: dict[str, Any] = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        entry = index["cases"][0]["variants"]["fp32"]["probability"]
        values = np.fromfile(folder / entry["file"], "<f4")
        values[-1] = wrong
        values.tofile(folder / entry["file"])
        entry["sha256"] = hashlib.sha256(values.tobytes()).hexdigest()
        (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
        ran = host(TINY, "--golden", folder, "--json")
        assert ran.code == 1
        assert ran.json()["ok"] is False
        assert [case["within"] for case in ran.json()["cases"]].count(False) == 1

    def test_an_earlier_mask_is_replaced_and_nothing_else_is_left(
        self, host: Host, raw_slices: Slices, tmp_path: Path
    ) -> None:
        _, (count, height, width) = raw_slices
        (tmp_path / "mask.u8").write_bytes(b"an earlier answer")
        assert host.segment(TINY, raw_slices, tmp_path / "mask.u8").code == 0
        assert [each.name for each in tmp_path.iterdir()] == ["mask.u8"]
        assert (tmp_path / "mask.u8").stat().st_size == count * height * width

    def test_a_library_that_is_not_there_is_named(self, host: Host, golden: Golden) -> None:
        plain = Host(host.name, host.command[: host.command.index("--library")])
        ran = plain(TINY, "--library", "/nowhere/libonnxruntime.so", "--golden", golden(TINY))
        assert_refused(ran)
        assert "--library" in ran.err
