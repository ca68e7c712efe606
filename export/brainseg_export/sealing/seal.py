"""A bundle's folder, written whole or not at all: the manifest last, and opened once before it is put in place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from brainseg_export.errors import ExportError
from brainseg_export.sealing.sign import sign
from brainseg_runtime.bundles import golden
from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.bundles.golden import GoldenCase
from brainseg_runtime.bundles.manifest import MANIFEST_NAME, FileEntry, Manifest
from brainseg_runtime.safe_io import files

GOLDEN_NAME: Final = "golden.npz"
CARD_NAME: Final = "MODEL_CARD.md"
SBOM_NAME: Final = "sbom.cdx.json"


def bundle_files(graphs: Mapping[str, bytes], vectors: list[GoldenCase], card: str, sbom: str) -> dict[str, bytes]:
    """Every file of a bundle that its manifest lists, by name."""
    return {
        **graphs,
        GOLDEN_NAME: golden.encode(vectors),
        CARD_NAME: card.encode("utf-8"),
        SBOM_NAME: sbom.encode("utf-8"),
    }


def entries(content: Mapping[str, bytes]) -> dict[str, FileEntry]:
    """What a manifest lists of these files; made from the bytes, not from what is then on the disk."""
    return {name: FileEntry(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data)) for name, data in content.items()}


def seal(
    target: Path,
    manifest: Manifest,
    content: Mapping[str, bytes],
    *,
    private_key: Path | None = None,
    check: Callable[[Path], None] | None = None,
) -> str:
    """Write a bundle; an older one in its place stays unless everything succeeds.

    Args:
        target: The bundle's folder.
        manifest: Lists the files.
        content: The files by name, from `bundle_files`.
        private_key: Signs the bundle, if given.
        check: Called with the finished folder before it is put in place; what it raises stops everything.

    Returns:
        The bundle's digest.

    Raises:
        ExportError: The target holds something that is not a bundle.
        FileWriteError: The folder cannot be written.
        SigningError: The key cannot be used.
        BundleError: What was written cannot be opened by the runtime.
    """
    require_replaceable(target)
    with files.replace_folder(target) as folder:
        encoded = files.encode_json(manifest.to_json()).encode("utf-8")
        for name, data in {**content, MANIFEST_NAME: encoded}.items():
            files.write_bytes(folder / name, data)
        if private_key is not None:
            sign(folder, private_key)
        digest = hashlib.sha256(encoded).hexdigest()
        open_bundle(folder, digest=digest)
        if check is not None:
            check(folder)
    return digest


def require_replaceable(target: Path) -> None:
    """Refuse a target that holds something else: replacing a folder removes what is in it.

    Raises:
        ExportError: It has content that is not a bundle.
    """
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST_NAME).is_file():
        raise ExportError(
            f"{target} already exists and is not a bundle",
            expected=f"a bundle with {MANIFEST_NAME}, an empty folder or nothing",
            got="a folder with other content",
            remedy="move it away, or name another folder with --out",
        )
