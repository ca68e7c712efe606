"""A bundle's folder, read once: every byte used later has been hashed against the manifest.

The manifest is read first, and its SHA-256 is the bundle's digest. Then each listed file is opened once, read up to the
size that the manifest states, and hashed. The caller gets those bytes, never a path, so nothing can change between the
check and the use.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from brainseg_runtime.bundles.manifest import MANIFEST_NAME, SIGNATURE_NAME, Manifest, Variant
from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.errors import (
    BundleMissingError,
    BundleSchemaError,
    BundleTamperedError,
    BundleTooLargeError,
    DigestMismatchError,
)
from brainseg_runtime.safe_io.arguments import check_kind, check_path
from brainseg_runtime.safe_io.files import read_capped
from brainseg_runtime.safe_io.litter import is_litter

_DIGEST: Final = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A verified bundle: its manifest and the bytes that were hashed."""

    path: Path
    digest: str
    """SHA-256 of ``manifest.json``, 64 lower-case hexadecimal digits."""
    manifest: Manifest
    files: Mapping[str, bytes]
    """Every listed file, by name."""

    def model(self, variant: str) -> bytes:
        """The ONNX bytes of a variant.

        Raises:
            BundleSchemaError: The bundle has no such variant.
        """
        return self.files[self.variant(variant).file]

    def variant(self, name: str) -> Variant:
        """A variant by name.

        Raises:
            BundleSchemaError: The bundle has no such variant.
        """
        if name not in self.manifest.variants:
            raise BundleSchemaError(
                f"bundle {self.manifest.name} has no variant {name!r}",
                expected=f"one of {list(self.manifest.variants)}",
            )
        return self.manifest.variants[name]


def open_bundle(path: str | os.PathLike[str], *, digest: str | None = None, limits: Limits = DEFAULT_LIMITS) -> Bundle:
    """Read and verify a bundle: every listed file, and no other file but the signature.

    Args:
        path: The bundle's folder.
        digest: The digest that the caller pins: 64 hexadecimal digits, with or without ``sha256:`` before them.
        limits: Caps on files.

    Returns:
        The verified bundle with all its bytes.

    Raises:
        ArgumentError: The path or the limits have the wrong type.
        BundleMissingError: The folder, the manifest or a listed file is missing, or cannot be read.
        DigestMismatchError: The manifest is not the pinned one.
        BundleSchemaError: The manifest is damaged, or of an unknown schema.
        BundleTamperedError: A file differs, is not listed, or is a link.
        BundleTooLargeError: A file or the whole bundle exceeds its cap.
    """
    folder = check_path("path", path)
    check_kind("limits", limits, Limits)
    _check_folder(folder)
    data = _read(folder / MANIFEST_NAME, limits.max_manifest_bytes)
    found = hashlib.sha256(data).hexdigest()
    if digest is not None:
        check_pin(folder, digest, found)
    manifest = Manifest.from_bytes(data, limits=limits)
    _check_sizes(manifest, limits)
    _check_listing(folder, manifest)
    files = {name: _verified(folder, name, manifest) for name in manifest.files}
    return Bundle(path=folder, digest=found, manifest=manifest, files=MappingProxyType(files))


def check_pin(folder: Path, pinned: object, found: str) -> None:
    """Refuse a bundle that is not the pinned one.

    Args:
        folder: The bundle's folder, for the error.
        pinned: The digest that it should have.
        found: The digest that it has.

    Raises:
        DigestMismatchError: The two differ, or the pinned one is not a digest.

    Examples:
        >>> check_pin(Path("models/resunet"), f"sha256:{'A' * 64}", "a" * 64)
    """
    match = _DIGEST.fullmatch(pinned) if isinstance(pinned, str) else None
    if match is None:
        raise DigestMismatchError(
            "the pinned digest is not a SHA-256",
            expected="64 hexadecimal digits",
            got=ascii(str(pinned)[:80]),
            remedy="give the digest that was approved, as `brainseg verify BUNDLE` prints it",
        )
    if not hmac.compare_digest(match[1].lower(), found):
        raise DigestMismatchError(
            f"bundle {folder} is not the pinned one",
            expected=match[1].lower(),
            got=found,
            remedy="load the bundle that was approved, or approve this one and pin its digest",
        )


