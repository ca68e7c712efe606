"""The site's installation check: whether a bundle is intact, approved, and computes the expected answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from brainseg_runtime.bundles.bundle import Bundle, check_pin, open_bundle
from brainseg_runtime.bundles.golden import Answer, GoldenCase, decode
from brainseg_runtime.bundles.manifest import SIGNATURE_NAME, Tolerance
from brainseg_runtime.bundles.signature import verify_signature
from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.inference.providers import AUTO, find_provider
from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io.arguments import check_kind, check_path
from brainseg_runtime.safe_io.strict_json import Json
from brainseg_runtime.safe_io.typed_json import to_json
from brainseg_runtime.segmenter import Segmenter

T = TypeVar("T")


class Status(StrEnum):
    """The outcome of a check."""

    PASS = "PASS"  # noqa: S105 - a status
    FAIL = "FAIL"
    SKIP = "SKIP"
    """The check could not be made, and the detail says why; it does not count against the bundle."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check and its outcome."""

    name: str
    """``bundle``, ``digest``, ``signature``, ``contract fp32``, ``golden fp32`` and so on."""
    status: Status
    detail: str


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Every check of a bundle on this machine."""

    path: Path
    digest: str | None
    """The bundle's digest; None where it could not be opened."""
    name: str | None
    """The model's name and version."""
    providers: Mapping[str, str]
    """The provider that ran each variant."""
    checks: tuple[Check, ...]

    @property
    def provider(self) -> str | None:
        """The providers that ran, each once; None where none did."""
        return ", ".join(dict.fromkeys(self.providers.values())) or None

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return all(check.status is not Status.FAIL for check in self.checks)

    @property
    def approved(self) -> bool:
        """Whether the files are as listed, and neither digest nor signature contradicts them."""
        return self.digest is not None and not any(
            check.status is Status.FAIL for check in self.checks if check.name in {"bundle", "digest", "signature"}
        )

    def to_json(self) -> dict[str, Json]:
        """As ``brainseg verify --json`` writes it."""
        rest = to_json(self)
        return {"bundle": rest.pop("path"), "ok": self.ok, "provider": self.provider, **rest}


