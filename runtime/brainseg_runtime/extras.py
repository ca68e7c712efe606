"""How to install a missing extra of this package, which is on no package index, from where the package came from.

An installer records the source of a distribution in `direct_url.json` (PEP 610). If that file or folder still exists,
the remedy names it; otherwise it says what to look for.
"""

from __future__ import annotations

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
        extra: Such as "io", "cli", "node", "openvino", "sign", "study", "train" or "export".

    Examples:
        >>> "[sign]" in install_remedy("sign")
        True
    """
    name = _WHOLE if extra in {"train", "export"} else _installed()
    built_in = name == _WHOLE and extra in _BUILT_IN
    wanted = "" if built_in else f"[{extra}]"
    return f"install {_RUNTIME if built_in else name}[{extra}] from where this came from: {_command(name, wanted)}"


def _command(name: str, wanted: str) -> str:
    """The installer's command, for the wheel or the source tree at hand."""
    source = _source(name)
    if source is not None:
        return f'pip install {source[0]}"{source[1]}{wanted}"'
    wheel = f"{name.replace('-', '_')}-{__version__}-py3-none-any.whl"
    tree = "." if name == _WHOLE else "./runtime"
    return f'pip install "PATH/{wheel}{wanted}", or in the source tree pip install "{tree}{wanted}"'


def _installed() -> str:
    """The distribution that installed this package; `brainseg` when it runs from a source tree."""
    from importlib import metadata  # which brings `email`, and is needed for an error alone

    for name in (_RUNTIME, _WHOLE):
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        return name
    return _WHOLE


def _source(name: str) -> tuple[str, Path] | None:
    """What installs a distribution again: an option and its wheel or folder; None if that is unknown or gone."""
    from importlib import metadata

    try:
        record = json.loads(metadata.distribution(name).read_text("direct_url.json") or "{}")
        url = urlsplit(str(record.get("url", "")))
    except (metadata.PackageNotFoundError, ValueError, AttributeError):
        return None
    if url.scheme != "file":
        return None
    text = unquote(url.path)
    path = Path(text.lstrip("/") if os.name == "nt" else text)  # there "/C:/..." stands for "C:/..."
    editable = "-e " if record.get("dir_info", {}).get("editable") else ""
    return (editable, path) if path.exists() else None
