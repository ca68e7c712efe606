"""What is installed here, what the processor can do, what `auto` would choose and why, and what is wrong."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from brainseg_runtime.bundles.bundle import open_bundle
from brainseg_runtime.errors import BrainsegError
from brainseg_runtime.extras import install_remedy
from brainseg_runtime.inference.processor import MAX_DEFAULT_THREADS, Processor, inspect_processor
from brainseg_runtime.inference.providers import (
    AUTO,
    FALLBACK,
    Choice,
    ProviderStatus,
    all_providers,
    auto_candidates,
    choose,
)
from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io.strict_json import Json
from brainseg_runtime.safe_io.typed_json import to_json
from brainseg_runtime.version import __version__

_WHEELS = ("brainseg", "brainseg-runtime")
"""Distributions that both install the import package ``brainseg_runtime``."""

_FLOOR = (1, 31)
"""onnxruntime below it has memory-safety faults in reading models."""

_EXTRAS = {
    "io": ("pillow", "tifffile"),
    "cli": ("jinja2", "rich", "typer"),
    "study": ("highdicom", "pydicom", "pyjpegls", "pylibjpeg", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "simpleitk"),
    "node": (
        "dicomweb-client",
        "fastapi",
        "h11",
        "prometheus-client",
        "pynetdicom",
        "requests",
        "starlette",
        "uvicorn",
    ),
    "archive": ("fsspec", "pyarrow", "ray"),
    "openvino": ("onnxruntime-ep-openvino",),
    "sign": ("model-signing",),
}
"""Distributions that this package's extras bring."""
_FOR: Final = {
    "io": "slices from files",
    "cli": "the command, and pages",
    "study": "DICOM and NIfTI studies",
    "node": "a node beside a PACS",
    "archive": "thousands of studies on Ray, and lists in Parquet",
    "openvino": "the provider openvino",
    "sign": "signed bundles",
}
"""What each extra is for."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A problem of the installation and its remedy."""

    what: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Extra:
    """An extra of this package."""

    name: str
    purpose: str
    """What it is for."""
    missing: tuple[str, ...]
    """Distributions of it that are not installed; none: it is installed."""
    remedy: str | None
    """How to install it; null if it is installed."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What `brainseg doctor` shows."""

    versions: dict[str, str]
    """Installed distributions that matter, by name."""
    extras: tuple[Extra, ...]
    system: str
    python: str
    processor: Processor
    default_threads: int
    providers: tuple[ProviderStatus, ...]
    choice: Choice | None
    """What `auto` takes for the bundle that was asked about; None without one."""
    rule: tuple[str, ...]
    """How `auto` decides, on this machine, for a bundle with both fp32 and int8."""
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_json(self) -> dict[str, Json]:
        """As ``brainseg doctor --json`` writes it."""
        return {"ok": self.ok, "exact_integers": self.processor.exact_integers, **to_json(self)}


def diagnose(bundle: str | os.PathLike[str] | None = None) -> Diagnosis:
    """Look at this machine and its installation.

    Args:
        bundle: A bundle for which to report what `auto` would choose; it is verified, not run.

    Returns:
        Everything found; what is wrong with the installation is among it, not raised.

    Raises:
        BundleError: The bundle cannot be opened.
    """
    versions = installed_versions()
    processor = inspect_processor()
    problems = list(find_collisions(versions))
    providers, faults = _look_at_providers()
    choice = None if bundle is None else choose(open_bundle(bundle).manifest, AUTO, AUTO, processor)
    return Diagnosis(
        versions=versions,
        extras=find_extras(versions),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        processor=processor,
        default_threads=min(processor.cores, MAX_DEFAULT_THREADS),
        providers=providers,
        choice=choice,
        rule=_explain_rule(processor, providers),
        problems=(*problems, *faults),
    )


def installed_versions() -> dict[str, str]:
    """Version of each installed distribution that matters; the package itself even without metadata."""
    found = {"brainseg_runtime (imported)": f"{__version__} from {Path(__file__).parents[1]}"}
    for name in _distributions():
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def find_extras(versions: dict[str, str]) -> tuple[Extra, ...]:
    """Which extras are installed, and how to install the others.

    Args:
        versions: Installed distributions with their versions.

    Examples:
        >>> [extra.name for extra in find_extras({}) if extra.missing][:2]
        ['io', 'cli']
    """
    found = []
    for name, brought in _EXTRAS.items():
        missing = tuple(each for each in brought if each not in versions)
        remedy = install_remedy(name) if missing else None
        found.append(Extra(name=name, purpose=_FOR[name], missing=missing, remedy=remedy))
    return tuple(found)


