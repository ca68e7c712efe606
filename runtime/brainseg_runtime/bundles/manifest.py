"""What a bundle says about itself: ``manifest.json``, read strictly and written so that it can be read.

One JSON object; `Manifest.from_json` takes every key of it or refuses the whole:

    schema       "brainseg/bundle/1"
    name         the model's name, such as "resunet"
    version      of this model, such as "1.0.0"
    files        {name: {sha256, bytes}}, every file of the folder but manifest.json and model.sig
    contract     {input, outputs, limits}: the tensors below, word for word
    threshold    probability from which a pixel is tumour
    temperature  what the logits are divided by before the sigmoid (1: as trained)
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
from typing import Final

from brainseg_runtime.contract import CHANNELS, CONTRACT, DEFAULT_LIMITS, SCHEMA, Contract, Limits
from brainseg_runtime.errors import BundleSchemaError
from brainseg_runtime.safe_io.strict_json import Fields, Json, check_tree, parse

MANIFEST_NAME: Final = "manifest.json"
SIGNATURE_NAME: Final = "model.sig"

LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
"""Names of models, versions, variants and precisions."""

FILE_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
"""Names of a bundle's files: no folders, no leading or trailing dot, nothing that a file system reads otherwise."""

SHA256: Final = re.compile(r"[0-9a-f]{64}")

