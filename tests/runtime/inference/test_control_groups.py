"""The tightest limit on the way to the process's group counts, whichever version of control groups sets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from brainseg_runtime.inference.control_groups import granted_cores, granted_memory


def machine(tmp_path: Path, groups: str, files: dict[str, str]) -> int | None:
    """What is granted where the kernel shows these groups and files."""
    (tmp_path / "groups").write_text(groups, encoding="ascii")
    for name, text in files.items():
        path = tmp_path / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return granted_cores(groups=tmp_path / "groups", mount=tmp_path / "mount")


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "150000 100000"}, 2),
        ("0::/\n", {"cpu.max": "1000 100000"}, 1),
        ("0::/\n", {"cpu.max": "max 100000"}, None),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000", "cpu.max": "max 100000"}, 3),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "100000 100000"}, 1),
        ("0::/host/path\n", {"cpu.max": "400000 100000"}, 4),
        ("1:cpu:/a\n0::/\n", {"cpu/a/cpu.cfs_quota_us": "250000", "cpu/a/cpu.cfs_period_us": "100000"}, 3),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        (
            "4:cpu,cpuacct:/a\n3:cpuset:/a\n",
            {"cpu,cpuacct/a/cpu.cfs_quota_us": "50000", "cpu,cpuacct/a/cpu.cfs_period_us": "100000"},
            1,
        ),
        ("3:cpuset:/a\n", {"cpuset/a/cpu.cfs_quota_us": "50000", "cpuset/a/cpu.cfs_period_us": "100000"}, None),
        ("0::/../x\n", {"x/cpu.max": "200000 100000"}, 2),
        ("nonsense", {"cpu.max": "many 0"}, None),
        ("0::/\n", {"cpu.max": "100000 0"}, None),
        ("", {}, None),
    ],
)
def test_cores_are_those_of_the_tightest_group(
    groups: str, files: dict[str, str], cores: int | None, tmp_path: Path
) -> None:
    assert machine(tmp_path, groups, files) == cores


@pytest.mark.parametrize(
    ("groups", "files", "memory"),
    [
        ("0::/\n", {"memory.max": "4294967296\n"}, 1 << 32),
        ("0::/a/b\n", {"a/memory.max": "1024", "a/b/memory.max": "max", "memory.max": "max"}, 1024),
        ("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": "2048", "memory/memory.limit_in_bytes": "4096"}, 2048),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
        ("0::/\n", {"memory.max": "max"}, None),
        ("nonsense", {"memory.max": "many"}, None),
    ],
)
def test_memory_is_that_of_the_tightest_group(
    groups: str, files: dict[str, str], memory: int | None, tmp_path: Path
) -> None:
    machine(tmp_path, groups, files)
    assert granted_memory(groups=tmp_path / "groups", mount=tmp_path / "mount") == memory


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert granted_cores(groups=tmp_path / "none", mount=tmp_path / "none") is None
    assert granted_memory(groups=tmp_path / "none", mount=tmp_path / "none") is None
