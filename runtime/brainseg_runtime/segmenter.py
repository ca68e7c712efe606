"""The runtime's face: load a bundle, predict a slice, a batch or a volume.

Legend: N slices, H rows, W columns, C channels (pre-contrast, FLAIR, post-contrast).
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.bundle import Bundle, open_bundle
from brainseg_runtime.contract import DEFAULT_LIMITS, Limits
from brainseg_runtime.engine import Engine
from brainseg_runtime.errors import BundleMissingError, CancelledError, ImageError
from brainseg_runtime.files import read_capped
from brainseg_runtime.guard import check_image, inspect_image
from brainseg_runtime.manifest import Fingerprint
from brainseg_runtime.postprocess import PostProcessing
from brainseg_runtime.processor import Processor, inspect_processor, usable_cores
from brainseg_runtime.providers import choose, provider_status
from brainseg_runtime.results import Prediction, Provenance, Timing, VolumePrediction
from brainseg_runtime.version import __version__

if TYPE_CHECKING:
    from brainseg_runtime.worker import IsolatedSegmenter

MAX_DEFAULT_THREADS: Final = 4
"""Threads that are taken unasked: a slice gains little from more, and a workstation has other work."""

MAX_VOLUME_PIXELS: Final = 1 << 30
"""Most pixels of a volume: its result holds 5 bytes for each."""

Progress = Callable[[int, int], None]
"""Told how many slices are done, and of how many."""

Cancel = Callable[[], bool]
"""Asked before every slice whether to stop."""


@dataclass(frozen=True, kw_only=True)
class SegmenterInfo:
    """What is in use, and why."""

    provenance: Provenance
    reasons: tuple[str, ...]
    """Why this provider and variant, and why not the others."""
    nodes: Mapping[str, int]
    """Nodes of the graph by the provider that runs them; empty on ``cpu``, which runs all."""
    same_bits: bool | None
    """Whether the manifest says that threads, batches and callers leave every bit alone; None: it does not say."""
    threads: int
    limits: Limits
    path: Path
    versions: Mapping[str, str]

    @property
    def provider(self) -> str:
        """The execution provider in use."""
        return self.provenance.provider

    @property
    def variant(self) -> str:
        """The model's variant in use."""
        return self.provenance.variant


