"""What a model takes and gives, and within which limits.

Legend: N batch, H rows, W columns, C channels (pre-contrast, FLAIR, post-contrast).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Final

from brainseg_runtime.safe_io.arguments import check_integer
from brainseg_runtime.safe_io.strict_json import Fields, Json

SCHEMA: Final = "brainseg/bundle/1"
"""The manifest's schema that this runtime reads; another one is refused, not guessed at."""

CHANNELS: Final = ("pre-contrast", "FLAIR", "post-contrast")
MODEL_SIDE: Final = 128
"""Side in pixels at which the networks work, after the graph's own resize."""

_MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Caps on what is taken in. A host may lower them; the contract's own are the most that a model is tested for.

    Raises:
        ArgumentError: A cap is no integer, or outside what the contract allows.
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
    """Largest bundle in all, since verified files are held in memory until the sessions are made."""
    max_files: int = 32
    max_image_file_bytes: int = 64 * _MEBIBYTE
    """Largest image file; 2048 x 2048 x 3 uncompressed has 12 MiB."""
    max_golden_bytes: int = 256 * _MEBIBYTE
    """Largest golden vectors once decompressed."""

    def __post_init__(self) -> None:
        """Refuse caps that could not hold anything, or that exceed what the contract promises."""
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

    def to_json(self) -> dict[str, Json]:
        """As the manifest carries it."""
        return {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}

    @classmethod
    def from_json(cls, fields: Fields) -> Tensor:
        """From one object of the manifest."""
        tensor = cls(name=fields.text("name"), dtype=fields.text("dtype"), shape=fields.texts("shape"))
        fields.close()
        return tensor


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The tensors and the limits that every variant of a bundle keeps."""

    input: Tensor = field(default_factory=lambda: Tensor(name="image", dtype="uint8", shape=("N", "H", "W", "3")))
    outputs: tuple[Tensor, ...] = field(
        default_factory=lambda: (
            Tensor(name="mask", dtype="uint8", shape=("N", "H", "W")),
            Tensor(name="probability", dtype="float32", shape=("N", "H", "W")),
        )
    )
    max_batch: int = 64
    min_side: int = 16
    max_side: int = 2048

    def to_json(self) -> dict[str, Json]:
        """As the manifest carries it."""
        return {
            "input": self.input.to_json(),
            "outputs": [tensor.to_json() for tensor in self.outputs],
            "limits": {"max_batch": self.max_batch, "min_side": self.min_side, "max_side": self.max_side},
        }

    @classmethod
    def from_json(cls, fields: Fields) -> Contract:
        """From the manifest.

        Raises:
            BundleSchemaError: It is not the one contract that this runtime keeps, limits that are tighter apart.
        """
        image = Tensor.from_json(fields.fields("input"))
        outputs = fields.take("outputs")
        if not isinstance(outputs, list):
            fields.refuse("outputs", "a list", outputs)
        tensors = tuple(Tensor.from_json(Fields(item, f"{fields.where}: outputs")) for item in outputs)
        limits = fields.fields("limits")
        contract = cls(
            input=image,
            outputs=tensors,
            max_batch=limits.integer("max_batch", low=1, high=64),
            min_side=limits.integer("min_side", low=16, high=2048),
            max_side=limits.integer("max_side", low=16, high=2048),
        )
        limits.close()
        fields.close()
        if (image, tensors) != (CONTRACT.input, CONTRACT.outputs) or contract.min_side > contract.max_side:
            fields.refuse("tensors", "those of " + SCHEMA, contract.to_json())
        return contract


CONTRACT: Final = Contract()
"""The contract of every bundle: raw pixels in, mask and probability out."""
