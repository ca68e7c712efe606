"""`brainseg verify`: the site's installation check, PASS or FAIL."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from brainseg_runtime.commands import DONE, FAULT
from brainseg_runtime.console import Console, write_page
from brainseg_runtime.doctor import installed_versions
from brainseg_runtime.processor import inspect_processor
from brainseg_runtime.verification_page import verification_page
from brainseg_runtime.verify import verify_bundle


def verify(
    console: Console, bundle: Path, *, digest: str | None, public_key: Path | None, provider: str, report: Path | None
) -> int:
    """Checks a bundle on this machine; see `brainseg verify --help`."""
    found = verify_bundle(bundle, digest, public_key, provider)
    console.emit(found.to_json())
    if report is not None:
        now = datetime.now(UTC)
        write_page(report, verification_page(found, inspect_processor(), installed_versions(), now))
    console.table(["check", "result", "detail"], [(each.name, each.status.value, each.detail) for each in found.checks])
    console.say(f"{'PASS' if found.ok else 'FAIL'}: {bundle}")
    return DONE if found.ok else FAULT
