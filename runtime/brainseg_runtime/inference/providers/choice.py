"""Which provider and variant `auto` takes, and why.

The choice is a fixed rule over what is installed, what the processor can do and what the manifest says was measured; it
never times anything, so one machine always makes the same choice and computes the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from brainseg_runtime.bundles.manifest import Manifest
from brainseg_runtime.errors import ProviderError
from brainseg_runtime.inference.processor import Processor
from brainseg_runtime.inference.providers.registry import FALLBACK, auto_candidates, find_provider

AUTO: Final = "auto"
"""In place of a provider's or a variant's name: choose by the rule."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A provider and a variant, and why these and not others."""

    provider: str
    variant: str
    reasons: tuple[str, ...]
    """One line for each thing that was considered."""


def choose(manifest: Manifest, provider: str, variant: str, processor: Processor) -> Choice:
    """Provider and variant by the fixed rule.

    - A provider that is named must be available. `auto` takes the highest ranked one that is available and whose bits
      the manifest says were stable (`same_bits`) for the variant; the fallback, ``cpu``, needs no such evidence.
    - A variant that is named must be in the bundle. `auto` takes ``int8`` where the bundle has it and the processor
      multiplies 8-bit integers exactly, else ``fp32``, else the first.
    - `auto` leaves out a provider that gains nothing in the variant's precision.

    Raises:
        ProviderError: The provider or the variant that was named is not available.
    """
    picked, reasons = _choose_variant(manifest, variant, processor)
    if provider != AUTO:
        find_provider(provider).require()
        return Choice(provider=provider, variant=picked, reasons=(*reasons, f"provider {provider}: requested"))
    name, more = _choose_provider(manifest, picked)
    return Choice(provider=name, variant=picked, reasons=(*reasons, *more))


def _choose_variant(manifest: Manifest, variant: str, processor: Processor) -> tuple[str, tuple[str, ...]]:
    """The variant and why."""
    names = list(manifest.variants)
    if variant != AUTO:
        if variant not in names:
            raise ProviderError("no variant of that name", expected=f"auto or one of {names}", got=repr(variant))
        return variant, (f"variant {variant}: requested",)
    floating = "fp32" if "fp32" in names else names[0]
    if "int8" not in names:
        return floating, (f"variant {floating}: the bundle has no int8",)
    if not processor.exact_integers:
        return floating, (f"variant {floating}: no VNNI, AMX or dot product found, with which int8 was measured",)
    return "int8", ("variant int8: in the bundle, and the processor multiplies 8-bit integers exactly",)


def _choose_provider(manifest: Manifest, variant: str) -> tuple[str, tuple[str, ...]]:
    """The provider that `auto` takes for a variant, and why not those before it."""
    entry = manifest.variants[variant]
    reasons = []
    for provider in auto_candidates():
        name, status = provider.name, provider.status()
        if not status.available:
            reasons.append(f"not {name}: {status.reason}")
        elif not entry.same_bits.get(name, False):
            reasons.append(f"not {name}: the bundle does not show that {variant} gives the same bits on it every time")
        elif entry.precision in provider.no_gain:
            reasons.append(f"not {name}: it is no faster than {FALLBACK.name} in {entry.precision}")
        else:
            return name, (*reasons, f"provider {name}: {status.reason}, and the bundle was measured on it")
    return FALLBACK.name, (*reasons, f"provider {FALLBACK.name}: always available")
