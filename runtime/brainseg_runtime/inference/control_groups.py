"""Cores and memory that Linux control groups, version 2 and 1, grant this process; the groups above its own count too.

A container sees its own group at the root of the mount; a service or a batch job is some levels below, and the lowest
limit on the way applies.

Source: Linux kernel documentation, Control Group v2, CPU and Memory Interface Files; for version 1 CFS Bandwidth
Control and Memory Resource Controller.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")
_NO_LIMIT = 1 << 60  # version 1 gives a number near 2^63 where there is none


def granted_cores(*, groups: Path = _GROUPS, mount: Path = _MOUNT) -> int | None:
    """Cores that the process's groups grant, rounded up; None if no group sets a limit.

    Args:
        groups: The list of the process's groups, as the kernel writes it.
        mount: Where control groups are mounted.
    """
    found = [cores for quota, period in _limits(groups, mount) if (cores := _cores(quota, period)) is not None]
    return min(found, default=None)


def granted_memory(*, groups: Path = _GROUPS, mount: Path = _MOUNT) -> int | None:
    """Bytes that the process's groups grant all of their processes together; None if no group sets a limit.

    Args:
        groups: As for `granted_cores`.
        mount: As for `granted_cores`.
    """
    texts = [
        _text(folder / ("memory.limit_in_bytes" if controllers else "memory.max"))
        for controllers, path in _memberships(groups, "memory")
        for folder in _upwards(mount / controllers, path)
    ]
    return min((int(each) for each in texts if each.isdecimal() and int(each) < _NO_LIMIT), default=None)


def _limits(groups: Path, mount: Path) -> Iterator[tuple[str, str]]:
    """Quota and period, microseconds as text, of every group on the way to the process's own."""
    for controllers, path in _memberships(groups, "cpu"):
        root = mount / controllers
        for folder in _upwards(root, path):
            if controllers:
                yield _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
            else:
                quota, _, period = _text(folder / "cpu.max").partition(" ")
                yield quota, period


def _memberships(groups: Path, wanted: str) -> Iterator[tuple[str, str]]:
    """For each hierarchy of a controller the name of its mount, empty for version 2, and the process's group."""
    yield "", "/"  # the mount's root, in any case: in a container the list names paths of the host
    for line in _text(groups).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers or wanted in controllers.split(","):
            yield controllers, path


def _upwards(root: Path, path: str) -> Iterator[Path]:
    """A group's folder and those above it, up to the mount's root."""
    parts = [part for part in path.split("/") if part not in {"", ".", ".."}]
    for count in range(len(parts), -1, -1):
        yield root.joinpath(*parts[:count])


def _text(path: Path) -> str:
    """A small file's text; empty if it cannot be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _cores(quota: str, period: str) -> int | None:
    """Cores of a quota, at least one; None for `max`, -1 or nothing."""
    if not (quota.isdecimal() and period.isdecimal()):  # `int` would refuse it, and an interrupt with it
        return None
    granted, every = int(quota), int(period)
    return max(1, math.ceil(granted / every)) if granted > 0 and every > 0 else None
