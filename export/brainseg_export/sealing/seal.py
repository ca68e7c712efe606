"""A bundle's folder, written whole or not at all: the manifest last, and opened once before it is put in place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from brainseg_export.errors import ExportError
from brainseg_export.sealing.sign import sign
from brainseg_runtime.bundles import golden
from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.bundles.golden import GoldenCase
from brainseg_runtime.bundles.manifest import MANIFEST_NAME, FileEntry, Fingerprint, Licence, Manifest, Variant
from brainseg_runtime.safe_io import files
from brainseg_runtime.safe_io.strict_json import Json

GOLDEN_NAME: Final = "golden.npz"
CARD_NAME: Final = "MODEL_CARD.md"
SBOM_NAME: Final = "sbom.cdx.json"


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Everything that goes into a bundle."""

    name: str
    version: str
    threshold: float
    temperature: float
    variants: Mapping[str, Variant]
    """By name."""
    graphs: Mapping[str, bytes]
    """By file name."""
    golden: list[GoldenCase]
    card: str
    """Markdown."""
    sbom: str
    """CycloneDX JSON."""
    licence: Licence
    fingerprint: Fingerprint | None = None
    training: Mapping[str, Json] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)


def seal(
    target: Path, contents: Contents, *, private_key: Path | None = None, check: Callable[[Path], None] | None = None
) -> str:
    """Write a bundle; an older one in its place stays unless everything succeeds.

    Args:
        target: The bundle's folder.
        contents: What goes into it.
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
        listed = {name: _write(folder, name, data) for name, data in _files(contents).items()}
        manifest = files.encode_json(_manifest(contents, listed).to_json()).encode("utf-8")
        _write(folder, MANIFEST_NAME, manifest)
        if private_key is not None:
            sign(folder, private_key)
        digest = hashlib.sha256(manifest).hexdigest()
        open_bundle(folder, digest=digest)
        if check is not None:
            check(folder)
    return digest


def require_replaceable(target: Path) -> None:
    """Refuse a target that holds something else: replacing a folder removes what is in it.

    Args:
        target: The future folder of the bundle.

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


def _files(contents: Contents) -> dict[str, bytes]:
    """Every file that the manifest lists, by name."""
    return {
        **contents.graphs,
        GOLDEN_NAME: golden.encode(contents.golden),
        CARD_NAME: contents.card.encode("utf-8"),
        SBOM_NAME: contents.sbom.encode("utf-8"),
    }


def _write(folder: Path, name: str, data: bytes) -> FileEntry:
    """Write one file; its entry is made from these bytes, not from what is then on the disk."""
    files.write_bytes(folder / name, data)
    return FileEntry(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


def _manifest(contents: Contents, listed: Mapping[str, FileEntry]) -> Manifest:
    return Manifest(
        name=contents.name,
        version=contents.version,
        files=listed,
        threshold=contents.threshold,
        temperature=contents.temperature,
        variants=contents.variants,
        golden=GOLDEN_NAME,
        fingerprint=contents.fingerprint,
        training=contents.training,
        licence=contents.licence,
        tools=contents.tools,
    )
