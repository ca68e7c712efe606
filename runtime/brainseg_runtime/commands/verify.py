"""`brainseg verify`: the site's installation check, PASS or FAIL."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainseg_runtime.bundles.signature import MAX_KEY_BYTES
from brainseg_runtime.commands.options import BundleArgument, DigestOption, ProviderOption, ReportOption
from brainseg_runtime.errors import InputError
from brainseg_runtime.plurals import counted
from brainseg_runtime.safe_io.files import read_capped
from brainseg_runtime.safe_io.output_paths import check_outputs
from brainseg_runtime.terminal.application import command
from brainseg_runtime.terminal.command import DONE, FAULT
from brainseg_runtime.terminal.console import Console, write_page

if TYPE_CHECKING:
    from brainseg_runtime.installation.verify import Verification


@command("brainseg verify models/resunet --digest 1f0c... --report installation.html")
def verify(
    console: Console,
    *,
    bundle: BundleArgument,
    digest: DigestOption = None,
    public_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PEM public key that model.sig must be signed with.")
    ] = None,
    provider: ProviderOption = "auto",
    report: ReportOption = None,
    write_golden: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the golden cases as raw bytes, for hosts in other languages."),
    ] = None,
) -> int:
    """Check a bundle and this machine: hashes, contract, signature, and the golden answers of every variant.

    The JSON has: bundle, ok, digest, name, provider, providers, checks (name, status, detail); a status is PASS, FAIL,
    or SKIP if a check could not be made, which does not count against the bundle. The exit code is 1 on FAIL.
    Golden cases are written if files, digest and signature pass, whatever this machine computes.
    """
    from brainseg_runtime.inference.processor import inspect_processor
    from brainseg_runtime.installation.doctor import installed_versions
    from brainseg_runtime.installation.golden_files import INDEX_NAME, check_free
    from brainseg_runtime.installation.page import verification_page
    from brainseg_runtime.installation.verify import verify_bundle

    kept = [] if public_key is None else [public_key]
    golden = [] if write_golden is None else [write_golden]
    check_outputs({"--json": console.json_target, "--report": report}, files=kept, folders=[bundle, *golden])
    for folder in golden:
        check_outputs({"--write-golden": folder / INDEX_NAME}, folders=[bundle])
        check_free(folder)
    if public_key is not None:
        _require_key(public_key)
    found = verify_bundle(bundle, digest, public_key, provider)
    console.emit(found.to_json())
    if report is not None:
        now = datetime.now(UTC)
        write_page(report, verification_page(found, inspect_processor(), installed_versions(), now))
    if write_golden is not None:
        _write_golden(console, found, write_golden)
    console.table(["check", "result", "detail"], [(each.name, each.status.value, each.detail) for each in found.checks])
    console.say(f"{'PASS' if found.ok else 'FAIL'}: {bundle}")
    return DONE if found.ok else FAULT


def _write_golden(console: Console, found: Verification, folder: Path) -> None:
    """Write the golden cases of the very bundle that was checked; a bundle that is not the approved one has none."""
    from brainseg_runtime.bundles.bundle import open_bundle
    from brainseg_runtime.installation.golden_files import write_golden

    if not found.approved:
        console.warn(f"no golden cases were written to {folder}: this is not the approved bundle")
        return
    index = write_golden(open_bundle(found.path, digest=found.digest), folder)
    console.say(f"{counted(len(index.cases), 'golden case')} written to {folder}")


def _require_key(path: Path) -> None:
    """Refuses a file that is not a public key before any check runs: a wrong path is not a fault of the bundle.

    Raises:
        InputError: The file is missing, cannot be read, or holds no public key in PEM form.
    """
    if not path.exists():
        raise InputError(f"there is no public key at {path}", expected="a PEM file", got="nothing")
    data = read_capped(path.resolve(), MAX_KEY_BYTES)
    if b"-----BEGIN PUBLIC KEY-----" not in data:
        raise InputError(
            f"{path} is not a public key",
            expected='a PEM file with "BEGIN PUBLIC KEY"',
            got=f"{len(data)} bytes of something else",
        )
