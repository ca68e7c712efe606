"""The page that `brainseg verify --report` writes: PASS or FAIL, every check, and the machine; made to be filed."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from brainseg_runtime.html.markup import Html, element, join
from brainseg_runtime.html.page import Section, badge, facts, note, page, table

if TYPE_CHECKING:
    from brainseg_runtime.inference.processor import Processor
    from brainseg_runtime.installation.verify import Verification

_KINDS = {"PASS": "pass", "FAIL": "fail", "SKIP": "info"}


def verification_page(found: Verification, processor: Processor, versions: Mapping[str, str], moment: datetime) -> Html:
    """The whole page.

    Args:
        found: What was checked.
        processor: The machine's.
        versions: Installed distributions by name.
        moment: When it was checked, with its time zone.

    Returns:
        A document that loads nothing.
    """
    result = "PASS" if found.ok else "FAIL"
    failed = [check.name for check in found.checks if check.status.value == "FAIL"]
    verdict = (
        note("Every check that could be made passed on this machine.", kind="pass")
        if found.ok
        else note(f"Do not use this bundle on this machine. Failed: {', '.join(failed)}.", kind="fail")
    )
    headline = facts(
        [("result", badge(result, kind=_KINDS[result])), ("model", found.name), ("provider", found.provider)]
    )
    checks = [
        (each.name, badge(each.status.value, kind=_KINDS[each.status.value]), each.detail) for each in found.checks
    ]
    bundle = [("folder", str(found.path)), ("digest (SHA-256 of the manifest)", _code(found.digest))]
    machine = [
        ("checked", f"{moment:%Y-%m-%d %H:%M:%S %Z}"),
        ("computer", platform.node()),
        ("system", f"{platform.system()} {platform.release()}"),
        ("processor", processor.name or processor.architecture),
        ("features", ", ".join(processor.features) or "none that matter here"),
        ("cores", processor.cores),
        *versions.items(),
    ]
    sections = [
        Section(title="Result", parts=[headline, verdict]),
        Section(title="Checks", parts=[table(["check", "result", "detail"], checks)]),
        Section(title="Bundle", parts=[table(["", ""], bundle)]),
        Section(title="Machine", parts=[table(["", ""], machine), _signatures()]),
    ]
    return page(f"Installation check: {result}", sections, lead="Bundle and machine, checked by brainseg verify.")


def _code(text: str | None) -> object:
    """Text in a fixed-width face; None stays None."""
    return None if text is None else element("code", {}, text)


def _signatures() -> Html:
    """Lines to sign on, for sites that file the page on paper."""
    lines = (element("p", {"class": "sign"}, label) for label in ("Checked by, date", "Approved by, date"))
    return join(lines)
