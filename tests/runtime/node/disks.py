"""File systems of a test's own, where it has the right to mount them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def mount(*arguments: str) -> bool:
    """Call mount; whether it did as told."""
    command = [shutil.which("mount") or "", *arguments]
    return bool(command[0]) and subprocess.run(command, capture_output=True, check=False).returncode == 0


def unmount(folder: Path | str) -> None:
    """Take a file system away, even in use."""
    subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607 - found where mount was