def _distributions() -> tuple[str, ...]:
    """Distributions that matter: the package's own, numpy, the engines, providers' plug-ins, and the extras'."""
    plugins = (name for provider in all_providers() for name in provider.plugins)
    return tuple(dict.fromkeys((*_WHEELS, "numpy", *_engines(), *plugins, *chain.from_iterable(_EXTRAS.values()))))


def _engines() -> tuple[str, ...]:
    """Distributions that all install the import package ``onnxruntime``."""
    return tuple(dict.fromkeys(name for provider in all_providers() for name in provider.engines))


def find_collisions(versions: dict[str, str]) -> tuple[Problem, ...]:
    """Distributions that install the same files, and versions that should not be used.

    Args:
        versions: Installed distributions with their versions.

    Returns:
        One problem for each collision, with its remedy.

    Examples:
        >>> find_collisions({"onnxruntime": "1.32.0"})
        ()
        >>> find_collisions({"onnxruntime": "1.2.0"})[0].remedy
        "pip install 'onnxruntime>=1.31'"
    """
    problems = []
    engines = [name for name in _engines() if name in versions]
    if len(engines) > 1:
        wanted = engines[-1]
        problems.append(
            Problem(
                what=f"{' and '.join(engines)} are all installed, and each overwrites the others' files",
                remedy=f"pip uninstall -y {' '.join(engines)}, then pip install {wanted}",
            )
        )
    if all(name in versions for name in _WHEELS):
        problems.append(
            Problem(
                what="brainseg and brainseg-runtime are both installed; removing one breaks the other",
                remedy="pip uninstall -y brainseg brainseg-runtime, then pip install the one that is wanted",
            )
        )
    if not engines:
        problems.append(Problem(what="onnxruntime is not installed", remedy="pip install onnxruntime"))
    problems.extend(
        Problem(
            what=f"{name} {versions[name]} has known memory-safety faults",
            remedy=f"pip install '{name}>={_FLOOR[0]}.{_FLOOR[1]}'",
        )
        for name in engines
        if _release(versions[name]) < _FLOOR
    )
    return tuple(problems)


def _look_at_providers() -> tuple[tuple[ProviderStatus, ...], tuple[Problem, ...]]:
    """Every provider's status; plug-ins are really loaded, since an installed one may not fit."""
    found, problems = [], []
    for provider in all_providers():
        name = provider.name
        try:
            status = provider.status()
            if status.available:
                provider.prepare()
        except ImportError as error:
            status = ProviderStatus(name=name, available=False, reason=f"onnxruntime cannot be imported: {error}")
        except BrainsegError as error:
            status = ProviderStatus(name=name, available=False, reason=str(error))
            what = f"provider {name} is installed but does not work: {error}"
            problems.append(Problem(what=what, remedy=provider.repair))
        found.append(status)
    return tuple(found), tuple(problems)


def _explain_rule(processor: Processor, providers: tuple[ProviderStatus, ...]) -> tuple[str, ...]:
    """The fixed rule of `auto`, applied to this machine."""
    available = {status.name for status in providers if status.available}
    has = ", ".join(processor.features) or "none that matter"
    lines = [f"processor: {counted(processor.cores, 'core')}, features {has}"]
    lines.append(
        "variant: int8 if the bundle has it, as the processor multiplies 8-bit integers exactly"
        if processor.exact_integers
        else "variant: fp32, as the processor has no VNNI, AMX or dot product, with which int8 was measured"
    )
    for provider in auto_candidates():
        unless = f", except in {', '.join(sorted(provider.no_gain))}" if provider.no_gain else ""
        lines.append(
            f"provider: {provider.name} if the bundle was measured on it{unless}"
            if provider.name in available
            else f"provider: not {provider.name}, which is not available"
        )
    return (*lines, f"provider: {FALLBACK.name} otherwise")


def _release(version: str) -> tuple[int, ...]:
    """Major and minor of a version; anything unreadable counts as new."""
    parts = version.split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else _FLOOR
