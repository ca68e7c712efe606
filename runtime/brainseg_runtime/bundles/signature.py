"""The signature of a bundle: who sealed it, checked against a public key.

The digest proves that a bundle is whole, a pinned digest that it is the approved one; a signature proves who made it,
without a digest to hand on. Format: OpenSSF Model Signing, over every file but ``model.sig``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from brainseg_runtime.bundles.manifest import SIGNATURE_NAME
from brainseg_runtime.contract import DEFAULT_LIMITS
from brainseg_runtime.errors import MissingExtraError, SignatureError
from brainseg_runtime.extras import install_remedy
from brainseg_runtime.safe_io.files import read_capped
from brainseg_runtime.safe_io.litter import is_litter

MAX_KEY_BYTES: Final = 1 << 16  # a key takes a few hundred


def verify_signature(folder: str | os.PathLike[str], public_key: str | os.PathLike[str]) -> None:
    """Check ``model.sig`` of a bundle against a public key.

    The folder is hashed anew. To be sure that the bundle that was loaded is the one that was signed, open it again with
    its digest pinned, as `verify_bundle` does.

    Args:
        folder: The bundle.
        public_key: A PEM file with an elliptic-curve public key.

    Raises:
        SignatureError: The signature or the key is missing or damaged, or the signature does not fit the files.
        MissingExtraError: The extra `sign` is not installed.
    """
    path = Path(folder)
    read_capped(path / SIGNATURE_NAME, DEFAULT_LIMITS.max_manifest_bytes, error=SignatureError)
    read_capped(Path(public_key), MAX_KEY_BYTES, error=SignatureError)
    try:
        from model_signing import hashing, verifying
    except ImportError as error:
        raise MissingExtraError(
            "checking a signature needs model-signing",
            remedy=install_remedy("sign"),
        ) from error
    try:
        config = verifying.Config()  # type: ignore[no-untyped-call]  # its constructor has no annotations
        if litter := [each.name for each in path.iterdir() if is_litter(each.name)]:
            hashes = hashing.Config()  # type: ignore[no-untyped-call]  # as above
            config.set_hashing_config(hashes.set_ignored_paths(paths=[SIGNATURE_NAME, *litter]))
        verifier = config.use_elliptic_key_verifier(public_key=Path(public_key))
        verifier.verify(path, path / SIGNATURE_NAME)
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        raise SignatureError(
            f"the signature of {path} does not hold",
            expected=f"files signed with the key that belongs to {public_key}",
            got=str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__,
            remedy="get the bundle again from its maker, or the right public key",
        ) from error