_DEVICES: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """What a file of the bundle must be."""

    sha256: str
    """64 lower-case hexadecimal digits."""
    bytes: int

    def to_json(self) -> dict[str, Json]:
        """As the manifest carries it."""
        return {"sha256": self.sha256, "bytes": self.bytes}

    @classmethod
    def from_json(cls, fields: Fields) -> FileEntry:
        """From one object of the manifest."""
        entry = cls(sha256=fields.text("sha256", pattern=SHA256), bytes=fields.integer("bytes"))
        fields.close()
        return entry


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far a provider's answer to a golden vector may lie from the expected one."""

    probability: float
    """Largest absolute difference of any pixel's probability, in [0, 1]."""
    mask: float
    """Largest share of pixels whose mask differs, in [0, 1]."""

    def to_json(self) -> dict[str, Json]:
        """As the manifest carries it."""
        return {"probability": self.probability, "mask": self.mask}

    @classmethod
    def from_json(cls, fields: Fields) -> Tolerance:
        """From one object of the manifest."""
        tolerance = cls(
            probability=fields.number("probability", low=0, high=1), mask=fields.number("mask", low=0, high=1)
        )
        fields.close()
        return tolerance


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One ONNX file of the bundle and what was measured on it before it was let in."""

    file: str
    """A file that the manifest lists."""
    precision: str
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

    def to_json(self) -> dict[str, Json]:
        """As the manifest carries it."""
        return {
            "file": self.file,
            "precision": self.precision,
            "parity": dict(self.parity),
            "accuracy": dict(self.accuracy),
            "same_bits": dict(self.same_bits),
            "tolerances": {name: tolerance.to_json() for name, tolerance in self.tolerances.items()},
        }

    @classmethod
    def from_json(cls, fields: Fields) -> Variant:
        """From one object of the manifest."""
        flags = fields.json_object("same_bits")
        same_bits = {name: flag for name, flag in flags.items() if isinstance(flag, bool)}
        if len(same_bits) != len(flags):
            fields.refuse("same_bits", "true or false by provider", flags)
        variant = cls(
            file=fields.text("file", pattern=FILE_NAME),
            precision=fields.text("precision", pattern=LABEL),
            parity=fields.json_object("parity"),
            accuracy=fields.json_object("accuracy"),
            same_bits=same_bits,
            tolerances={name: Tolerance.from_json(item) for name, item in fields.each("tolerances")},
        )
        fields.close()
        return variant


@dataclass(frozen=True, kw_only=True)
class ChannelRange:
    """The intensities of one channel over the training slices that are not blank, in grey levels 0 to 255."""

    low: float
    """Smallest mean of a slice."""
    high: float
    """Largest mean of a slice."""
    peak_low: float
    """Smallest 99th percentile of a slice."""
    peak_high: float
    """Largest 99th percentile of a slice."""

    def to_json(self) -> dict[str, Json]:
        """As the manifest carries it."""
        return {"low": self.low, "high": self.high, "peak_low": self.peak_low, "peak_high": self.peak_high}

    @classmethod
    def from_json(cls, fields: Fields) -> ChannelRange:
        """From one object of the manifest."""
        keys = ("low", "high", "peak_low", "peak_high")
        channel = cls(**{key: fields.number(key, low=0, high=255) for key in keys})
        if channel.low > channel.high or channel.peak_low > channel.peak_high:
            fields.refuse("range", "low <= high", channel.to_json())
        fields.close()
        return channel


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """What training images looked like: `guard.take_fingerprint` makes it, `guard.inspect_image` compares with it."""

    slices: int
    """How many slices it was taken over."""
    channels: tuple[ChannelRange, ChannelRange, ChannelRange]
    """In the order of `CHANNELS`."""

    def to_json(self) -> dict[str, Json]:
        """As the manifest carries it."""
        return {
            "slices": self.slices,
            "channels": {name: item.to_json() for name, item in zip(CHANNELS, self.channels, strict=True)},
        }

    @classmethod
    def from_json(cls, fields: Fields) -> Fingerprint:
        """From the manifest."""
        slices = fields.integer("slices", low=1)
        channels = fields.fields("channels")
        pre, flair, post = (ChannelRange.from_json(channels.fields(name)) for name in CHANNELS)
        channels.close()
        fields.close()
        return cls(slices=slices, channels=(pre, flair, post))


@dataclass(frozen=True, kw_only=True)
class Licence:
    """Under what terms the weights may be used."""

    id: str
    """SPDX identifier or a short name."""
    note: str
    """Where it comes from, in a sentence."""

    def to_json(self) -> dict[str, Json]:
        """As the manifest carries it."""
        return {"id": self.id, "note": self.note}

    @classmethod
    def from_json(cls, fields: Fields) -> Licence:
        """From the manifest."""
        licence = cls(id=fields.text("id"), note=fields.text("note"))
        fields.close()
        return licence


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything a bundle says about itself; see the module's docstring for the keys."""

    name: str
    version: str
    files: Mapping[str, FileEntry]
    threshold: float
    variants: Mapping[str, Variant]
    licence: Licence
    temperature: float = 1.0
    contract: Contract = CONTRACT
    golden: str | None = None
    fingerprint: Fingerprint | None = None
    training: Mapping[str, Json] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    schema: str = SCHEMA

    def to_json(self) -> dict[str, Json]:
        """As ``manifest.json`` holds it.

        Raises:
            BundleSchemaError: It would not be read back: something in it is not finite, too large or oddly named.
        """
        value: dict[str, Json] = {
            "schema": self.schema,
            "name": self.name,
            "version": self.version,
            "files": {name: entry.to_json() for name, entry in self.files.items()},
            "contract": self.contract.to_json(),
            "threshold": self.threshold,
            "temperature": self.temperature,
            "variants": {name: variant.to_json() for name, variant in self.variants.items()},
            "golden": self.golden,
            "fingerprint": None if self.fingerprint is None else self.fingerprint.to_json(),
            "training": dict(self.training),
            "licence": self.licence.to_json(),
            "tools": dict(self.tools),
        }
        check_tree(value, MANIFEST_NAME)
        return value

    @classmethod
    def from_bytes(cls, data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Manifest:
        """Read ``manifest.json``.

        Raises:
            BundleSchemaError: It is no strict JSON, of another schema, lacks a key, has an unknown one, or contradicts
                itself.
        """
        return cls.from_json(parse(data, MANIFEST_NAME, limit=limits.max_manifest_bytes))

    @classmethod
    def from_json(cls, value: Json) -> Manifest:
        """From a parsed ``manifest.json``.

        Raises:
            BundleSchemaError: As `from_bytes`.
        """
        fields = Fields(value, MANIFEST_NAME)
        schema = fields.text("schema")
        if schema != SCHEMA:
            raise BundleSchemaError(
                f"{MANIFEST_NAME} has an unknown schema",
                expected=SCHEMA,
                got=ascii(schema[:80]),
                remedy="use the runtime release that the bundle was made for",
            )
        golden, fingerprint, tools = fields.take("golden"), fields.take("fingerprint"), fields.json_object("tools")
        manifest = cls(
            schema=schema,
            name=fields.text("name", pattern=LABEL),
            version=fields.text("version", pattern=LABEL),
            files={name: FileEntry.from_json(item) for name, item in fields.each("files")},
            contract=Contract.from_json(fields.fields("contract")),
            threshold=fields.number("threshold", low=0, high=1),
            temperature=fields.number("temperature", low=1e-3, high=1e3),
            variants={name: Variant.from_json(item) for name, item in fields.each("variants")},
            golden=None if golden is None else str(golden),
            fingerprint=(
                None
                if fingerprint is None
                else Fingerprint.from_json(Fields(fingerprint, f"{MANIFEST_NAME}: fingerprint"))
            ),
            training=fields.json_object("training"),
            licence=Licence.from_json(fields.fields("licence")),
            tools={tool: version for tool, version in tools.items() if isinstance(version, str)},
        )
        fields.close()
        if len(manifest.tools) != len(tools):
            fields.refuse("tools", "versions as text", tools)
        _check_names(manifest)
        return manifest


def _check_names(manifest: Manifest) -> None:
    """Refuse file names that some system reads otherwise, and references to files that are not listed."""
    folded = {name.casefold() for name in manifest.files}
    if len(folded) != len(manifest.files):
        raise _contradiction("files", "names that differ by more than case", sorted(manifest.files))
    for name in manifest.files:
        if not FILE_NAME.fullmatch(name) or _DEVICES.fullmatch(name):
            raise _contradiction("files", f"names like {FILE_NAME.pattern}, no device names", ascii(name[:80]))
    if folded & {MANIFEST_NAME.casefold(), SIGNATURE_NAME.casefold()}:
        raise _contradiction("files", f"neither {MANIFEST_NAME} nor {SIGNATURE_NAME}", sorted(manifest.files))
    if not manifest.variants:
        raise _contradiction("variants", "at least one", "none")
    for name, variant in manifest.variants.items():
        if not LABEL.fullmatch(name) or variant.file not in manifest.files:
            raise _contradiction(f"variants.{name[:80]!a}", "a file that is listed", variant.file)
    if manifest.golden is not None and manifest.golden not in manifest.files:
        raise _contradiction("golden", "a file that is listed, or null", ascii(manifest.golden[:80]))


def _contradiction(where: str, expected: str, got: object) -> BundleSchemaError:
    """The manifest contradicts itself or the rules for names."""
    return BundleSchemaError(f"{MANIFEST_NAME}: {where} is wrong", expected=expected, got=got)
