"""Signatures: made with the library that export uses, and broken in every way that matters."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from brainseg_runtime.bundles.signature import verify_signature
from brainseg_runtime.errors import MissingExtraError, SignatureError
from brainseg_runtime.installation.verify import Status, verify_bundle
from tests.runtime.tiny import copy_tiny, edit_manifest

signs = pytest.mark.skipif(importlib.util.find_spec("model_signing") is None, reason="extra sign is not installed")


def make_key(folder: Path, name: str) -> Path:
    """A private key beside its public one (``name.pub``)."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / name, folder / f"{name}.pub"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Path, Path]:
    """A signed bundle and the public key."""
    from model_signing import hashing, signing

    bundle, private = copy_tiny(tmp_path), make_key(tmp_path, "key")
    # Their constructors have no annotations.
    hashes = hashing.Config().set_ignored_paths(paths=[bundle / "model.sig"])  # type: ignore[no-untyped-call]
    signer = signing.Config().set_hashing_config(hashes)  # type: ignore[no-untyped-call]
    signer.use_elliptic_key_signer(private_key=private).sign(bundle, bundle / "model.sig")
    return bundle, tmp_path / "key.pub"


@signs
def test_a_signed_bundle_passes(signed: tuple[Path, Path]) -> None:
    bundle, public = signed
    verify_signature(bundle, public)
    found = verify_bundle(bundle, public_key=public, provider="cpu")
    assert {check.name: check.status for check in found.checks}["signature"] is Status.PASS


@signs
def test_litter_beside_the_files_is_not_signed_and_no_other_file_is_excused(signed: tuple[Path, Path]) -> None:
    bundle, public = signed
    (bundle / ".DS_Store").write_bytes(b"shadow")
    (bundle / "@eaDir").mkdir()
    (bundle / "@eaDir" / "model.onnx").write_bytes(b"shadow")
    verify_signature(bundle, public)
    found = verify_bundle(bundle, public_key=public, provider="cpu")
    assert found.ok
    (bundle / "other.onnx").write_bytes(b"stranger")
    with pytest.raises(SignatureError, match="does not hold"):
        verify_signature(bundle, public)


@signs
def test_another_key_fails(signed: tuple[Path, Path], tmp_path: Path) -> None:
    make_key(tmp_path, "other")
    with pytest.raises(SignatureError, match="does not hold"):
        verify_signature(signed[0], tmp_path / "other.pub")


@signs
@pytest.mark.parametrize("name", ["model.onnx", "manifest.json", "MODEL_CARD.md"])
def test_a_changed_file_fails(signed: tuple[Path, Path], name: str) -> None:
    path = signed[0] / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(SignatureError):
        verify_signature(*signed)


@signs
def test_a_bundle_that_is_whole_but_not_what_was_signed_fails(signed: tuple[Path, Path]) -> None:
    edit_manifest(signed[0], lambda value: value.update(threshold=0.01))
    found = verify_bundle(signed[0], public_key=signed[1], provider="cpu")
    statuses = {check.name: check.status for check in found.checks}
    assert (statuses["bundle"], statuses["signature"]) == (Status.PASS, Status.FAIL)
    assert not found.ok


@signs
@pytest.mark.parametrize("data", [b"", b"{}", b"not json", b'{"mediaType": "x"}', b"\xff" * 40])
def test_a_signature_that_is_none_fails(signed: tuple[Path, Path], data: bytes) -> None:
    (signed[0] / "model.sig").write_bytes(data)
    with pytest.raises(SignatureError):
        verify_signature(*signed)


@signs
def test_a_key_that_is_none_fails(signed: tuple[Path, Path]) -> None:
    signed[1].write_bytes(b"no key")
    with pytest.raises(SignatureError):
        verify_signature(*signed)


@pytest.mark.parametrize("missing", ["model.sig", "key.pub"])
def test_what_is_not_there_fails(tmp_path: Path, missing: str) -> None:
    bundle = copy_tiny(tmp_path)
    if missing != "model.sig":
        (bundle / "model.sig").write_bytes(b"{}")
    with pytest.raises(SignatureError, match=missing.replace(".", r"\.")):
        verify_signature(bundle, tmp_path / "key.pub")


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = copy_tiny(tmp_path)
    (bundle / "model.sig").write_bytes(b"{}")
    (tmp_path / "key.pub").write_bytes(b"key")
    monkeypatch.setitem(sys.modules, "model_signing", None)
    with pytest.raises(MissingExtraError, match=r"\[sign\]"):
        verify_signature(bundle, tmp_path / "key.pub")