def verify_bundle(
    path: str | os.PathLike[str],
    digest: str | None = None,
    public_key: str | os.PathLike[str] | None = None,
    provider: str = AUTO,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Verification:
    """Check a bundle: files, pinned digest, signature, and for each variant contract and golden vectors.

    Faults of the bundle are failed checks, not exceptions. A bundle whose digest differs from the pinned one, or whose
    signature does not hold, is not run.

    Args:
        path: The bundle's folder.
        digest: The digest that it should have.
        public_key: A PEM file; with it the signature is checked, without it only its presence is reported.
        provider: On which provider the variants run; ``auto`` takes what `Segmenter.load` would.
        limits: Caps on files.

    Returns:
        Every check with its status.

    Raises:
        ArgumentError: The path or the limits have the wrong type.
        ProviderError: No provider has that name.
    """
    path = check_path("path", path)
    check_kind("limits", limits, Limits)
    if provider != AUTO:
        find_provider(provider)  # an unknown name is the caller's fault, not the bundle's
    opened, made = _attempt("bundle", lambda: open_bundle(path, limits=limits), _describe)
    bundle = made[0] if made else None
    checks = [opened]
    used: dict[str, str] = {}
    if bundle is not None:
        identity = (_check_digest(digest, bundle), _check_signature(path, public_key, bundle, limits))
        checks.extend(identity)
        if any(check.status is Status.FAIL for check in identity):
            checks.extend(_not_run(bundle))
        else:
            checks.extend(_check_variants(bundle, provider, limits, used))
    return Verification(
        path=path,
        digest=None if bundle is None else bundle.digest,
        name=None if bundle is None else f"{bundle.manifest.name} {bundle.manifest.version}",
        providers=MappingProxyType(used),
        checks=tuple(checks),
    )


def compare_answers(answer: Answer, expected: Answer, tolerance: Tolerance) -> tuple[bool, str]:
    """Whether an answer lies within a tolerance of the expected one, and the differences in words.

    Args:
        answer: What this machine computed.
        expected: What the bundle says.
        tolerance: How far they may differ.

    Returns:
        Whether it passes, and both differences beside their limits.

    Examples:
        >>> half = Answer(mask=np.ones((1, 2, 2), np.uint8), probability=np.full((1, 2, 2), 0.5, np.float32))
        >>> compare_answers(half, half, Tolerance(probability=1e-4, mask=0))
        (True, 'probability differs by 0 (limit 0.0001), mask in 0.00% of pixels (limit 0.00%)')
    """
    difference = float(np.abs(answer.probability - expected.probability).max(initial=0.0))
    fraction = float(np.mean(answer.mask != expected.mask))
    passes = difference <= tolerance.probability and fraction <= tolerance.mask
    return passes, (
        f"probability differs by {difference:.2g} (limit {tolerance.probability:.2g}), "
        f"mask in {fraction:.2%} of pixels (limit {tolerance.mask:.2%})"
    )


def _attempt(name: str, action: Callable[[], T], describe: Callable[[T], str]) -> tuple[Check, tuple[T, ...]]:
    """Run an action as a check: it passes unless the action raises; also returns the action's result."""
    try:
        made = action()
    except BrainsegError as error:
        return Check(name=name, status=Status.FAIL, detail=str(error)), ()
    return Check(name=name, status=Status.PASS, detail=describe(made)), (made,)


def _describe(bundle: Bundle) -> str:
    """An opened bundle in words: number of files and total size."""
    size = sum(len(data) for data in bundle.files.values())
    return f"{counted(len(bundle.files), 'file')}, {size / 2**20:.1f} MiB, every SHA-256 as listed"


def _describe_run(segmenter: Segmenter) -> str:
    """Provider and threads of a variant in words."""
    return f"runs on {segmenter.info.provider} with {counted(segmenter.info.threads, 'thread')}"


def _check_digest(digest: str | None, bundle: Bundle) -> Check:
    """The bundle against the pinned digest."""
    if digest is None:
        return Check(name="digest", status=Status.SKIP, detail=f"no digest was pinned; this bundle has {bundle.digest}")
    return _attempt("digest", lambda: check_pin(bundle.path, digest, bundle.digest), lambda _: "as pinned")[0]


def _check_signature(path: Path, public_key: str | os.PathLike[str] | None, bundle: Bundle, limits: Limits) -> Check:
    """The signature against the public key; pinning the digest makes sure that this bundle is the one it signs."""
    if public_key is not None:

        def action() -> Bundle:
            verify_signature(path, public_key)
            return open_bundle(path, digest=bundle.digest, limits=limits)

        return _attempt("signature", action, lambda _: f"made with the key that belongs to {public_key}")[0]
    there = (path / SIGNATURE_NAME).exists()
    detail = "signed, but no public key was given to check it with" if there else "not signed"
    return Check(name="signature", status=Status.SKIP, detail=detail)


def _not_run(bundle: Bundle) -> Iterator[Check]:
    """Skipped checks, for a bundle that is not the approved one."""
    for variant in bundle.manifest.variants:
        yield Check(name=f"contract {variant}", status=Status.SKIP, detail="not run: this is not the approved bundle")


def _check_variants(bundle: Bundle, provider: str, limits: Limits, used: dict[str, str]) -> Iterator[Check]:
    """Contract and golden vectors of every variant; adds the provider that ran each one to `used`."""
    cases: tuple[GoldenCase, ...] = ()
    if bundle.manifest.golden is not None:
        data = bundle.files[bundle.manifest.golden]
        check, decoded = _attempt(
            "golden", lambda: decode(data, limits=limits), lambda found: counted(len(found), "case")
        )
        yield check
        cases = decoded[0] if decoded else ()
    for variant in bundle.manifest.variants:
        load = partial(Segmenter.from_bundle, bundle, provider=provider, variant=variant, limits=limits)
        check, loaded = _attempt(f"contract {variant}", load, _describe_run)
        yield check
        for segmenter in loaded:
            used[variant] = segmenter.info.provider
            yield _check_golden(bundle, segmenter, cases)


def _check_golden(bundle: Bundle, segmenter: Segmenter, cases: tuple[GoldenCase, ...]) -> Check:
    """One variant's answers against the expected ones; the detail gives the largest difference."""
    variant, provider = segmenter.info.variant, segmenter.info.provider
    name = f"golden {variant}"
    answered = [case for case in cases if variant in case.answers]
    if not answered:
        return Check(name=name, status=Status.SKIP, detail="the bundle holds no golden vectors for it")
    tolerance = bundle.manifest.variants[variant].tolerance(provider) or find_provider(provider).tolerance
    expected = [case.answers[variant] for case in answered]
    try:
        found = [_answer(segmenter, case) for case in answered]
    except BrainsegError as error:
        return Check(name=name, status=Status.FAIL, detail=str(error))
    results = [compare_answers(*pair, tolerance) for pair in zip(found, expected, strict=True)]
    failed = [detail for passes, detail in results if not passes]
    worst = max(range(len(found)), key=lambda n: float(np.abs(found[n].probability - expected[n].probability).max()))
    return Check(
        name=name,
        status=Status.FAIL if failed else Status.PASS,
        detail=f"{counted(len(results), 'case')} on {provider}: {failed[0] if failed else results[worst][1]}",
    )


def _answer(segmenter: Segmenter, case: GoldenCase) -> Answer:
    """A segmenter's answer to a case."""
    volume = segmenter.predict_volume(case.image)
    return Answer(mask=volume.mask, probability=volume.probability)
