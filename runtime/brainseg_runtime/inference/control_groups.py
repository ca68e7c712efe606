"""Cores that Linux control groups grant this process: version 2 and version 1, the groups above its own included.

A container sees its own group at the mount's root; a service or a batch system's job is some levels below it, and the
tightest limit on the way counts.

Source: Linux kernel documentation, Control Group v2, CPU Interface Files; CFS Bandwidth Control for version 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")


def granted_cores(*, groups: Path = _GROUPS, mount: Path = _MOUNT) -> int | None:
    """Cores that the process's groups grant, rounded up; None where none of them sets a limit.

    Args:
        groups: The list of the process's groups, as the kernel writes it.
        mount: Where control groups are mounted.
    """
    found = [cores for quota, period in _limits(groups, mount) if (cores := _cores(quota, period)) is not None]
    return min(found, default=None)


def _limits(groups: Path, mount: Path) -> Iterator[tuple[str, str]]:
    """Quota and period, microseconds as text, of every group on the way to the process's own."""
    for controllers, path in _memberships(groups):
        root = mount / controllers
        for folder in _upwards(root, path):
            if controllers:
                yield _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
            else:
                quota, _, period = _text(folder / "cpu.max").partition(" ")
                yield quota, period


def _memberships(groups: Path) -> Iterator[tuple[str, str]]:
    """Controllers as their mount is called, empty for version 2, and the process's group in each hierarchy."""
    yield "", "/"  # the mount's root, whatever the list says: in a container it names a path of the host
    for line in _text(groups).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers or "cpu" in controllers.split(","):
            yield controllers, path


def _upwards(root: Path, path: str) -> Iterator[Path]:
    """A group's folder and those above it, up to the mount's root."""
    parts = [part for part in path.split("/") if part not in {"", ".", ".."}]
    for count in range(len(parts), -1, -1):
        yield root.joinpath(*parts[:count])


def _text(path: Path) -> str:
    """A small file's text, or nothing where there is none."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _cores(quota: str, period: str) -> int | None:
    """Cores of a quota, at least one; None for `max`, -1 or nothing."""
    try:
        granted, every = int(quota), int(period)
    except ValueError:
        return None
    return max(1, math.ceil(granted / every)) if granted > 0 and every > 0 else None
