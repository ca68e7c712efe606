"""Wrong arguments, of every call that a host makes, are errors of this package, told before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from brainseg_runtime import ArgumentError, BrainsegError, InputError, Limits, PostProcessing, Segmenter
from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.errors import DigestMismatchError, FileWriteError
from brainseg_runtime.installation.verify import verify_bundle
from brainseg_runtime.isolation.isolated_segmenter import IsolatedSegmenter
from brainseg_runtime.safe_io.arguments import check_deadline, check_integer, check_path
from brainseg_runtime.safe_io.files import read_capped, write_text
from tests.runtime.tiny import TINY, slice_image

WRONG: dict[str, Callable[[Any], object]] = {
    "load path": Segmenter.load,
    "load_unsealed path": Segmenter.load_unsealed,
    "open_bundle path": open_bundle,
    "verify path": verify_bundle,
    "isolated path": IsolatedSegmenter.load,
    "limits": lambda wrong: Segmenter.load(TINY, limits=wrong),
    "limits of a bare file": lambda wrong: Segmenter.load_unsealed(TINY / "model.onnx", limits=wrong),
    "isolated limits": lambda wrong: IsolatedSegmenter.load(TINY, limits=wrong),
    "digest": lambda wrong: Segmenter.load(TINY, digest=wrong if wrong is not None else b""),  # type: ignore[arg-type]
    "provider": lambda wrong: Segmenter.load(TINY, provider=wrong),
    "variant": lambda wrong: Segmenter.load(TINY, variant=wrong),
    "isolated provider": lambda wrong: IsolatedSegmenter.load(TINY, provider=wrong),
    "isolated variant": lambda wrong: IsolatedSegmenter.load(TINY, variant=wrong),
    "threads": lambda wrong: Segmenter.load(TINY, threads=wrong if wrong is not None else 0),
    "isolated threads": lambda wrong: IsolatedSegmenter.load(TINY, threads=wrong if wrong is not None else 0),
    "deadline": lambda wrong: IsolatedSegmenter.load(TINY, deadline=wrong),
    "memory": lambda wrong: IsolatedSegmenter.load(TINY, memory_mib=wrong if wrong is not None else 1),
    "cap": lambda wrong: Limits(max_batch=wrong),
    "smallest component": lambda wrong: PostProcessing(min_voxels=wrong),
}


@pytest.mark.parametrize("wrong", [None, object(), [1], b"2", 1.5 + 1j])
@pytest.mark.parametrize("call", WRONG)
def test_what_no_call_takes_is_an_error_of_this_package(call: str, wrong: object) -> None:
    with pytest.raises(BrainsegError):
        WRONG[call](wrong)


def test_a_wrong_argument_is_the_callers_fault_and_a_value_error() -> None:
    with pytest.raises(ArgumentError, match="threads is wrong; expected an integer from 1 to 256; got 0") as caught:
        Segmenter.load(TINY, threads=0)
    assert isinstance(caught.value, InputError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", ["progress", "cancel", "postprocessing"])
def test_a_volume_is_not_begun_with_what_could_not_end_it(name: str) -> None:
    told: list[int] = []
    arguments: dict[str, Any] = {"progress": lambda done, _: told.append(done), name: "largest"}
    with pytest.raises(ArgumentError, match=name):
        Segmenter.load(TINY, provider="cpu").predict_volume([slice_image()], **arguments)
    assert told == []


def test_an_empty_digest_pins_nothing_and_is_refused_in_a_process_of_its_own_too() -> None:
    with pytest.raises(DigestMismatchError):
        IsolatedSegmenter.load(TINY, provider="cpu", digest="")


@pytest.mark.parametrize("memory", [512.5, "512", True, 63, -1])
def test_a_memory_cap_is_never_left_out_in_silence(memory: Any) -> None:  # noqa: ANN401 - wrong on purpose
    with pytest.raises(ArgumentError, match="memory_mib"):
        IsolatedSegmenter.load(TINY, memory_mib=memory)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000])
def test_names_that_no_file_can_have_are_errors_like_others(name: str, tmp_path: Path) -> None:
    for call in (Segmenter.load, Segmenter.load_unsealed, lambda path: read_capped(path, 10)):
        with pytest.raises(BrainsegError):
            call(tmp_path / name)
    with pytest.raises(FileWriteError):
        write_text(tmp_path / name, "text")


@pytest.mark.parametrize("path", ["/", ".", ""])
def test_a_file_is_not_written_where_no_name_is(path: str) -> None:
    with pytest.raises(FileWriteError, match="a path that ends in a name"):
        write_text(Path(path), "text")


def test_numpys_integers_are_integers() -> None:
    assert check_integer("n", np.int64(3), low=1, high=4) == 3
    assert Limits(max_side=np.int32(512)).max_side == 512  # type: ignore[arg-type]


@pytest.mark.parametrize("caps", [{"max_golden_bytes": -1}, {"max_image_file_bytes": float("nan")}, {"max_files": 0}])
def test_every_cap_is_a_positive_integer(caps: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        Limits(**caps)


def test_a_deadline_without_end_is_a_day() -> None:
    assert check_deadline(float("inf")) == check_deadline(10**12) == 86_400.0
    with pytest.raises(ArgumentError):
        check_deadline(float("nan"))


def test_paths_of_bytes_are_refused_on_every_system() -> None:
    class Bytes:
        def __fspath__(self) -> bytes:
            return b"there"

    with pytest.raises(ArgumentError, match="a path of text"):
        check_path("path", Bytes())
