"""How to install a missing extra from where this package itself came from, as it is on no package index.

An installer records where it took a distribution from in `direct_url.json` (PEP 610). Where that file or folder is
still there it is named; elsewhere the reader is told what to look for.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from brainseg_runtime.version import __version__

_WHOLE: Final = "brainseg"
_RUNTIME: Final = "brainseg-runtime"
_BUILT_IN: Final = frozenset({"io", "cli"})
"""Extras of `brainseg-runtime` whose packages `brainseg` itself always brings."""


def install_remedy(extra: str) -> str:
    """What to run so that an extra of this package is installed, as the remedy of an error.

    Args:
        extra: Such as "io", "cli", "openvino", "sign", "train" or "export".
    """
    name = _WHOLE if extra in {"train", "export"} else _installed()
    wanted = "" if name == _WHOLE and extra in _BUILT_IN else f"[{extra}]"
    source = _source(name)
    if source is None:
        wheel = f"{name.replace('-', '_')}-{__version__}-py3-none-any.whl"
        tree = "." if name == _WHOLE else "./runtime"
        return (
            f'pip install "{wheel}{wanted}", with the path of the wheel that you were given; '
            f'or, in the source tree, pip install "{tree}{wanted}"'
        )
    return f'pip install "{source}{wanted}"'


def _installed() -> str:
    """The distribution that this package was installed with; from sources alone, the whole."""
    for name in (_RUNTIME, _WHOLE):
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        return name
    return _WHOLE


def _source(name: str) -> Path | None:
    """The wheel or folder that a distribution was installed from; None where that is unknown or gone."""
    try:
        record = json.loads(importlib.metadata.distribution(name).read_text("direct_url.json") or "{}")
        url = urlsplit(str(record.get("url", "")))
    except (importlib.metadata.PackageNotFoundError, ValueError, AttributeError):
        return None
    if url.scheme != "file":
        return None
    text = unquote(url.path)
    path = Path(text.lstrip("/") if os.name == "nt" else text)  # there "/C:/..." stands for "C:/..."
    return path if path.exists() else None