class Segmenter:
    """A loaded model. Make one with `load`; it is safe to share between threads and holds no global state."""

    def __init__(
        self, engine: Engine, info: SegmenterInfo, fingerprint: Fingerprint | None, notes: tuple[str, ...]
    ) -> None:
        """Not for callers: `load` and `load_unsealed` make instances."""
        self._engine = engine
        self._info = info
        self._fingerprint = fingerprint
        self._notes = notes

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        digest: str | None = None,
        provider: str = "auto",
        variant: str = "auto",
        threads: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Segmenter:
        """Load a verified bundle.

        Args:
            path: The bundle's folder.
            digest: SHA-256 of its manifest, pinned by the host; None takes any intact bundle.
            provider: ``auto``, ``cpu``, ``openvino``, ``cuda``, ``tensorrt``, ``coreml`` or ``directml``.
            variant: ``auto``, ``fp32``, ``int8`` or what else the bundle has.
            threads: Threads within one operator; None takes the usable cores, at most 4. Results do not depend on it.
            limits: Caps on files and images; a host may lower them.

        Returns:
            A segmenter whose `info` says what is in use and why.

        Raises:
            BundleError: The bundle is incomplete, changed, too large, unknown, or not the pinned one.
            ProviderError: The provider or variant that was named cannot be had.
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
        provider: str = "auto",
        variant: str = "auto",
        threads: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Segmenter:
        """As `load`, for a bundle that `open_bundle` has verified: several variants without reading it twice."""
        processor, manifest = inspect_processor(), bundle.manifest
        choice = choose(manifest, provider, variant, processor)
        entry = manifest.variants[choice.variant]
        provenance = Provenance(
            provider=choice.provider,
            variant=choice.variant,
            bundle_digest=bundle.digest,
            model_digest=manifest.files[entry.file].sha256,
            model=f"{manifest.name} {manifest.version}",
            threshold=manifest.threshold,
        )
        count = _thread_count(threads)
        engine = Engine(bundle.model(choice.variant), provider=choice.provider, threads=count)
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
        return cls(engine, info, manifest.fingerprint, _notes(entry.precision, processor))

    @classmethod
    def load_unsealed(
        cls,
        path: str | os.PathLike[str],
        *,
        provider: str = "cpu",
        threads: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Segmenter:
        """Load a bare ONNX file that nothing vouches for; for development, never for patients.

        Args:
            path: An ONNX file that keeps the contract.
            provider: As `load`; ``auto`` is ``cpu`` here, as there is no evidence for another.
            threads: As `load`.
            limits: As `load`.

        Returns:
            A segmenter without bundle digest, threshold and fingerprint; every result says that it is unsealed.

        Raises:
            BundleMissingError: The file cannot be read.
            ProviderError: The provider cannot be had.
            ContractError: The file does not keep the contract.
        """
        data = read_capped(Path(path), limits.max_file_bytes, error=BundleMissingError)
        name = "cpu" if provider == "auto" else provider
        status = provider_status(name)
        count = _thread_count(threads)
        engine = Engine(data, provider=name, threads=count)
        provenance = Provenance(
            provider=name,
            variant="unsealed",
            bundle_digest=None,
            model_digest=hashlib.sha256(data).hexdigest(),
            model=Path(path).name,
            threshold=None,
        )
        info = SegmenterInfo(
            provenance=provenance,
            reasons=(f"provider {name}: {status.reason}", "no bundle: nothing vouches for this model"),
            nodes=engine.nodes,
            same_bits=None,
            threads=count,
            limits=limits,
            path=Path(path),
            versions=_versions(),
        )
        return cls(engine, info, None, ("unsealed model: nothing vouches for it",))

    @property
    def info(self) -> SegmenterInfo:
        """Provider and variant actually in use and why, digests, threads, limits, versions."""
        return self._info

    def predict(self, image: NDArray[np.uint8], *, strict: bool = False) -> Prediction:
        """Segment one slice.

        Args:
            image: (H, W, 3) uint8, channels pre-contrast, FLAIR, post-contrast; H and W within the limits, any strides,
                read-only or not. It is not changed.
            strict: Refuse what the input guard warns of.

        Returns:
            Mask, probability, area, warnings, timing and provenance.

        Raises:
            ImageError: The image is not such an array, or, with `strict`, one to distrust.
            InferenceError: The model could not be run.
        """
        start = time.perf_counter()
        image = _checked(image, self._info.limits)
        if strict:
            check_image(image, self._fingerprint)
        warnings = inspect_image(image, self._fingerprint)
        before = time.perf_counter()
        mask, probability = self._engine.run(image[None])
        after = time.perf_counter()
        return Prediction(
            mask=mask[0],
            probability=probability[0],
            area=int(np.count_nonzero(mask)),
            warnings=(*self._notes, *warnings),
            provenance=self._info.provenance,
            timing=Timing(total=time.perf_counter() - start, inference=after - before),
        )

    def predict_batch(
        self, images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]], *, strict: bool = False
    ) -> tuple[Prediction, ...]:
        """Segment several slices, which may differ in size; the same bits as one by one.

        Args:
            images: (N, H, W, 3) uint8, or a sequence of (H, W, 3) uint8; at most `Limits.max_batch`.
            strict: As `predict`; every image is checked before the first is run.

        Returns:
            One prediction an image, in order.

        Raises:
            ImageError: An image is not as `predict` takes it, or there are none or too many.
            InferenceError: The model could not be run.
        """
        limits = self._info.limits
        if not 1 <= len(_series(images)) <= limits.max_batch:
            raise ImageError(
                "the batch has a wrong size", expected=f"1 to {limits.max_batch} images", got=len(images),
                remedy="predict_volume takes any number",
            )  # fmt: skip
        checked = [_checked(image, limits) for image in images]
        if strict:
            for image in checked:
                check_image(image, self._fingerprint)
        return tuple(self.predict(image) for image in checked)

    def predict_volume(
        self,
        slices: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
        *,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        strict: bool = False,
        postprocessing: PostProcessing | None = None,
    ) -> VolumePrediction:
        """Segment the slices of one patient; the same bits as slice by slice.

        Args:
            slices: (N, H, W, 3) uint8, or a sequence of (H, W, 3) uint8 of one size, in anatomical order.
            progress: Called with slices done and slices in all: once before the first, then after each.
            cancel: Called before each slice; a true answer stops.
            strict: As `predict`; every slice is checked before the first is run.
            postprocessing: What to do with the masks of the whole volume; None: nothing.

        Returns:
            Masks, probabilities, areas, warnings by slice, timing and provenance.

        Raises:
            ImageError: A slice is not as `predict` takes it, they differ in size, or the volume is empty or too large.
            CancelledError: `cancel` said so; nothing that was computed is returned.
            InferenceError: The model could not be run.
        """
        start = time.perf_counter()
        images = _checked_volume(slices, self._info.limits)
        if strict:
            for image in images:
                check_image(image, self._fingerprint)
        count, (height, width) = len(images), images[0].shape[:2]
        mask = np.empty((count, height, width), np.uint8)
        probability = np.empty((count, height, width), np.float32)
        warnings: dict[int, tuple[str, ...]] = {}
        inference = 0.0
        for n in _counted(count, progress, cancel):
            result = self.predict(images[n])
            mask[n], probability[n] = result.mask, result.probability
            inference += result.timing.inference
            if result.warnings:
                warnings[n] = result.warnings
        return finish_volume(
            mask, probability, warnings,
            postprocessing=postprocessing, provenance=self._info.provenance, start=start, inference=inference,
        )  # fmt: skip

    def isolated(self, *, deadline: float = 60.0, memory_mib: int | None = None) -> IsolatedSegmenter:
        """The same model in a process of its own: a crash, a hang or a memory blow-up there is only an error here.

        Args:
            deadline: Seconds that one slice may take, loading apart.
            memory_mib: Most memory of the process in MiB; None: no cap.

        Returns:
            A segmenter with the same `predict`, `predict_batch` and `predict_volume`; close it, or use ``with``.
        """
        from brainseg_runtime.worker import IsolatedSegmenter

        return IsolatedSegmenter.of(self._info, deadline=deadline, memory_mib=memory_mib)


def finish_volume(
    mask: NDArray[np.uint8],
    probability: NDArray[np.float32],
    warnings: Mapping[int, tuple[str, ...]],
    *,
    postprocessing: PostProcessing | None,
    provenance: Provenance,
    start: float,
    inference: float,
) -> VolumePrediction:
    """Post-process a volume and put its result together; `start` is a `time.perf_counter` reading."""
    final = mask if postprocessing is None else postprocessing.apply(mask)
    return VolumePrediction(
        mask=final,
        probability=probability,
        areas=tuple(int(np.count_nonzero(one)) for one in final),
        warnings=MappingProxyType(dict(warnings)),
        postprocessing=postprocessing,
        removed_pixels=int(np.count_nonzero(mask)) - int(np.count_nonzero(final)),
        provenance=provenance,
        timing=Timing(total=time.perf_counter() - start, inference=inference),
    )


def _counted(count: int, progress: Progress | None, cancel: Cancel | None) -> Iterator[int]:
    """0 to count - 1, telling progress and asking for cancellation on the way."""
    for done in range(count):
        if progress is not None:
            progress(done, count)
        if cancel is not None and cancel():
            raise CancelledError("the volume was cancelled", got=f"{done} of {count} slices done")
        yield done
    if progress is not None:
        progress(count, count)


def _checked(image: object, limits: Limits) -> NDArray[np.uint8]:
    """The image as a plain C-contiguous array: the caller's own where it is one already, else a copy."""
    expected = f"(H, W, 3) uint8, H and W from {limits.min_side} to {limits.max_side}"
    if not isinstance(image, np.ndarray) or isinstance(image, np.ma.MaskedArray):
        raise ImageError("the image is no array", expected=f"numpy array {expected}", got=type(image).__name__)
    if image.dtype != np.uint8:
        raise ImageError(
            "the image has a wrong type", expected=expected, got=image.dtype,
            remedy="scale the series to grey levels 0 to 255 as the training data was, and round",
        )  # fmt: skip
    if image.ndim != 3 or image.shape[2] != 3:
        raise ImageError("the image has a wrong shape", expected=expected, got=image.shape)
    if not all(limits.min_side <= side <= limits.max_side for side in image.shape[:2]):
        raise ImageError("the image has a wrong size", expected=expected, got=image.shape)
    return np.ascontiguousarray(image)


