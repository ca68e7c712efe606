"""The page that `brainseg verify --report` writes: PASS or FAIL, every check, and the machine; made to be filed."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from brainseg_runtime.html.page import render

if TYPE_CHECKING:
    from brainseg_runtime.inference.processor import Processor
    from brainseg_runtime.installation.verify import Verification


def verification_page(found: Verification, processor: Processor, versions: Mapping[str, str], moment: datetime) -> str:
    """The whole page.

    Args:
        found: What was checked.
        processor: The machine's.
        versions: Installed distributions by name.
        moment: When it was checked, with its time zone.

    Returns:
        A document that loads nothing.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    result = "PASS" if found.ok else "FAIL"
    machine = {
        "checked": f"{moment:%Y-%m-%d %H:%M:%S %Z}",
        "computer": platform.node(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": processor.name or processor.architecture,
        "features": ", ".join(processor.features) or "none that matter here",
        "cores": processor.cores,
        **versions,
    }
    return render(
        Path(__file__).with_name("page.html"),
        title=f"Installation check: {result}",
        result=result,
        found=found,
        failed=[check.name for check in found.checks if check.status.value == "FAIL"],
        machine=list(machine.items()),
    )
