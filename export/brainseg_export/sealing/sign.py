"""Signatures of bundles: OpenSSF Model Signing with an elliptic key pair, without any network.

The signature covers every other file in the folder, the manifest included, and lies beside them as `model.sig`.
`brainseg verify --public-key` checks it, as does any other tool that reads the format.

Source: OpenSSF Model Signing Specification 1.0.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from brainseg_export.errors import SigningError
from brainseg_runtime.bundles.manifest import SIGNATURE_NAME
from brainseg_runtime.errors import MissingExtraError
from brainseg_runtime.extras import install_remedy


def require_signer(private_key: Path) -> None:
    """Check before the work that the bundle can be signed after it.

    Args:
        private_key: A PEM file with an elliptic private key, without a password.

    Raises:
        MissingExtraError: The extra `sign` is not installed.
        SigningError: There is no such file, or its key cannot sign.
    """
    _signer(private_key)


def sign(folder: Path, private_key: Path) -> None:
    """Sign a bundle's folder.

    Args:
        folder: Every file in it is covered; it does not hold a signature yet.
        private_key: A PEM file with an elliptic private key, without a password.

    Raises:
        MissingExtraError: The extra `sign` is not installed.
        SigningError: The key cannot be used.
    """
    signer = _signer(private_key)
    with _explained(private_key):
        signer.sign(folder, folder / SIGNATURE_NAME)


def _signer(private_key: Path) -> Any:  # noqa: ANN401 - a class without types
    """A signer with the key in the file."""
    if importlib.util.find_spec("model_signing") is None:
        raise MissingExtraError("signing needs model-signing", remedy=install_remedy("sign"))
    if not private_key.is_file():
        raise SigningError(f"no private key at {private_key}", expected="a PEM file", got="nothing")
    from model_signing import hashing, signing

    with _explained(private_key):
        hashes = hashing.Config()  # type: ignore[no-untyped-call]  # its constructor has no annotations
        hashes.set_ignored_paths(paths=[SIGNATURE_NAME])
        config = signing.Config()  # type: ignore[no-untyped-call]
        return config.set_hashing_config(hashes).use_elliptic_key_signer(private_key=private_key)


@contextmanager
def _explained(private_key: Path) -> Iterator[None]:
    """Replace what the library raises for a key of another kind by an error that says so."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise SigningError(
            f"the bundle cannot be signed with {private_key}",
            expected="an elliptic private key in PEM form, without a password",
            got=error,
            remedy="openssl ecparam -name prime256v1 -genkey -noout -out private.pem",
        ) from error