def _checked_volume(slices: object, limits: Limits) -> list[NDArray[np.uint8]]:
    """The slices of a volume, all of one size."""
    images = [_checked(image, limits) for image in _series(slices)]
    if not images:
        raise ImageError("the volume is empty", expected="at least one slice")
    sizes = {image.shape[:2] for image in images}
    if len(sizes) > 1:
        raise ImageError("the slices differ in size", expected="one (H, W)", got=sorted(sizes)[:4])
    pixels = len(images) * images[0].shape[0] * images[0].shape[1]
    if pixels > MAX_VOLUME_PIXELS:
        raise ImageError("the volume is too large", expected=f"at most {MAX_VOLUME_PIXELS} pixels", got=pixels)
    return images


def _series(images: object) -> Sequence[object]:
    """Something with a length whose items are images."""
    if isinstance(images, np.ndarray):
        if images.ndim != 4:
            raise ImageError("the series has a wrong shape", expected="(N, H, W, 3) uint8", got=images.shape)
        return list(images)
    if not isinstance(images, Sequence) or isinstance(images, str | bytes):
        raise ImageError("the series is none", expected="(N, H, W, 3) or a sequence", got=type(images).__name__)
    return images


def _thread_count(threads: object) -> int:
    """The threads asked for, or the default."""
    if threads is None:
        return min(usable_cores(), MAX_DEFAULT_THREADS)
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= 256:
        raise ValueError(f"threads must be an integer from 1 to 256, got {threads!r}")
    return threads


def _narrowed(limits: Limits, bundle: Bundle) -> Limits:
    """The host's limits within those of the bundle's contract."""
    contract = bundle.manifest.contract
    return replace(
        limits,
        max_batch=min(limits.max_batch, contract.max_batch),
        min_side=max(limits.min_side, contract.min_side),
        max_side=min(limits.max_side, contract.max_side),
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
