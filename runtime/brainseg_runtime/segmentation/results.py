"""What a prediction returns: plain frozen records with numpy arrays that belong to the caller.

Legend: N slices, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brainseg_runtime.contract import Limits
from brainseg_runtime.segmentation.postprocessing import PostProcessing


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds spent, by the monotonic clock."""

    total: float
    """From the call to the result: checks, guard, inference."""
    inference: float
    """Inside onnxruntime."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What computed a result: enough for an audit log, and to compute it again."""

    provider: str
    variant: str
    bundle_digest: str | None
    """SHA-256 of the manifest; None for a model that was loaded unsealed."""
    model_digest: str
    """SHA-256 of the ONNX file."""
    model: str
    """Name and version, such as ``resunet 1.0.0``."""
    threshold: float | None
    """Probability from which a pixel is tumour: the caller's, else the manifest's; None if neither states one."""


class _OfOneModel:
    """What has a provenance, and is asked for its parts."""

    provenance: Provenance

    @property
    def provider(self) -> str:
        """The execution provider in use."""
        return self.provenance.provider

    @property
    def variant(self) -> str:
        """The model's variant in use."""
        return self.provenance.variant


@dataclass(frozen=True, kw_only=True)
class SegmenterInfo(_OfOneModel):
    """What is in use, and why."""

    provenance: Provenance
    reasons: tuple[str, ...]
    """Why this provider and variant, and why not the others."""
    nodes: Mapping[str, int]
    """The graph's nodes by the provider that runs them; empty for a provider that runs everything, such as ``cpu``."""
    same_bits: bool | None
    """Whether the manifest says that threads, batches and callers change no bit; None: it does not say."""
    threads: int
    limits: Limits
    path: Path
    versions: Mapping[str, str]


def at_threshold(provenance: Provenance, threshold: float | None) -> Provenance:
    """The provenance of a mask at the caller's threshold; None leaves the model's."""
    return provenance if threshold is None else replace(provenance, threshold=threshold)


def threshold_warnings(validated: float | None, threshold: float | None) -> tuple[str, ...]:
    """Warnings about masks at a threshold.

    Args:
        validated: The model's own, at which its scores were measured; None if no manifest states it.
        threshold: The caller's; None: the model's own.

    Examples:
        >>> threshold_warnings(0.5, 0.2)
        ("masks are made at threshold 0.2; the validated one is 0.5, and the model's scores do not hold here",)
    """
    if threshold is None or threshold == validated:
        return ()
    known = "none was validated" if validated is None else f"the validated one is {validated:g}"
    return (f"masks are made at threshold {threshold:g}; {known}, and the model's scores do not hold here",)


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction(_OfOneModel):
    """One slice."""

    mask: NDArray[np.uint8]
    """(H, W), 0 or 1."""
    probability: NDArray[np.float32]
    """(H, W), in [0, 1]."""
    area: int
    """Tumour, in pixels."""
    warnings: tuple[str, ...]
    """The input guard's reasons to distrust the image, and notes about the model or this machine."""
    timing: Timing
    provenance: Provenance


@dataclass(frozen=True, kw_only=True, eq=False)
class VolumePrediction(_OfOneModel):
    """A series of slices."""

    mask: NDArray[np.uint8]
    """(N, H, W), 0 or 1, after post-processing, if any."""
    probability: NDArray[np.float32]
    """(N, H, W), in [0, 1], as the model computed it."""
    areas: tuple[int, ...]
    """Tumour in each slice, in pixels, of the mask above."""
    warnings: Mapping[int, tuple[str, ...]]
    """Warnings by slice; slices without any are left out."""
    postprocessing: PostProcessing | None
    """What was done to the masks; None: nothing."""
    removed_pixels: int
    """Number of pixels that post-processing removed."""
    timing: Timing
    provenance: Provenance

    @property
    def volume(self) -> int:
        """Tumour, in voxels."""
        return sum(self.areas)
