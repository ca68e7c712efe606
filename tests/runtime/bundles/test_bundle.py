"""A bundle's folder: every way of not being the one that was sealed has its own error."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.contract import Limits
from brainseg_runtime.errors import (
    BundleError,
    BundleMissingError,
    BundleSchemaError,
    BundleTamperedError,
    BundleTooLargeError,
    DigestMismatchError,
)
from tests.runtime.tiny import TINY, copy_tiny, digest_of, edit_manifest

FILES = sorted(path.name for path in TINY.iterdir())
LISTED = [name for name in FILES if name != "manifest.json"]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy to change."""
    return copy_tiny(tmp_path)


def test_every_listed_file_is_held_as_it_was_hashed() -> None:
    opened = open_bundle(TINY)
    assert dict(opened.files) == {name: (TINY / name).read_bytes() for name in LISTED}
    assert opened.digest == digest_of(TINY)
    assert opened.model("int8") == (TINY / "model.int8.onnx").read_bytes()


def test_a_variant_that_is_not_there_is_named() -> None:
    with pytest.raises(BundleSchemaError, match="fp16"):
        open_bundle(TINY).model("fp16")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleMissingError, match=name.replace(".", r"\.")):
        open_bundle(bundle)


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda d: d + b"\0", lambda d: bytes([d[0] ^ 1]) + d[1:]])
def test_a_changed_file_is_refused(bundle: Path, name: str, change: object) -> None:
    path = bundle / name
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(BundleTamperedError, match=name.replace(".", r"\.")):
        open_bundle(bundle)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_no_flipped_bit_anywhere_loads(bundle: Path, data: st.DataObject) -> None:
    path = bundle / data.draw(st.sampled_from(FILES))
    sound = path.read_bytes()
    changed = bytearray(sound)
    changed[data.draw(st.integers(0, len(sound) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(changed)
    try:
        with pytest.raises(BundleError):
            open_bundle(bundle, digest=digest_of(TINY))
    finally:
        path.write_bytes(sound)


def test_a_file_that_is_not_listed_is_refused(bundle: Path) -> None:
    (bundle / "more.txt").touch()
    with pytest.raises(BundleTamperedError, match=r"more\.txt"):
        open_bundle(bundle)


def test_a_folder_inside_is_refused(bundle: Path) -> None:
    (bundle / "sub").mkdir()
    with pytest.raises(BundleTamperedError, match="sub"):
        open_bundle(bundle)


def test_the_signature_is_the_only_file_that_need_not_be_listed(bundle: Path) -> None:
    (bundle / "model.sig").write_bytes(b"anything")
    assert "model.sig" not in open_bundle(bundle).files


@pytest.mark.parametrize("name", FILES)
def test_a_link_is_refused_even_to_the_right_bytes(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    try:
        (bundle / name).symlink_to(TINY / name)
    except OSError:
        pytest.skip("this user may not make links here")
    with pytest.raises(BundleTamperedError, match="a link"):
        open_bundle(bundle)


def test_a_folder_in_a_files_place_is_refused(bundle: Path) -> None:
    (bundle / "model.onnx").unlink()
    (bundle / "model.onnx").mkdir()
    with pytest.raises(BundleError):
        open_bundle(bundle)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_a_files_place_is_refused_at_once(bundle: Path) -> None:
    (bundle / "model.onnx").unlink()
    os.mkfifo(bundle / "model.onnx")
    with pytest.raises(BundleError, match="regular file"):
        open_bundle(bundle)


def test_another_schema_is_refused(bundle: Path) -> None:
    edit_manifest(bundle, lambda value: value.update(schema="brainseg/bundle/9"))
    with pytest.raises(BundleSchemaError, match="unknown schema"):
        open_bundle(bundle)


@pytest.mark.parametrize(
    "limits",
    [Limits(max_manifest_bytes=10), Limits(max_file_bytes=10), Limits(max_bundle_bytes=10), Limits(max_files=1)],
)
def test_each_cap_has_the_same_error(limits: Limits) -> None:
    with pytest.raises(BundleTooLargeError, match="at most"):
        open_bundle(TINY, limits=limits)


def test_a_size_beyond_the_cap_is_refused_before_the_file_is_read(bundle: Path) -> None:
    edit_manifest(bundle, lambda value: value["files"]["model.onnx"].update(bytes=10**12))
    with pytest.raises(BundleTooLargeError, match=r"model\.onnx"):
        open_bundle(bundle)


@pytest.mark.parametrize("form", ["{}", "sha256:{}"])
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_the_pinned_digest_opens_it(form: str, case: object) -> None:
    assert open_bundle(TINY, digest=form.format(case(digest_of(TINY)))).digest == digest_of(TINY)  # type: ignore[operator]


@pytest.mark.parametrize("pin", [hashlib.sha256(b"").hexdigest(), "", "48fcb2", "x" * 64, "md5:" + "0" * 32])
def test_another_digest_does_not(pin: str) -> None:
    with pytest.raises(DigestMismatchError):
        open_bundle(TINY, digest=pin)


def test_a_pinned_bundle_does_not_open_after_its_maker_changed_it(bundle: Path) -> None:
    pinned = digest_of(bundle)
    edit_manifest(bundle, lambda value: value.update(threshold=0.4))
    assert open_bundle(bundle).manifest.threshold == 0.4
    with pytest.raises(DigestMismatchError, match="approved"):
        open_bundle(bundle, digest=pinned)


@pytest.mark.parametrize("where", ["none", "manifest.json"])
def test_what_is_no_folder_is_refused(bundle: Path, where: str) -> None:
    with pytest.raises(BundleMissingError, match="no bundle"):
        open_bundle(bundle / where)