def _check_folder(folder: Path) -> None:
    """Refuse a path that is not a folder with a manifest."""
    try:
        kind = None if folder.is_dir() else "something else" if folder.exists() else "nothing"
    except (OSError, ValueError) as error:  # no permission, or a name that no file can have
        kind = getattr(error, "strerror", None) or str(error)
    if kind is not None:
        within = folder.name in {MANIFEST_NAME, "model.onnx"} and kind == "something else"
        raise BundleMissingError(
            f"no bundle at {folder}",
            expected="a folder with manifest.json",
            got=kind,
            remedy=f"give {folder.parent}" if within else None,
        )
    try:
        (folder / MANIFEST_NAME).lstat()
    except FileNotFoundError as error:
        raise BundleMissingError(
            f"no bundle at {folder}",
            expected="a folder with manifest.json",
            got="a folder without one",
            remedy=_bundles_near(folder),
        ) from error
    except OSError:
        return  # reading it says why


def _bundles_near(folder: Path) -> str | None:
    """Bundles directly inside the folder, to suggest in an error."""
    try:
        found = sorted(path.parent for path in folder.glob(f"*/{MANIFEST_NAME}"))
    except OSError:
        return None
    shown = " or ".join(map(str, found[:8]))
    return f"give {shown}" if found else None


def _check_sizes(manifest: Manifest, limits: Limits) -> None:
    """Refuse a manifest whose files exceed the caps, before any of them is read."""
    if len(manifest.files) > limits.max_files:
        raise BundleTooLargeError("too many files", expected=f"at most {limits.max_files}", got=len(manifest.files))
    for name, entry in manifest.files.items():
        if entry.bytes > limits.max_file_bytes:
            raise BundleTooLargeError(
                f"{name} is too large", expected=f"at most {limits.max_file_bytes} bytes", got=f"{entry.bytes} bytes"
            )
    total = sum(entry.bytes for entry in manifest.files.values())
    if total > limits.max_bundle_bytes:
        raise BundleTooLargeError(
            "the bundle is too large", expected=f"at most {limits.max_bundle_bytes} bytes", got=f"{total} bytes"
        )


def _check_listing(folder: Path, manifest: Manifest) -> None:
    """Refuse a folder with missing or unlisted files."""
    try:
        present = {entry.name for entry in os.scandir(folder)}
    except OSError as error:
        raise BundleMissingError(f"{folder} cannot be listed", got=error.strerror or error) from error
    expected = {MANIFEST_NAME, *manifest.files}
    if missing := sorted(expected - present):
        raise BundleMissingError(
            f"bundle {folder} is incomplete", expected=f"files {sorted(expected)}", got=f"no {missing}"
        )
    known = {*expected, SIGNATURE_NAME}
    if extra := sorted(name for name in present - known if not is_litter(name)):
        raise BundleTamperedError(
            f"bundle {folder} holds files that its manifest does not list",
            expected=f"files {sorted(expected)}",
            got=f"also {[name[:80] for name in extra[:8]]}",
            remedy="remove them if they were put there by mistake, or get the bundle again",
        )


def _verified(folder: Path, name: str, manifest: Manifest) -> bytes:
    """One file's bytes, read once and compared with the manifest."""
    entry = manifest.files[name]
    path = folder / name
    try:
        data = _read(path, entry.bytes)
    except BundleTooLargeError as error:
        raise _tampered(path, f"{entry.bytes} bytes", "more") from error
    if len(data) != entry.bytes:
        raise _tampered(path, f"{entry.bytes} bytes", f"{len(data)} bytes")
    found = hashlib.sha256(data).hexdigest()
    if found != entry.sha256:
        raise _tampered(path, f"SHA-256 {entry.sha256}", found)
    return data


def _read(path: Path, limit: int) -> bytes:
    """A file's bytes; a link counts as tampering, and a file beyond its cap has an error of its own."""
    if path.is_symlink():
        raise _tampered(path, "a regular file", "a link")
    return read_capped(path, limit, error=BundleMissingError, too_large=BundleTooLargeError)


def _tampered(path: Path, expected: str, got: str) -> BundleTamperedError:
    """The error for a file that is not the one the manifest names."""
    return BundleTamperedError(
        f"{path} is not the file that the manifest names", expected=expected, got=got, remedy="get the bundle again"
    )
