"""The whole export: one command, one bundle, proven and sealed."""

from __future__ import annotations

from tests.export.conftest import Exported


def test_first(exported: Exported) -> None:
    assert exported.bundle.is_dir()
