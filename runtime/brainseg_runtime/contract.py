"""A model's inputs, outputs and limits.

Legend: N batch, H rows, W columns, C channels (pre-contrast, FLAIR, post-contrast).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Annotated, Final

from brainseg_runtime.errors import BundleSchemaError
from brainseg_runtime.safe_io.arguments import check_integer
from brainseg_runtime.safe_io.strict_json import shown
from brainseg_runtime.safe_io.typed_json import Between, to_json

SCHEMA: Final = "brainseg/bundle/1"
"""The schema of manifests that this runtime reads; any other is refused."""

CHANNELS: Final = ("pre-contrast", "FLAIR", "post-contrast")
MODEL_SIDE: Final = 128
"""Side in pixels at which the networks work, after the graph's own resize."""

_MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Caps on images, files and bundles. A host may lower them; the defaults are the most that models are tested for.

    Raises:
        ArgumentError: A cap is not an integer, or outside what the contract allows.

    Examples:
        >>> Limits(max_side=512).max_side
        512
    """

    max_batch: int = 64
    """Most images in one `predict_batch` call; `predict_volume` takes any number, in chunks."""
    min_side: int = 16
    """Smallest H and W, in pixels."""
    max_side: int = 2048
    """Largest H and W, in pixels."""
    max_manifest_bytes: int = _MEBIBYTE
    max_file_bytes: int = 512 * _MEBIBYTE
    """Largest file of a bundle; the shipped networks have 32 MiB."""
    max_bundle_bytes: int = 1024 * _MEBIBYTE
    """Largest sum of a bundle's files, which are held in memory until the sessions are made."""
    max_files: int = 32
    max_image_file_bytes: int = 64 * _MEBIBYTE
    """Largest image file; 2048 x 2048 x 3 uncompressed has 12 MiB."""
    max_golden_bytes: int = 256 * _MEBIBYTE
    """Largest size of golden vectors once decompressed."""

    def __post_init__(self) -> None:
        """Refuse caps that are contradictory or exceed the contract."""
        check_integer("max_batch", self.max_batch, low=1, high=64)
        check_integer("min_side", self.min_side, low=16, high=2048)
        check_integer("max_side", self.max_side, low=self.min_side, high=2048)
        for name in (each.name for each in fields(self)):
            check_integer(name, getattr(self, name), low=1)


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One input or output: its name in the graph, element type and axes."""

    name: str
    dtype: str
    """``uint8`` or ``float32``."""
    shape: tuple[str, ...]
    """Axes by name (dynamic) or length, such as ``("N", "H", "W", "3")``."""


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """The batches and image sizes that a model is tested for."""

    max_batch: Annotated[int, Between(1, 64)] = 64
    min_side: Annotated[int, Between(16, 2048)] = 16
    """Smallest H and W, in pixels."""
    max_side: Annotated[int, Between(16, 2048)] = 2048
    """Largest H and W, in pixels."""


IMAGE: Final = Tensor(name="image", dtype="uint8", shape=("N", "H", "W", "3"))
MASK: Final = Tensor(name="mask", dtype="uint8", shape=("N", "H", "W"))
PROBABILITY: Final = Tensor(name="probability", dtype="float32", shape=("N", "H", "W"))


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The tensors and the limits that every variant of a bundle keeps.

    Raises:
        BundleSchemaError: The tensors are not those of the one contract that this runtime knows, or the smallest side
            exceeds the largest.
    """

    input: Tensor = IMAGE
    outputs: tuple[Tensor, ...] = (MASK, PROBABILITY)
    limits: ImageLimits = field(default_factory=ImageLimits)

    def __post_init__(self) -> None:
        if (self.input, self.outputs) != (IMAGE, (MASK, PROBABILITY)):
            raise BundleSchemaError(f"the contract's tensors are not those of {SCHEMA}", got=shown(to_json(self)))
        if self.limits.min_side > self.limits.max_side:
            raise BundleSchemaError("the contract's limits are wrong", expected="min_side <= max_side", got=self.limits)


CONTRACT: Final = Contract()
"""The contract of every bundle: raw pixels in, mask and probability out."""
