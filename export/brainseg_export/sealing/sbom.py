"""The bill of materials: what a host must install to run a bundle, and the bundle's own graphs, as CycloneDX.

It lists the runtime and all that it needs without extras, in the versions with which the bundle was proven. Nothing in
it depends on the time or on the name of the machine, so equal bundles have equal lists.

Source: CycloneDX 1.6, ECMA-424.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Final
from uuid import UUID

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement

from brainseg_runtime.version import __version__

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

ROOTS: Final = ("numpy", "onnxruntime")
"""What the runtime imports."""


def bill_of_materials(name: str, version: str, graphs: Mapping[str, bytes]) -> str:
    """The bill of materials of a bundle.

    Returns:
        JSON text.
    """
    runtime = _library("brainseg-runtime", __version__, license_id="Apache-2.0")
    libraries = {item: _library(item, found) for item, found in closure(ROOTS).items()}
    models = [_model(name, version, file, data) for file, data in sorted(graphs.items())]
    bom = Bom(serial_number=_serial(graphs), components=[runtime, *libraries.values(), *models])
    bom.metadata.component = Component(
        name=name, version=version, type=ComponentType.APPLICATION, bom_ref=f"bundle:{name}"
    )
    bom.register_dependency(bom.metadata.component, [runtime, *models])
    bom.register_dependency(runtime, [libraries[root] for root in ROOTS])
    for item, component in libraries.items():
        bom.register_dependency(component, [libraries[needed] for needed in requirements(item) if needed in libraries])
    # Otherwise the time of writing would differ between two equal bundles.
    bom.metadata.timestamp = EPOCH
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def closure(roots: Iterable[str]) -> dict[str, str]:
    """By name, the version of each installed package that the roots need, including themselves."""
    found: dict[str, str] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = metadata.version(name)
            waiting += requirements(name)
    return dict(sorted(found.items()))


def requirements(name: str) -> list[str]:
    """Names of the packages that an installed one needs on this machine, without extras."""
    needed = [Requirement(line) for line in metadata.requires(name) or ()]
    return sorted(item.name.lower() for item in needed if item.marker is None or item.marker.evaluate({"extra": ""}))


def _library(name: str, version: str, *, license_id: str | None = None) -> Component:
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        purl=PackageURL("pypi", name=name, version=version),
        bom_ref=f"pypi:{name}",
        licenses=[LicenseExpression(license_id)] if license_id else (),
    )


def _model(name: str, version: str, file: str, data: bytes) -> Component:
    return Component(
        name=f"{name}/{file}",
        version=version,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"model:{file}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(data).hexdigest())],
    )


def _serial(graphs: Mapping[str, bytes]) -> UUID:
    """A serial number derived from the graphs."""
    digest = hashlib.sha256(b"".join(hashlib.sha256(graphs[file]).digest() for file in sorted(graphs)))
    return UUID(bytes=digest.digest()[:16], version=4)
