"""Sealing: whole or not at all, signed or refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from brainseg_export.errors import SigningError
from brainseg_export.evidence import golden as vectors
from brainseg_export.evidence.predictors import predictor
from brainseg_export.sealing import seal, sign
from brainseg_export.sources.provenance import PHANTOM
from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.bundles.manifest import Manifest, Variant
from brainseg_runtime.bundles.signature import verify_signature
from brainseg_runtime.errors import BrainsegError, FileWriteError, SignatureError
from tests.export.conftest import tiny_graph

Contents: TypeAlias = tuple[Manifest, dict[str, bytes]]


@pytest.fixture(scope="module")
def contents() -> Contents:
    graph = tiny_graph("unet")
    run = predictor(graph, "cpu")
    golden = vectors.golden_cases({"fp32": run})
    tolerances = vectors.tolerances("fp32", "fp32", golden, {"cpu": run})
    variant = Variant(file=graph.name, precision="fp32", parity={}, accuracy={}, tolerances=tolerances)
    files = seal.bundle_files({graph.name: graph.data}, golden, "# Tiny\n", "{}\n")
    manifest = Manifest(
        name="tiny", version="1.0.0", threshold=0.5, temperature=1.0, variants={"fp32": variant},
        files=seal.entries(files), golden=seal.GOLDEN_NAME, licence=PHANTOM,
    )  # fmt: skip
    return manifest, files


def write_keys(folder: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> tuple[Path, Path]:
    private, public = folder / "private.pem", folder / "public.pem"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


def test_a_sealed_bundle_opens_with_its_digest(contents: Contents, tmp_path: Path) -> None:
    digest = seal.seal(tmp_path / "tiny", *contents)
    assert open_bundle(tmp_path / "tiny", digest=digest).manifest.name == "tiny"


def test_equal_contents_give_equal_bundles(contents: Contents, tmp_path: Path) -> None:
    assert seal.seal(tmp_path / "one", *contents) == seal.seal(tmp_path / "two", *contents)


def test_a_check_that_fails_leaves_what_was_there(contents: Contents, tmp_path: Path) -> None:
    target = tmp_path / "tiny"
    seal.seal(target, *contents)
    before = {path.name: path.read_bytes() for path in target.iterdir()}

    def refuse(folder: Path) -> None:
        assert (folder / "manifest.json").is_file()
        raise BrainsegError("no")

    with pytest.raises(BrainsegError):
        seal.seal(target, *contents, check=refuse)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


@pytest.mark.parametrize("file", range(1, 12))
def test_a_disk_that_fills_up_leaves_what_was_there_and_nothing_half_written(
    contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: int
) -> None:
    target = tmp_path / "tiny"
    seal.seal(target, *contents)
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    flushed, fsync = 0, os.fsync

    def full(descriptor: int) -> None:
        nonlocal flushed
        flushed += 1
        if flushed == file:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr("brainseg_runtime.safe_io.files.os.fsync", full)
    with pytest.raises(FileWriteError, match="No space left"):
        seal.seal(target, *contents)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_a_signed_bundle_verifies_with_its_key_and_no_other(contents: Contents, tmp_path: Path) -> None:
    private, public = write_keys(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    (tmp_path / "other").mkdir()
    _, stranger = write_keys(tmp_path / "other", ec.generate_private_key(ec.SECP256R1()))
    seal.seal(tmp_path / "tiny", *contents, private_key=private)
    verify_signature(tmp_path / "tiny", public)
    with pytest.raises(SignatureError):
        verify_signature(tmp_path / "tiny", stranger)
    (tmp_path / "tiny" / "MODEL_CARD.md").write_bytes(b"# Tinier\n")
    with pytest.raises(SignatureError):
        verify_signature(tmp_path / "tiny", public)


@pytest.mark.parametrize(
    "content", [b"", b"not a key", b"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"]
)
def test_a_key_that_is_none_leaves_no_bundle(contents: Contents, tmp_path: Path, content: bytes) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(content)
    with pytest.raises(SigningError):
        sign.require_signer(key)  # before any work
    with pytest.raises(SigningError):
        seal.seal(tmp_path / "tiny", *contents, private_key=key)
    assert not (tmp_path / "tiny").exists()


def test_a_key_of_another_kind_is_refused(contents: Contents, tmp_path: Path) -> None:
    private, _ = write_keys(tmp_path, rsa.generate_private_key(65537, 2048))
    with pytest.raises(SigningError):
        seal.seal(tmp_path / "tiny", *contents, private_key=private)


def test_a_missing_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SigningError, match="no private key"):
        sign.require_signer(tmp_path / "key.pem")


def test_golden_images_are_drawn_and_always_the_same() -> None:
    first, second = vectors.golden_images(), vectors.golden_images()
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(image.dtype == np.uint8 and image.shape[3] == 3 for image in first)
    assert {len(image) for image in first} == {1, 2}


def test_tolerances_are_never_below_the_floor_and_widen_with_what_was_seen() -> None:
    rng = np.random.default_rng(0)

    def exact(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        probability = images[..., 1].astype(np.float32) / 255
        return (probability >= 0.5).astype(np.uint8), probability

    def off(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mask, probability = exact(images)
        return mask, np.clip(probability + rng.choice([-0.01, 0.01], probability.shape), 0, 1).astype(np.float32)

    golden = vectors.golden_cases({"fp32": exact})
    found = vectors.tolerances("fp32", "fp32", golden, {"cpu": exact, "openvino": off})
    assert found["cpu"] == vectors.FLOORS["fp32"]
    assert found["openvino"].probability == pytest.approx(0.02, rel=1e-3)
    assert found["default"].probability == found["openvino"].probability
