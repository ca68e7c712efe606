"""The segmenter: a bundle loaded into this process.

Legend: H rows, W columns.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.bundles.bundle import Bundle, open_bundle
from brainseg_runtime.bundles.manifest import Fingerprint
from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.errors import BundleMissingError, ProviderError
from brainseg_runtime.inference.engine import Engine
from brainseg_runtime.inference.processor import Processor, inspect_processor, thread_count
from brainseg_runtime.inference.providers import AUTO, FALLBACK, Choice, choose, find_provider
from brainseg_runtime.safe_io.arguments import check_kind, check_path, check_threshold
from brainseg_runtime.safe_io.files import read_capped
from brainseg_runtime.segmentation.base_segmenter import BaseSegmenter
from brainseg_runtime.segmentation.image_check import check_image
from brainseg_runtime.segmentation.input_guard import inspect_image, refuse
from brainseg_runtime.segmentation.results import (
    Prediction,
    Provenance,
    SegmenterInfo,
    Timing,
    at_threshold,
    threshold_warnings,
)
from brainseg_runtime.version import __version__

if TYPE_CHECKING:
    from brainseg_runtime.isolation.isolated_segmenter import IsolatedSegmenter


class Segmenter(BaseSegmenter):
    """A loaded model. Make one with `load`; it is safe to share between threads and holds no global state.

    `predict` takes one slice, `predict_batch` several, `predict_volume` those of one patient.

    >>> segmenter = Segmenter.load("models/resunet", provider="cpu", variant="fp32")
    >>> result = segmenter.predict(np.zeros((64, 64, 3), np.uint8))
    >>> result.mask.shape, int(result.mask.sum())
    ((64, 64), 0)
    """

    def __init__(
        self,
        engine: Engine,
        info: SegmenterInfo,
        fingerprint: Fingerprint | None,
        notes: tuple[str, ...],
        *,
        squeezes: bool = False,
    ) -> None:
        """Not for callers: `load`, `from_bundle` and `load_unsealed` make instances."""
        self._engine = engine
        self._info = info
        self._fingerprint = fingerprint
        self._notes = notes
        self._squeezes = squeezes

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        digest: str | None = None,
        provider: str = AUTO,
        variant: str = AUTO,
        threads: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Segmenter:
        """Load a verified bundle.

        Args:
            path: The bundle's folder.
            digest: SHA-256 of its manifest, pinned by the host; None accepts any intact bundle.
            provider: ``auto``, or a provider's name such as ``cpu``; ``brainseg doctor`` lists them.
            variant: ``auto``, or a variant's name such as ``fp32`` or ``int8``.
            threads: Threads within one operator; None takes the usable cores, at most 4. Results do not depend on it.
            limits: Caps on files and images; a host may lower them.

        Returns:
            A segmenter whose `info` says what is in use and why.

        Raises:
            ArgumentError: An argument has the wrong type, or the threads are not from 1 to 256.
            BundleError: The bundle is incomplete, changed, too large, unknown, or not the pinned one.
            ProviderError: The provider or variant that was named is not available.
            ContractError: The model does not keep the contract.
        """
        return cls.from_bundle(
            open_bundle(path, digest=digest, limits=limits),
            provider=provider, variant=variant, threads=threads, limits=limits,
        )  # fmt: skip

    @classmethod
    def from_bundle(
        cls,
        bundle: Bundle,
        *,
        provider: str = AUTO,
        variant: str = AUTO,
        threads: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Segmenter:
        """As `load`, for a bundle that `open_bundle` has verified: loads several variants without reading it again."""
        processor, manifest = inspect_processor(), bundle.manifest
        check_kind("limits", limits, Limits)
        count = thread_count(threads)
        choice, engine = _open_engine(bundle, choose(manifest, provider, variant, processor), provider, count)
        entry = manifest.variants[choice.variant]
        provenance = Provenance(
            provider=choice.provider,
            variant=choice.variant,
            bundle_digest=bundle.digest,
            model_digest=manifest.files[entry.file].sha256,
            model=f"{manifest.name} {manifest.version}",
            threshold=manifest.threshold,
        )
        info = SegmenterInfo(
            provenance=provenance,
            reasons=choice.reasons,
            nodes=engine.nodes,
            same_bits=entry.same_bits.get(choice.provider),
            threads=count,
            limits=_narrowed(limits, bundle),
            path=bundle.path,
            versions=_versions(),
        )
        squeezes = not str(manifest.training.get("aspect_ratio", "")).startswith("kept")
        return cls(engine, info, manifest.fingerprint, _notes(entry.precision, processor), squeezes=squeezes)

    @classmethod
    def load_unsealed(
        cls,
        path: str | os.PathLike[str],
        *,
        provider: str = FALLBACK.name,
        threads: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Segmenter:
        """Load a bare ONNX file, whose content nothing vouches for; for development, never for patients.

        Args:
            path: An ONNX file that keeps the contract.
            provider: As for `load`; ``auto`` means ``cpu`` here, as there is no evidence for another.
            threads: As for `load`.
            limits: As for `load`.

        Returns:
            A segmenter without bundle digest, threshold and fingerprint; every result says that it is unsealed.

        Raises:
            ArgumentError: An argument has the wrong type, or the threads are not from 1 to 256.
            BundleMissingError: The file cannot be read.
            ProviderError: The provider is not available.
            ContractError: The file does not keep the contract.
        """
        path = check_path("path", path)
        check_kind("limits", limits, Limits)
        data = read_capped(path, limits.max_file_bytes, error=BundleMissingError)
        name = FALLBACK.name if provider == AUTO else provider
        status = find_provider(name).status()
        count = thread_count(threads)
        engine = Engine(data, provider=name, threads=count)
        provenance = Provenance(
            provider=name,
            variant="unsealed",
            bundle_digest=None,
            model_digest=hashlib.sha256(data).hexdigest(),
            model=path.name,
            threshold=None,
        )
        info = SegmenterInfo(
            provenance=provenance,
            reasons=(f"provider {name}: {status.reason}", "no bundle: nothing vouches for this model"),
            nodes=engine.nodes,
            same_bits=None,
            threads=count,
            limits=limits,
            path=path,
            versions=_versions(),
        )
        return cls(engine, info, None, ("unsealed model: nothing vouches for it",))

    @property
    def info(self) -> SegmenterInfo:
        """Provider and variant in use and why, digests, threads, limits, versions."""
        return self._info

    def predict(  # noqa: D102 - the base documents it
        self, image: NDArray[np.uint8], *, strict: bool = False, threshold: float | None = None
    ) -> Prediction:
        start = time.perf_counter()
        own = self._info.provenance.threshold
        asked = None if threshold is None or threshold == own else check_threshold(threshold)
        image = check_image(image, self._info.limits)
        warnings = inspect_image(image, self._fingerprint, squeezes=self._squeezes)
        if strict:
            refuse(warnings)
        before = time.perf_counter()
        mask, probability = self._engine.run(image[None])
        after = time.perf_counter()
        if asked is not None:
            mask = (probability >= np.float32(asked)).view(np.uint8)
        return Prediction(
            mask=mask[0],
            probability=probability[0],
            area=int(np.count_nonzero(mask)),
            warnings=(*self._notes, *threshold_warnings(own, asked), *warnings),
            provenance=at_threshold(self._info.provenance, asked),
            timing=Timing(total=time.perf_counter() - start, inference=after - before),
        )

    def isolated(self, *, deadline: float = 60.0, memory_mib: int | None = None) -> IsolatedSegmenter:
        """The same model in a process of its own: if it crashes, hangs or runs out of memory, that is an error here.

        Args:
            deadline: Seconds that one slice may take; loading does not count.
            memory_mib: Most memory of the process in MiB; None: no cap.

        Returns:
            A segmenter with the same methods; close it, or use ``with``.
        """
        from brainseg_runtime.isolation.isolated_segmenter import IsolatedSegmenter

        return IsolatedSegmenter.of(self._info, deadline=deadline, memory_mib=memory_mib)


def _open_engine(bundle: Bundle, choice: Choice, asked: str, threads: int) -> tuple[Choice, Engine]:
    """The engine of a choice; `auto` falls back where its provider turns out not to work, and says so."""
    model = bundle.model(choice.variant)
    try:
        return choice, Engine(model, provider=choice.provider, threads=threads)
    except ProviderError as error:
        if asked != AUTO or choice.provider == FALLBACK.name:
            raise
        reasons = (*choice.reasons, f"not {choice.provider}: {error}", f"provider {FALLBACK.name}: always available")
    fallback = replace(choice, provider=FALLBACK.name, reasons=reasons)
    return fallback, Engine(model, provider=FALLBACK.name, threads=threads)


def _narrowed(limits: Limits, bundle: Bundle) -> Limits:
    """The host's limits within those of the bundle's contract."""
    own = bundle.manifest.contract.limits
    return replace(
        limits,
        max_batch=min(limits.max_batch, own.max_batch),
        min_side=max(limits.min_side, own.min_side),
        max_side=min(limits.max_side, own.max_side),
    )


def _notes(precision: str, processor: Processor) -> tuple[str, ...]:
    """What every result should say about this machine."""
    if precision == "int8" and not processor.exact_integers:
        return ("int8 without VNNI, AMX or dot product: products may saturate, and the accuracy was not measured so",)
    return ()


def _versions() -> Mapping[str, str]:
    """The versions that a result depends on."""
    import onnxruntime

    return MappingProxyType(
        {
            "brainseg": __version__,
            "onnxruntime": onnxruntime.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        }
    )
