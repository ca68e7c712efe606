"""What a bundle says about itself: ``manifest.json``, read strictly and written so that it can be read again.

One JSON object, the fields of `Manifest`; a missing or unknown key, or a value out of range, is an error:

    schema       "brainseg/bundle/1"
    name         the model's name, such as "resunet"
    version      of this model, such as "1.0.0"
    files        {name: {sha256, bytes}}, every file of the folder but manifest.json and model.sig
    contract     {input, outputs, limits}: the tensors below, word for word
    threshold    probability from which a pixel is tumour
    temperature  divides the logits before the sigmoid (1: as trained)
    variants     {fp32 | int8 | ...: {file, precision, parity, accuracy, same_bits, tolerances}}
    golden       the file with inputs and expected outputs, or null
    fingerprint  the training images' intensities by channel, for the input guard, or null
    training     data digest, split digest, run, configuration, validation metrics: any JSON object
    licence      of the weights: {id, note}
    tools        {tool: version} that made the bundle
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from brainseg_runtime.contract import CHANNELS, CONTRACT, DEFAULT_LIMITS, SCHEMA, Contract, Limits
from brainseg_runtime.errors import BundleSchemaError
from brainseg_runtime.safe_io import typed_json
from brainseg_runtime.safe_io.strict_json import MAX_INTEGER, Json, check_tree, parse, shown
from brainseg_runtime.safe_io.typed_json import Between, Matches

MANIFEST_NAME: Final = "manifest.json"
SIGNATURE_NAME: Final = "model.sig"

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_FILE_NAME: Final = re.compile(
    # No folders, no leading or trailing dot, no name that Windows gives to a device.
    r"(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$))[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?",
    re.IGNORECASE | re.ASCII,
)

Sha256 = Annotated[str, Matches(_SHA256, "64 lower-case hexadecimal digits")]
Label = Annotated[str, Matches(LABEL, "1 to 64 letters, digits and . _ + -, the first a letter or digit")]
"""Names of models, versions, variants and precisions."""
FileName = Annotated[
    str, Matches(_FILE_NAME, "1 to 64 letters, digits and . _ -, neither end a sign, not a name of a Windows device")
]
Fraction = Annotated[float, Between(0, 1)]
GreyLevel = Annotated[float, Between(0, 255)]


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """Size and hash of a file of the bundle."""

    sha256: Sha256
    """64 lower-case hexadecimal digits."""
    bytes: Annotated[int, Between(0, MAX_INTEGER)]


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far a provider's answer to a golden vector may lie from the expected one."""

    probability: Fraction
    """Largest absolute difference of any pixel's probability, in [0, 1]."""
    mask: Fraction
    """Largest fraction of pixels whose mask differs, in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One ONNX file of the bundle and what was measured on it before it was let in."""

    file: FileName
    """A file that the manifest lists."""
    precision: Label
    """``fp32``, ``int8`` and so on."""
    parity: Mapping[str, Json]
    """How far it lies from the network it was made from, as measured at export."""
    accuracy: Mapping[str, Json]
    """What it scores, and how far that lies from the network it was made from."""
    same_bits: Mapping[str, bool] = field(default_factory=dict)
    """By provider: whether thread count, batching and callers were seen to leave every bit alone at export."""
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    """By provider, or under ``default``: how far golden vectors may lie from this variant's expected outputs."""

    def tolerance(self, provider: str) -> Tolerance | None:
        """The tolerance for a provider, else the default one, else None."""
        return self.tolerances.get(provider, self.tolerances.get("default"))


@dataclass(frozen=True, kw_only=True)
class ChannelRange:
    """The intensities of one channel over the training slices that are not blank, in grey levels 0 to 255."""

    low: GreyLevel
    """Smallest mean of a slice."""
    high: GreyLevel
    """Largest mean of a slice."""
    peak_low: GreyLevel
    """Smallest 99th percentile of a slice."""
    peak_high: GreyLevel
    """Largest 99th percentile of a slice."""

    def __post_init__(self) -> None:
        if self.low > self.high or self.peak_low > self.peak_high:
            raise _contradiction("a channel of fingerprint", "low <= high and peak_low <= peak_high", self)


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Intensities of the training images; `input_guard` makes it and compares images with it."""

    slices: Annotated[int, Between(1, MAX_INTEGER)]
    """How many slices it was taken over."""
    channels: Mapping[str, ChannelRange]
    """Each of `CHANNELS`."""

    def __post_init__(self) -> None:
        if set(self.channels) != set(CHANNELS):
            raise _contradiction("fingerprint.channels", ", ".join(CHANNELS), ", ".join(self.channels))


@dataclass(frozen=True, kw_only=True)
class Licence:
    """The licence of the weights."""

    id: str
    """SPDX identifier or a short name."""
    note: str
    """Where it comes from, in a sentence."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything a bundle says about itself; see the module's docstring for the keys.

    Raises:
        BundleSchemaError: Two names of files differ by case alone or are reserved, there is no variant, or a variant or
            the golden vectors are in a file that is not listed.
    """

    schema: str = SCHEMA
    name: Label
    version: Label
    files: Mapping[FileName, FileEntry]
    contract: Contract = CONTRACT
    threshold: Fraction
    temperature: Annotated[float, Between(1e-3, 1e3)] = 1.0
    variants: Mapping[Label, Variant]
    golden: str | None = None
    fingerprint: Fingerprint | None = None
    training: Mapping[str, Json] = field(default_factory=dict)
    licence: Licence
    tools: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        folded = {name.casefold() for name in self.files}
        if len(folded) != len(self.files):
            raise _contradiction("files", "names that differ by more than case", sorted(self.files))
        if folded & {MANIFEST_NAME.casefold(), SIGNATURE_NAME.casefold()}:
            raise _contradiction("files", f"neither {MANIFEST_NAME} nor {SIGNATURE_NAME}", sorted(self.files))
        if not self.variants:
            raise _contradiction("variants", "at least one", "none")
        for name, variant in self.variants.items():
            if variant.file not in self.files:
                raise _contradiction(f"variants.{name}.file", "a file that is listed", variant.file)
        if self.golden is not None and self.golden not in self.files:
            raise _contradiction("golden", "a file that is listed, or null", self.golden)

    def to_json(self) -> dict[str, Json]:
        """As ``manifest.json`` holds it.

        Raises:
            BundleSchemaError: It could not be read again: something in it is not finite, too large or oddly named.
        """
        value = typed_json.to_json(self)
        check_tree(value, MANIFEST_NAME)
        return value

    @classmethod
    def from_bytes(cls, data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Manifest:
        """Read ``manifest.json``.

        Raises:
            BundleSchemaError: It is not strict JSON, of another schema, lacks a key, has an unknown one, or contradicts
                itself.
        """
        return cls.from_json(parse(data, MANIFEST_NAME, limit=limits.max_manifest_bytes))

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Manifest:
        """From a parsed ``manifest.json``.

        Raises:
            BundleSchemaError: As for `from_bytes`.
        """
        schema = value.get("schema", SCHEMA)
        if schema != SCHEMA:
            raise BundleSchemaError(
                f"{MANIFEST_NAME} has an unknown schema",
                expected=SCHEMA,
                got=shown(schema),
                remedy="use the runtime release that the bundle was made for",
            )
        return typed_json.from_json(cls, value, MANIFEST_NAME, error=BundleSchemaError, every_key=True)


def _contradiction(where: str, expected: str, got: object) -> BundleSchemaError:
    """The error for a manifest that contradicts itself or the rules for names."""
    return BundleSchemaError(f"{MANIFEST_NAME}: {where} is wrong", expected=expected, got=shown(got))
